"""What every event leads to, in both languages: state, event -> what is said, what is waited for, where the call is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.core.model.label import LabelSummary
from app.core.model.verdict import Detail, Outcome, Verdict
from app.speech.phrasing import code, position
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer, Verify
from channels.ivr.dialogue import step
from channels.ivr.events import (
    Answered,
    Ended,
    Event,
    HungUp,
    Keys,
    Recorded,
    Silence,
    Started,
    TransferFailed,
)
from channels.ivr.phrases import PHRASES
from channels.ivr.speaking import SETTLE
from channels.ivr.states import Slip, State, StateName
from channels.wording.locales import LOCALES
from tests.unit.ivr.calls import ANSWER, CODE, SHORT_CODE, rules_with, said, wording

LINE = "4008001234"
LABEL = LabelSummary(brand="Brand", product="Product", service_line="400-800-1234")
PLAIN = Gather(max_digits=16, first_digit_s=8, between_s=5)
CHOICE = Gather(max_digits=1, first_digit_s=8, between_s=5, finish_on_hash=False)
HANG_UP = HangUp()

NEW = State()
ENTRY = State(name=StateName.ENTRY)
SILENT = replace(ENTRY, silences=1)
MORE = State(name=StateName.MORE, digits="123456")
VERIFYING = State(name=StateName.VERIFYING, digits=CODE, entries=1)
FULL = replace(VERIFYING, full=True)
REPEATING = State(name=StateName.REPEATING, digits=CODE, entries=1)
VERDICT = State(name=StateName.VERDICT, digits=CODE, entries=1)
PARTING = State(name=StateName.PARTING, entries=3, wrong=3, slips=3)
REPORTING = State(name=StateName.REPORTING, digits=CODE, entries=1)
OPERATOR = State(name=StateName.OPERATOR)
BRAND = State(name=StateName.BRAND, digits=CODE, entries=1, brand_line=LINE)
ENDED = State(name=StateName.ENDED)

MENU = ["menu.repeat", "menu.another", "menu.report", "menu.operator"]
BARE_MENU = ["menu.repeat", "menu.another"]
NO_OPERATOR: dict[str, object] = {"operator": False}


def keys(digits: str, ended: Ended = "hash") -> Keys:
    return Keys(digits=digits, ended=ended)


def answered(outcome: Outcome, *reasons: Detail, positions: tuple[int, ...] = ()) -> Answered:
    verdict = Verdict(outcome=outcome, reasons=reasons, slip_positions=positions, label=LABEL)
    return Answered(verdict=verdict, spoken=(ANSWER,))


def slip_at(*positions: int) -> Answered:
    return answered(Outcome.MISTYPED, Detail.SLIP_LOCATED, positions=positions)


def slipped(slips: int, slip: Slip = Slip.LOCATED) -> State:
    """Waiting for a code of which the seventh digit, or nobody knows which, was wrong this often."""
    positions = (7,) if slip is Slip.LOCATED else ()
    return replace(ENTRY, digits=CODE, slip=slip, positions=positions, slips=slips, entries=slips)


UNLOCATED = answered(Outcome.MISTYPED, Detail.SLIP_UNLOCATED)
LENGTH = answered(Outcome.MISTYPED, Detail.WRONG_LENGTH)
FIRST = answered(Outcome.FIRST)
NOT_FOUND = answered(Outcome.NOT_FOUND)
SEVENTH = ["verdict.slip", "position.7", "advice.slip"]
SEVENTH_AGAIN = SEVENTH[:2]  # the advice was given the first time
UNKNOWN = ["verdict.unlocated", "advice.unlocated"]
TOO_FEW = ["verdict.wrong_length", "advice.all_digits"]
TOO_FEW_AGAIN = TOO_FEW[:1]
DIGITS = [f"digit.{digit}" for digit in CODE]
READ_BACK = ["slip.read_back", *DIGITS]
TROUBLE = ["verdict.unavailable", "advice.says_nothing"]

Case = tuple[State, Event, dict[str, object], StateName, list[str], Action]
N = StateName


def verify(digits: str = CODE, entry: int = 1) -> Verify:
    return Verify(digits=digits, entry_number=entry)


CASES: dict[str, Case] = {
    # the beginning
    "start": (NEW, Started(), {}, N.ENTRY, ["greeting", "language.offer", "entry.prompt"], PLAIN),
    "nothing at all": (NEW, Silence(), {}, N.ENDED, [], HANG_UP),
    "started twice": (ENTRY, Started(), {}, N.ENTRY, [], PLAIN),
    # a code
    "full length": (ENTRY, keys(CODE, "length"), {}, N.VERIFYING, [], verify()),
    "shorter by hash": (ENTRY, keys(SHORT_CODE), {}, N.VERIFYING, [], verify(SHORT_CODE)),
    "shorter by a pause": (ENTRY, keys(SHORT_CODE, "pause"), {}, N.VERIFYING, [], verify(SHORT_CODE)),
    "too few by hash": (ENTRY, keys("123"), {}, N.VERIFYING, [], verify("123")),
    "too many": (ENTRY, keys(CODE + "78"), {}, N.VERIFYING, [], verify(CODE + "78")),
    "absurdly many": (ENTRY, keys("7" * 99), {}, N.VERIFYING, [], verify("7" * 64)),
    "star inside": (ENTRY, keys("123*456"), {}, N.VERIFYING, [], verify("123456")),
    "letter keys inside": (ENTRY, keys("12A3D"), {}, N.VERIFYING, [], verify("123")),
    "zero begins a code": (
        ENTRY,
        keys("0" + CODE[1:], "length"),
        {},
        N.VERIFYING,
        [],
        verify("0" + CODE[1:]),
    ),
    "nine begins a code": (ENTRY, keys("9" + CODE[1:]), {}, N.VERIFYING, [], verify("9" + CODE[1:])),
    "one key, all the length": (ENTRY, keys("0", "length"), {}, N.VERIFYING, [], verify("0")),
    "second code": (replace(ENTRY, entries=4), keys(CODE), {}, N.VERIFYING, [], verify(entry=5)),
    # keys that act alone, and those that mean nothing
    "0": (ENTRY, keys("0"), {}, N.OPERATOR, ["transfer.operator"], Transfer(to="operator")),
    "0 then a pause": (
        ENTRY,
        keys("0", "pause"),
        {},
        N.OPERATOR,
        ["transfer.operator"],
        Transfer(to="operator"),
    ),
    "0 and nobody there": (ENTRY, keys("0"), NO_OPERATOR, N.ENTRY, ["operator.none", "entry.prompt"], PLAIN),
    "0 while mending": (
        slipped(1),
        keys("0"),
        {},
        N.OPERATOR,
        ["transfer.operator"],
        Transfer(to="operator"),
    ),
    "0 0": (ENTRY, keys("00"), {}, N.VERIFYING, [], verify("00")),
    "star": (ENTRY, keys("*"), {}, N.ENTRY, ["entry.prompt"], PLAIN),
    "star then a pause": (ENTRY, keys("*", "pause"), {}, N.ENTRY, ["entry.prompt"], PLAIN),
    "star while mending": (slipped(1), keys("*"), {}, N.ENTRY, [*SEVENTH, "entry.again"], PLAIN),
    "star for a read-back": (
        slipped(2),
        keys("*"),
        {},
        N.ENTRY,
        [*READ_BACK, *SEVENTH_AGAIN, "entry.once_more"],
        PLAIN,
    ),
    "hash first": (ENTRY, keys(""), {}, N.ENTRY, ["entry.empty"], PLAIN),
    "two stars": (ENTRY, keys("**"), {}, N.ENTRY, ["entry.empty"], PLAIN),
    "letter key": (ENTRY, keys("B"), {}, N.ENTRY, ["entry.empty"], PLAIN),
    "letter key, pause": (ENTRY, keys("B", "pause"), {}, N.ENTRY, ["entry.empty"], PLAIN),
    # silence while a code is awaited
    "silence": (ENTRY, Silence(), {}, N.ENTRY, ["entry.silence"], PLAIN),
    "no keys before the pause": (
        ENTRY,
        keys("", "pause"),
        {},
        N.ENTRY,
        ["entry.silence"],
        PLAIN,
    ),
    "silence while mending": (
        slipped(1),
        Silence(),
        {},
        N.ENTRY,
        ["entry.once_more"],
        PLAIN,
    ),
    "silence again": (SILENT, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    # a hand that pauses
    "paused": (
        ENTRY,
        keys("123456", "pause"),
        {},
        N.MORE,
        ["entry.more"],
        Gather(max_digits=10, first_digit_s=8, between_s=5),
    ),
    "paused while mending": (
        slipped(1),
        keys("123456", "pause"),
        {},
        N.MORE,
        [],
        Gather(max_digits=10, first_digit_s=8, between_s=5),
    ),
    "paused again": (
        MORE,
        keys("789", "pause"),
        {},
        N.MORE,
        [],
        Gather(max_digits=7, first_digit_s=8, between_s=5),
    ),
    "0 goes on": (
        MORE,
        keys("0", "pause"),
        {},
        N.MORE,
        [],
        Gather(max_digits=9, first_digit_s=8, between_s=5),
    ),
    "went on to the end": (MORE, keys(CODE[6:], "length"), {}, N.VERIFYING, [], verify()),
    "went on to a live length": (MORE, keys(CODE[6:14], "pause"), {}, N.VERIFYING, [], verify(SHORT_CODE)),
    "hash says that is all": (MORE, keys(""), {}, N.VERIFYING, [], verify("123456")),
    "started over": (MORE, keys("*"), {}, N.ENTRY, ["entry.prompt"], PLAIN),
    "did not go on": (MORE, Silence(), {}, N.VERIFYING, [], verify("123456")),
    # answers
    **{
        f"answered {outcome.value}": (VERIFYING, answered(outcome), {}, N.VERDICT, ["answer", *MENU], CHOICE)
        for outcome in Outcome
        if outcome not in {Outcome.MISTYPED, Outcome.THROTTLED, Outcome.UNAVAILABLE}
    },
    "nobody to call": (VERIFYING, FIRST, NO_OPERATOR, N.VERDICT, ["answer", *BARE_MENU], CHOICE),
    "reports are recorded": (
        VERIFYING,
        FIRST,
        {"operator": False, "recording": True},
        N.VERDICT,
        ["answer", *BARE_MENU, "menu.report"],
        CHOICE,
    ),
    "the brand takes reports": (
        VERIFYING,
        FIRST,
        {"operator": False, "brand_lines": True},
        N.VERDICT,
        ["answer", *BARE_MENU, "menu.report"],
        CHOICE,
    ),
    "third wrong code": (
        replace(VERIFYING, wrong=2),
        NOT_FOUND,
        {},
        N.ENDED,
        ["answer", "limit.wrong", "goodbye"],
        HANG_UP,
    ),
    "too many queries": (
        VERIFYING,
        answered(Outcome.THROTTLED),
        {},
        N.ENDED,
        ["answer", "goodbye"],
        HANG_UP,
    ),
    "no answer now": (VERIFYING, answered(Outcome.UNAVAILABLE), {}, N.ENDED, ["answer", "goodbye"], HANG_UP),
    "no answer at all": (VERIFYING, Silence(), {}, N.ENDED, [*TROUBLE, "goodbye"], HANG_UP),
    "keys meanwhile": (VERIFYING, keys("1"), {}, N.VERIFYING, [], verify()),
    # slips
    "first slip": (VERIFYING, slip_at(7), {}, N.ENTRY, [*SEVENTH, "entry.again"], PLAIN),
    "two digits": (
        VERIFYING,
        slip_at(7, 8),
        {},
        N.ENTRY,
        ["verdict.slip", "position.7", "verdict.slip_and", "position.8", "advice.slip", "entry.again"],
        PLAIN,
    ),
    "slip without a place": (VERIFYING, UNLOCATED, {}, N.ENTRY, [*UNKNOWN, "entry.again"], PLAIN),
    "wrong length": (VERIFYING, LENGTH, {}, N.ENTRY, TOO_FEW, PLAIN),
    "second slip": (
        replace(VERIFYING, slips=1),
        slip_at(7),
        {},
        N.ENTRY,
        [*READ_BACK, *SEVENTH_AGAIN, "entry.once_more"],
        PLAIN,
    ),
    "second slip without a place": (
        replace(VERIFYING, slips=1),
        UNLOCATED,
        {},
        N.ENTRY,
        [*READ_BACK, "advice.unlocated", "entry.once_more"],
        PLAIN,
    ),
    "too long to read back": (
        replace(VERIFYING, slips=1, digits=CODE + "12"),
        LENGTH,
        {},
        N.ENTRY,
        [*TOO_FEW_AGAIN, "entry.once_more"],
        PLAIN,
    ),
    "second slip, wrong length": (
        replace(VERIFYING, slips=1),
        LENGTH,
        {},
        N.ENTRY,
        [*READ_BACK, *TOO_FEW_AGAIN, "entry.once_more"],
        PLAIN,
    ),
    "third slip, wrong length": (
        replace(VERIFYING, slips=2),
        LENGTH,
        {},
        N.ENTRY,
        [*TOO_FEW_AGAIN, "slip.operator"],
        PLAIN,
    ),
    "third slip": (
        replace(VERIFYING, slips=2),
        slip_at(7),
        {},
        N.ENTRY,
        [*SEVENTH_AGAIN, "slip.operator"],
        PLAIN,
    ),
    "third slip, no operator": (
        replace(VERIFYING, slips=2),
        slip_at(7),
        NO_OPERATOR,
        N.ENTRY,
        [*SEVENTH_AGAIN, "slip.no_operator"],
        PLAIN,
    ),
    "fourth slip": (
        replace(VERIFYING, slips=3),
        slip_at(7),
        {},
        N.ENTRY,
        [*SEVENTH_AGAIN, "slip.operator"],
        PLAIN,
    ),
    "third slip without a place": (
        replace(VERIFYING, slips=2, wrong=2),
        UNLOCATED,
        {},
        N.PARTING,
        [*UNKNOWN, "limit.wrong", "menu.operator"],
        CHOICE,
    ),
    "the same, no operator": (
        replace(VERIFYING, slips=2, wrong=2),
        UNLOCATED,
        NO_OPERATOR,
        N.ENDED,
        [*UNKNOWN, "limit.wrong", "goodbye"],
        HANG_UP,
    ),
    "slip in the last entry": (
        replace(VERIFYING, entries=12),
        slip_at(7),
        {},
        N.ENDED,
        [*SEVENTH, "limit.call", "goodbye"],
        HANG_UP,
    ),
    # after the verdict
    "star again": (VERDICT, keys("*", "length"), {}, N.REPEATING, [], verify()),
    "hash behind the code": (VERDICT, keys("#", "length"), {}, N.REPEATING, [], verify()),
    "hash as an end": (VERDICT, keys(""), {}, N.REPEATING, [], verify()),
    "another": (VERDICT, keys("1", "length"), {}, N.ENTRY, ["entry.prompt"], PLAIN),
    "one too many": (
        replace(VERDICT, entries=12),
        keys("1", "length"),
        {},
        N.ENDED,
        ["limit.call", "goodbye"],
        HANG_UP,
    ),
    "operator": (
        VERDICT,
        keys("0", "length"),
        {},
        N.OPERATOR,
        ["transfer.operator"],
        Transfer(to="operator"),
    ),
    "operator, none": (
        VERDICT,
        keys("0", "length"),
        NO_OPERATOR,
        N.VERDICT,
        ["operator.none", *BARE_MENU],
        CHOICE,
    ),
    "stray key": (VERDICT, keys("7", "length"), {}, N.VERDICT, ["menu.stray", *MENU], CHOICE),
    "letter": (VERDICT, keys("C", "length"), {}, N.VERDICT, ["menu.stray", *MENU], CHOICE),
    "report recorded": (
        VERDICT,
        keys("2", "length"),
        {"recording": True},
        N.REPORTING,
        ["report.record"],
        Record(max_s=60),
    ),
    "report to the brand": (
        replace(VERDICT, brand_line=LINE),
        keys("2", "length"),
        {},
        N.BRAND,
        ["transfer.brand"],
        Transfer(to="brand", number=LINE),
    ),
    "report to an operator": (
        VERDICT,
        keys("2", "length"),
        {},
        N.OPERATOR,
        ["transfer.operator"],
        Transfer(to="operator"),
    ),
    "report to nobody": (
        VERDICT,
        keys("2", "length"),
        NO_OPERATOR,
        N.VERDICT,
        ["report.none", *BARE_MENU],
        CHOICE,
    ),
    "silence after the verdict": (VERDICT, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    "two keys at once": (VERDICT, keys("17"), {}, N.ENTRY, ["entry.prompt"], PLAIN),
    # said again
    "repeated": (
        REPEATING,
        answered(Outcome.REPEAT),
        {},
        N.VERDICT,
        ["answer", *MENU],
        CHOICE,
    ),
    "repeated, a miss": (
        replace(REPEATING, wrong=2),
        NOT_FOUND,
        {},
        N.VERDICT,
        ["answer", *MENU],
        CHOICE,
    ),
    "repeated, a slip by now": (REPEATING, UNLOCATED, {}, N.VERDICT, ["answer", *MENU], CHOICE),
    "cannot repeat": (
        REPEATING,
        answered(Outcome.UNAVAILABLE),
        {},
        N.ENDED,
        ["answer", "goodbye"],
        HANG_UP,
    ),
    "no repeat came": (REPEATING, Silence(), {}, N.ENDED, [*TROUBLE, "goodbye"], HANG_UP),
    # reports, operators
    "recorded": (REPORTING, Recorded(), {"recording": True}, N.VERDICT, ["report.thanks", *MENU], CHOICE),
    "nothing said": (REPORTING, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    "keys while recording": (REPORTING, keys("5"), {}, N.REPORTING, [], Record(max_s=60)),
    "operator busy": (OPERATOR, TransferFailed(), {}, N.ENTRY, ["transfer.failed", "entry.prompt"], PLAIN),
    "operator busy, mending": (
        replace(slipped(1), name=N.OPERATOR),
        TransferFailed(),
        {},
        N.ENTRY,
        ["transfer.failed", *SEVENTH, "entry.again"],
        PLAIN,
    ),
    "operator busy after a verdict": (
        replace(VERDICT, name=N.OPERATOR),
        TransferFailed(),
        {},
        N.VERDICT,
        ["transfer.failed", *MENU],
        CHOICE,
    ),
    "operator busy at the limit": (
        replace(PARTING, name=N.OPERATOR),
        TransferFailed(),
        {},
        N.ENDED,
        ["transfer.failed", "goodbye"],
        HANG_UP,
    ),
    "operator never answers": (OPERATOR, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    "brand busy": (BRAND, TransferFailed(), {}, N.VERDICT, ["transfer.failed", *MENU], CHOICE),
    "brand never answers": (BRAND, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    "keys to the brand": (BRAND, keys("3"), {}, N.BRAND, [], Transfer(to="brand", number=LINE)),
    # the parting
    "parting, operator": (
        PARTING,
        keys("0", "length"),
        {},
        N.OPERATOR,
        ["transfer.operator"],
        Transfer(to="operator"),
    ),
    "parting, none by now": (
        PARTING,
        keys("0", "length"),
        NO_OPERATOR,
        N.PARTING,
        ["operator.none", "menu.operator"],
        CHOICE,
    ),
    "parting, other key": (
        PARTING,
        keys("1", "length"),
        {},
        N.PARTING,
        ["menu.stray", "menu.operator"],
        CHOICE,
    ),
    "parting, silence": (PARTING, Silence(), {}, N.ENDED, ["goodbye"], HANG_UP),
    # what cannot happen changes nothing
    "answer nobody asked for": (ENTRY, FIRST, {}, N.ENTRY, [], PLAIN),
    "recording nobody made": (VERDICT, Recorded(), {}, N.VERDICT, [], CHOICE),
    "transfer nobody asked for": (VERDICT, TransferFailed(), {}, N.VERDICT, [], CHOICE),
    "after the end": (ENDED, keys("1"), {}, N.ENDED, [], HANG_UP),
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", CASES)
def test_step(name: str, locale: str) -> None:
    state, event, changes, after, words, wait = CASES[name]
    if isinstance(event, Started):
        event = Started(locale=locale)
    there, actions = step(replace(state, locale=locale), event, rules_with(**changes))
    assert there.name is after
    assert said(actions) == words
    assert actions[-1] == wait
    assert there.locale == (locale if state is not NEW or isinstance(event, Started) else there.locale)
    assert all(action.locale == locale for action in actions if isinstance(action, Speak))


@pytest.mark.parametrize(
    "state", [NEW, ENTRY, MORE, VERIFYING, REPEATING, VERDICT, PARTING, REPORTING, BRAND]
)
def test_hanging_up_ends_the_call_and_keeps_nothing_of_it(state: State) -> None:
    there, actions = step(replace(state, locale="en"), HungUp(), rules_with())
    assert (there, actions) == (replace(ENDED, locale="en"), ())


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    ("state", "words", "wait"),
    [
        (ENTRY, ["entry.prompt"], PLAIN),
        (slipped(1), [*SEVENTH, "entry.again"], PLAIN),
        (VERDICT, [], verify()),
        (PARTING, ["menu.operator"], CHOICE),
    ],
)
def test_nine_goes_on_in_the_other_language(
    state: State, words: list[str], wait: Action, locale: str
) -> None:
    other = next(there for there in LOCALES if there != locale)
    there, actions = step(replace(state, locale=locale), keys("9"), rules_with())
    assert there.locale == other
    assert said(actions) == words
    assert actions[-1] == wait
    assert all(action.locale == other for action in actions if isinstance(action, Speak))
    back, _ = step(replace(there, name=state.name), keys("9"), rules_with())
    assert back.locale == locale


def test_an_unknown_language_falls_back() -> None:
    assert step(NEW, Started(locale="fr"), rules_with())[0].locale == "zh-CN"
    assert step(NEW, Started(locale="en-GB"), rules_with())[0].locale == "en"


def test_a_code_that_ended_by_its_length_is_answered_after_a_moment_without_ears() -> None:
    """The needless # behind the last digit falls into it."""
    for event in (FIRST, slip_at(7), answered(Outcome.THROTTLED)):
        for state, deaf in ((FULL, True), (VERIFYING, False)):
            _, actions = step(state, event, rules_with())
            first = actions[0]
            assert isinstance(first, Speak)
            assert first.interruptible is not deaf
            assert (first.spoken == (SETTLE,)) is deaf
            assert all(action.interruptible for action in actions[1:] if isinstance(action, Speak))
    assert step(ENTRY, keys(CODE, "length"), rules_with())[0].full
    assert not step(ENTRY, keys(CODE), rules_with())[0].full


def test_the_read_back_speaks_the_digits_in_fours() -> None:
    _, actions = step(replace(VERIFYING, slips=1), slip_at(7), rules_with())
    (speech,) = (action for action in actions if isinstance(action, Speak))
    spoken = code(CODE)
    assert any(speech.spoken[at : at + len(spoken)] == spoken for at in range(len(speech.spoken)))


@pytest.mark.parametrize("locale", LOCALES)
def test_a_slip_is_hinted_at_in_the_words_of_the_reply(locale: str) -> None:
    for event in (slip_at(7), slip_at(7, 8), UNLOCATED, LENGTH):
        _, actions = step(replace(VERIFYING, locale=locale), event, rules_with())
        words = wording().reply(event.verdict, locale).spoken
        assert isinstance(actions[0], Speak)
        assert actions[0].spoken[: len(words)] == words
    assert set(position(7, locale)) <= set(wording().reply(slip_at(7).verdict, locale).spoken)


def test_slips_of_one_code_are_forgotten_with_the_next() -> None:
    rules = rules_with()
    state, _ = step(replace(VERIFYING, slips=2), FIRST, rules)
    state, _ = step(state, keys("1"), rules)
    state, _ = step(state, keys(CODE), rules)
    _, actions = step(state, slip_at(7), rules)
    assert said(actions) == [*SEVENTH, "entry.again"]


def test_wrong_codes_of_a_call_are_counted_over_its_codes() -> None:
    rules, state = rules_with(), ENTRY
    for entry in (1, 2, 3):
        state, actions = step(state, keys(CODE), rules)
        assert actions[-1] == verify(entry=entry)
        state, actions = step(state, NOT_FOUND, rules)
        if entry < 3:
            state, _ = step(state, keys("1"), rules)
    assert state.name is N.ENDED
    assert said(actions)[-2:] == ["limit.wrong", "goodbye"]


def test_saying_a_wrong_code_again_does_not_count_it_again() -> None:
    rules = rules_with()
    state, _ = step(VERIFYING, NOT_FOUND, rules)
    for _ in range(5):
        state, actions = step(state, keys("*"), rules)
        assert actions == (verify(),)
        state, _ = step(state, NOT_FOUND, rules)
    assert state.wrong == 1
    assert state.entries == 1


def test_a_voice_ends_the_count_of_silences() -> None:
    rules = rules_with()
    state, _ = step(SILENT, keys("*"), rules)
    state, actions = step(state, Silence(), rules)
    assert state.name is N.ENTRY
    assert actions[-1] == PLAIN


def test_a_call_of_endless_keys_ends() -> None:
    rules, state = rules_with(), ENTRY
    for count in range(1, rules.inputs + 1):
        state, actions = step(state, keys("*"), rules)
        assert (state.name is N.ENDED) is (count == rules.inputs)
    assert said(actions) == ["limit.call", "goodbye"]
    assert actions[-1] == HANG_UP


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("400-800-1234", LINE),
        ("+86 10 1234 5678", "+861012345678"),
        (" 95001 ", "95001"),
        ("", ""),
        ("ask the shop", ""),
        ("1" * 40, ""),
    ],
)
def test_the_brands_line_is_dialled_as_digits(written: str, number: str) -> None:
    verdict = Verdict(outcome=Outcome.FIRST, label=replace(LABEL, service_line=written))
    event = Answered(verdict=verdict, spoken=())
    assert step(VERIFYING, event, rules_with(brand_lines=True))[0].brand_line == number
    assert step(VERIFYING, event, rules_with())[0].brand_line == ""


def test_no_code_shows_in_a_log() -> None:
    state, actions = step(ENTRY, keys(CODE), rules_with())
    assert CODE not in repr((state, actions, keys(CODE)))


@pytest.mark.parametrize(
    "wrong", [{"lengths": frozenset()}, {"lengths": frozenset({1})}, {"entries": 0}, {"first_digit_s": 0}]
)
def test_rules_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        rules_with(**wrong)


PAGE = Path(__file__).parents[3] / "docs" / "hotline-dialogue.md"  # held to be fresh in tests/architecture


def test_phrases_have_keys_of_their_own_and_are_all_spoken_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len({phrase.key for phrase in PHRASES}) == len(PHRASES)
    menus = {"menu.repeat", "menu.another", "menu.report", "menu.operator"}
    assert {phrase.key for phrase in PHRASES if f"`{phrase.key}`" not in page} == menus


def test_every_arrow_of_the_page_is_tried_here() -> None:
    page = PAGE.read_text(encoding="utf-8")
    drawn = {
        tuple(line.partition(":")[0].split())[::2]
        for line in page.splitlines()
        if " --> " in line and "[*]" not in line
    }
    tried = {(case[0].name.value, case[3].value) for case in CASES.values()}
    assert drawn - tried == set()
