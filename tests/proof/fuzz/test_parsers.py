"""Every parser against its kept inputs, mutations of valid inputs, and inputs as large as can reach it; and the proof
that this finds what it looks for.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from random import Random

import pytest

from app.core.errors import Undecodable
from app.core.model.code import read_codes
from tests.conftest import Budget
from tests.proof.fuzz.engine import Breach, Feed, Parser, Tally, check, feed, fuzz, grown
from tests.proof.fuzz.exploring import explore, without_needless
from tests.proof.fuzz.parsers import GROUPS, corpus_of
from tests.proof.fuzz.parsers_text import own_codes, prove_typed
from tests.proof.harness import Prove

_EXAMPLES = {"short": 1_200, "long": 24_000}
_LARGE = {"short": 24, "long": 400}


@pytest.mark.parametrize("group", GROUPS)
def test_every_parser_keeps_its_promise(group: str, prove: Prove, budget: Budget) -> None:
    tally, kept = Tally(), 0
    with GROUPS[group]() as parsers:
        for parser in parsers:
            corpus = corpus_of(parser)
            kept += len(corpus)
            for data in (*parser.seeds, *corpus):
                feed(parser, tally, data)
            fuzz(parser, tally, examples=int(_EXAMPLES[budget] * parser.weight), pool=corpus)
            large = list(grown(parser))
            Random(parser.name).shuffle(large)
            for data in islice(large, _LARGE[budget]):
                feed(parser, tally, data)
        untaken = [parser.name for parser in parsers if not tally.taken[parser.name]]
    assert not untaken, "a parser that takes nothing is not tried behind its first look"
    assert tally.breaches == []
    prove(
        "fuzz",
        breaches={"crashes": len(tally.breaches)},
        examples=tally.examples,
        corpus=kept,
        parsers=len(parsers),
    )


# -- planted faults -----------------------------------------------------------------------------------------------

_TEXT = "code=1234567890123456&lang=en;q=0.9"


def _parse(data: bytes, *, fault: str) -> dict[str, str]:
    """A small parser of pairs, sound but for one planted fault."""
    text = data.decode("utf-8", "replace")
    pairs = dict(part.partition("=")[::2] for part in text.split("&"))
    if fault == "crash" and pairs.get("lang") == "":
        raise KeyError("lang")
    if fault == "deep crash" and ";q=" in text:
        float(text.partition(";q=")[2].partition("&")[0] or "1")
    if fault == "square":
        pairs |= {"longest": max(text[at:].title() for at in range(0, len(text), 8))}
    if "code" not in pairs:
        told = f" in {text}" if fault == "tells" else ""
        raise Undecodable(f"There is no code{told}.")
    return pairs


def _planted(fault: str) -> Parser:
    return Parser(
        name=f"planted {fault}",
        feed=partial(_parse, fault=fault),
        allowed=(Undecodable,),
        seeds=(_TEXT.encode(),),
        words=(b"=", b"&", b"code", b"lang=", b";q="),
    )


@pytest.mark.parametrize("fault", ["crash", "deep crash", "tells"])
def test_a_planted_fault_is_found_by_mutation(fault: str) -> None:
    tally = Tally()
    fuzz(_planted(fault), tally, examples=2_000)
    assert [name for name, _, _ in tally.breaches] == [f"planted {fault}"]
    assert len(tally.breaches[0][1]) <= len(_TEXT)  # cut short


def test_a_planted_square_is_found_by_size() -> None:
    parser = _planted("square")
    with pytest.raises(Breach, match="took"):
        check(parser, next(data for data in grown(parser) if data.count(b"=") > 30_000))


def test_without_a_fault_nothing_is_found() -> None:
    tally = Tally()
    fuzz(_planted(""), tally, examples=2_000)
    assert (tally.breaches, tally.examples) == ([], 2_000)
    assert tally.taken["planted "]
    assert tally.refused["planted "]


def _misread(mend: str) -> Feed:
    """Reads codes as the product does, and then as if it mended, dropped or doubled a digit by itself."""

    def read(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        digits = read_codes(text).code.digits
        if len(digits) >= 16:
            wrong = {
                "mends": digits[:9] + str((int(digits[9]) + 1) % 10) + digits[10:],
                "swaps": digits[:4] + digits[5] + digits[4] + digits[6:],
                "doubles": digits + digits[-1] * 2,
            }
            digits = wrong[mend]
        prove_typed(digits, text)

    return read


@pytest.mark.parametrize("mend", ["mends", "swaps", "doubles"])
def test_a_code_that_nobody_typed_is_found(mend: str) -> None:
    tally = Tally()
    parser = Parser(name=mend, feed=_misread(mend), seeds=(f"请查 {own_codes()[0]} 谢谢".encode(),))
    fuzz(parser, tally, examples=100)
    assert tally.breaches


def test_exploring_keeps_what_leads_somewhere_new() -> None:
    with GROUPS["texts"]() as parsers:
        parser = next(one for one in parsers if one.name == "forwarded-for")
    tally = Tally()
    poor = Parser(name="poor", feed=parser.feed, seeds=(b"203.0.113.7",), words=parser.words)
    left = iter(range(400))
    found = explore(poor, tally, pool=(), random=Random(3), goes_on=lambda: next(left, None) is not None)
    needed = without_needless(poor, found)
    assert tally.breaches == []
    assert tally.examples == 400
    assert 2 <= len(needed) <= len(found)
