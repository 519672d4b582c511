"""A full call for every answer in both languages, by callbacks of the real service: what is heard, and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from app.core.model.verdict import Outcome
from channels.wording.locales import LOCALES
from channels.wording.spoken import spoken_forms
from channels.wording.variants import Variant
from tests.acceptance.ivr.callbacks import Conversation, Telephone, seconds
from tests.acceptance.ivr.hearing import first_place
from tests.acceptance.ivr.history import OLD_CALLERS, STRANGERS, Past
from tests.acceptance.ivr.hotline import Hotline, outcomes
from tests.acceptance.ivr.sound import RATE, Samples, read_clip
from tests.unit.wording.verdicts import LABEL, LONGEST_LABEL, verdict_of

TURN_S = 50.0  # an answer with its menu and all pauses; test_worst_call.py holds calls to the rules' figures
_NUMBERS = count(1_000_000)
_UNKNOWN = count(1)

Asked = Callable[[Telephone, Past, str], Awaitable[Conversation]]


def new_caller(locale: str) -> str:
    """Return a number nobody called from before."""
    number = next(_NUMBERS)
    return f"+86136{number:08}" if locale == "zh-CN" else f"+4420{number:08}"


async def ask(phone: Telephone, caller: str, code: str, finish: str = "") -> Conversation:
    call = await phone.call(caller)
    await call.keys(code, finish)
    return call


def with_digit(code: str, at: int) -> str:
    return code[:at] + str((int(code[at]) + 1) % 10) + code[at + 1 :]


def with_swap(code: str) -> str:
    at = next(at for at in range(len(code) - 1) if code[at] != code[at + 1])
    return code[:at] + code[at + 1] + code[at] + code[at + 2 :]


def of_batch(batch: str) -> Asked:
    async def asked(phone: Telephone, past: Past, locale: str) -> Conversation:
        return await ask(phone, new_caller(locale), phone.hotline.take(batch))

    return asked


def remembered(kind: str, *, own: bool) -> Asked:
    async def asked(phone: Telephone, past: Past, locale: str) -> Conversation:
        callers = OLD_CALLERS if own else STRANGERS
        return await ask(phone, callers[locale], past.codes[locale, kind])

    return asked


def mistyped(change: Callable[[str], str], finish: str = "") -> Asked:
    async def asked(phone: Telephone, past: Past, locale: str) -> Conversation:
        return await ask(phone, new_caller(locale), change(phone.hotline.take()), finish)

    return asked


async def not_found(phone: Telephone, past: Past, locale: str) -> Conversation:
    return await ask(phone, new_caller(locale), phone.hotline.unknown(next(_UNKNOWN)))


async def again_at_once(phone: Telephone, past: Past, locale: str) -> Conversation:
    caller, code = new_caller(locale), phone.hotline.take()
    await ask(phone, caller, code)
    return await ask(phone, caller, code)


async def throttled(phone: Telephone, past: Past, locale: str) -> Conversation:
    """Key five unknown codes, three in one call, and then a good one."""
    caller = new_caller(locale)
    for number in (3, 2):
        call = await phone.call(caller)
        for entry in range(number):
            await call.keys(phone.hotline.unknown(next(_UNKNOWN)))
            if entry < number - 1:
                await call.keys("1")
        assert call.over is (number == 3)
    await call.keys("1")
    await call.keys(phone.hotline.take())
    return call


ASKED: dict[Variant, Asked] = {
    Variant.FIRST: of_batch("named"),
    Variant.REPEAT_OWN: remembered("own", own=True),
    Variant.REPEAT_OWN_MOMENT: again_at_once,
    Variant.REPEAT: remembered("others", own=False),
    Variant.REPEAT_OWN_BEFORE: remembered("both", own=True),
    Variant.REPEAT_ALLOWED: remembered("family", own=False),
    Variant.OVER_LIMIT: remembered("many", own=False),
    Variant.OVER_LIMIT_OWN_BEFORE: remembered("many", own=True),
    Variant.NOT_FOUND: not_found,
    Variant.MISTYPED_WRONG_LENGTH: mistyped(lambda code: code[:13], "#"),
    Variant.MISTYPED_SLIP: mistyped(lambda code: with_digit(code, 6)),
    Variant.MISTYPED_SLIP_PAIR: mistyped(with_swap),
    Variant.MISTYPED_UNLOCATED: mistyped(lambda code: with_digit(with_digit(code, 3), 11)),
    Variant.NOT_ACTIVE: of_batch("not_active"),
    Variant.VOIDED: of_batch("voided"),
    Variant.RECALLED: of_batch("recalled"),
    Variant.EXPIRED: of_batch("expired"),
    Variant.THROTTLED: throttled,
}
# an entry without digits asks for digits and is no query; no answer at all has a test of its own
ELSEWHERE = {Variant.MISTYPED_NO_DIGITS, Variant.UNAVAILABLE}
NOT_RECORDED = {Outcome.MISTYPED, Outcome.THROTTLED}


def phrases_of(variant: Variant) -> list[str]:
    """Return the sentences of an answer, in order, facts and pauses left out."""
    items = spoken_forms().answers[variant]
    return [item for item in items if isinstance(item, str) and not item.startswith("{")]


def is_in_order(wanted: list[str], given: list[str]) -> bool:
    rest = iter(given)
    return all(item in rest for item in wanted)


def places_of(recording: Samples, clips: list[Samples]) -> list[float]:
    """Return when each clip is heard, in seconds, looked for one after the other. Fails where one is not heard."""
    places, at = [], 0
    for clip in clips:
        place, score = first_place(recording[at:], clip)
        assert place is not None, (places, score)
        at += place
        places.append(at / RATE)
        at += RATE // 10
    return places


async def until_the_end(call: Conversation) -> None:
    """Listen without a word until the other side hangs up; a bounded number of turns."""
    for _ in range(4):
        if call.over:
            return
        await call.silence()
    raise AssertionError("the call does not end")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("variant", sorted(ASKED))
async def test_an_answer_is_recorded_then_heard(
    phone: Telephone, past: Past, tmp_path: Path, variant: Variant, locale: str
) -> None:
    hotline = past.hotline
    before = len(hotline.facts())
    call = await ASKED[variant](phone, past, locale)
    outcome = verdict_of(variant).outcome
    if outcome in NOT_RECORDED:
        assert outcome.value not in outcomes(hotline.facts(before))
    else:
        fact = hotline.facts(before)[-1]
        assert (fact.outcome, fact.channel) == (outcome.value, "ivr")
        assert (fact.ordinal is None) is (outcome in {Outcome.NOT_FOUND, Outcome.NOT_ACTIVE, Outcome.VOIDED})
    answer = [hotline.sha(key, locale) for key in phrases_of(variant)]
    assert is_in_order(answer, call.last)
    assert seconds(call.turns[-1]) <= TURN_S
    if "{names}" in spoken_forms().answers[variant]:
        label = LABEL if variant is Variant.REPEAT_OWN_MOMENT else LONGEST_LABEL
        names = (label.brand, label.product) if locale == "zh-CN" else (label.brand_en, label.product_en)
        assert is_in_order([hotline.name_sha(name, locale) for name in names], call.last)
    await until_the_end(call)
    assert seconds(call.turns[0]) <= 10
    path = tmp_path / "call.wav"
    call.save(path)
    check_sound(
        hotline, path, call, [hotline.sha(key, locale) for key in ("greeting", "entry.prompt")], answer
    )


def check_sound(
    hotline: Hotline, path: Path, call: Conversation, begin: list[str], answer: list[str]
) -> None:
    """Check the written file: its length, its level, and that sentences are heard in their order."""
    sound = read_clip(path)
    assert len(sound) / RATE == pytest.approx(call.seconds, abs=0.001)
    loudest = int(np.abs(sound.astype(np.int32)).max())
    assert 0.3 * 32767 < loudest < 0.99 * 32767, "silent or clipped"
    assert not (np.abs(sound.astype(np.int32)) >= 32767).any()
    sounds = {heard.sha: heard.sound for heard in call.played}
    goodbye = hotline.sha("goodbye", "zh-CN")
    ends = [goodbye] if goodbye in sounds else []
    order = [sounds[sha] for sha in (*begin, *answer, *ends)]
    places = places_of(sound, order)
    assert places == sorted(places)
    assert places[0] < 0.1
