"""How long a caller must listen: to the answer of a good first call, and on the longest way there is.

Counted are the seconds of clips that are played until the answer has been said, as somebody hears it who never
interrupts; the menu and the goodbye come after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from channels.wording.locales import LOCALES
from tests.acceptance.ivr.callbacks import Conversation, Heard, Telephone, seconds
from tests.acceptance.ivr.history import OLD_CALLERS, Past
from tests.acceptance.ivr.hotline import Hotline
from tests.acceptance.ivr.test_answers_heard import new_caller, until_the_end, with_digit, with_swap

GREETING_S = 5.0
FIRST_MATCH_S = 40.0
WORST_S = 90.0
MENU = ("menu.repeat", "menu.another", "menu.report", "menu.operator")
# Three slips of one code, each the longest hint of its kind; three that cannot be located would end the call.
SLIPS: dict[str, Callable[[str, int], str]] = {
    "located": lambda code, _: with_swap(code),
    "unlocated": lambda code, time: with_digit(with_digit(code, 2 + time), 9 + 2 * time),
}


def clips_s(played: list[Heard]) -> float:
    return seconds([heard for heard in played if heard.sha])


def until_answered_s(call: Conversation, hotline: Hotline, locale: str) -> float:
    """Return the seconds of clips up to the end of the answer that the last turn but one gave, before the menu."""
    menu = {hotline.sha(key, locale) for key in MENU}
    assert menu <= {heard.sha for heard in call.played}
    first = next(at for at, heard in enumerate(call.played) if heard.sha in menu)
    return clips_s(call.played[:first])


@pytest.mark.parametrize("locale", LOCALES)
async def test_a_first_match_is_known_soon(phone: Telephone, hotline: Hotline, locale: str) -> None:
    for batch in ("plain", "named"):
        call = await phone.call(new_caller(locale))
        greeting = [hotline.sha(key, locale) for key in ("greeting", "language.offer")]
        assert call.last[:2] == greeting
        assert clips_s(call.played[:2]) <= GREETING_S
        await call.keys(hotline.take(batch))
        assert until_answered_s(call, hotline, locale) <= FIRST_MATCH_S
        await until_the_end(call)
        if batch == "plain":
            assert clips_s(call.played) <= FIRST_MATCH_S, "even with the menu and the goodbye"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("slips", [("located",) * 3, ("located", "unlocated", "unlocated")], ids="-".join)
async def test_the_longest_way_to_the_longest_answer(
    phone: Telephone, past: Past, tmp_path: Path, slips: tuple[str, ...], locale: str
) -> None:
    """Say nothing, pause within the code, slip three times, and then hear of a label with a long history."""
    code = past.codes[locale, "many"]
    call = await phone.call(OLD_CALLERS[locale], repeats=False)  # which has twenty queries an hour
    await call.silence()
    for time, kind in enumerate(slips):
        wrong = SLIPS[kind](code, time)
        if not time:
            await call.keys(wrong[:9])
            wrong = wrong[9:]
        await call.keys(wrong)
    await call.keys(code)
    assert past.hotline.facts()[-1].outcome == "over_limit"
    assert past.hotline.sha("verdict.own_first", locale) in call.last
    await until_the_end(call)
    call.save(tmp_path / "worst.wav")
    assert until_answered_s(call, past.hotline, locale) <= WORST_S


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", SLIPS)
async def test_whoever_never_gets_it_right_is_let_go(
    phone: Telephone, hotline: Hotline, kind: str, locale: str
) -> None:
    """Every silence and every slip there is, until the service hangs up by itself."""
    call = await phone.call(new_caller(locale), repeats=False)
    code = hotline.take("named")
    await call.silence()
    for time in range(3):
        await call.keys(SLIPS[kind](code, time))
        if not time:
            await call.silence()
    await until_the_end(call)
    assert seconds(call.played) <= WORST_S, "with all pauses"


async def test_silence_alone_ends_within_two_turns(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    call = await phone.call()
    await call.silence()
    assert not call.over
    await call.silence()
    assert call.over
    assert hotline.sha("goodbye", "zh-CN") in call.last
    assert seconds(call.played) <= 20
    assert len(hotline.facts()) == before
