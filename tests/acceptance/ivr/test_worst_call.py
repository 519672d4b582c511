"""How long a caller must listen: to the answer of a good first call, and up to the hang-up on the longest way there is.

Counted is all that is played to somebody who never interrupts, pauses too. Longest are names, dates, counts and service
lines; the way is walked with the real service, and the dialogue is searched for a longer one on each provider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.speech.phrasing import WHOLE_YEARS
from app.speech.spoken import Name, Phrase
from channels.base import InboundRequest
from channels.ivr.actions import HangUp, Speak
from channels.ivr.events import Answered, Keys, Silence
from channels.ivr.exploring import longest_listening
from channels.ivr.fastagi.dialect import FastAgiDialect
from channels.ivr.fastagi.script import read_script
from channels.ivr.rules import Rules
from channels.ivr.settings import FastAgiOptions, IvrSettings
from channels.ivr.twilio.twiml import Twiml
from channels.wording.locales import LOCALES
from channels.wording.reply import Wording
from channels.wording.variants import Variant
from tests.acceptance.ivr import twiml
from tests.acceptance.ivr.callbacks import Conversation, Telephone, seconds
from tests.acceptance.ivr.history import MANY, OLD_CALLERS, Past
from tests.acceptance.ivr.hotline import PUBLIC, Hotline
from tests.acceptance.ivr.sound import RATE, read_clip
from tests.acceptance.ivr.test_answers_heard import new_caller, until_the_end, with_digit, with_swap
from tests.fakes.clock import START, FakeClock
from tests.fakes.fake_spending import FakeSpending
from tests.unit.wording.verdicts import LONGEST_LABEL, verdict_of

GREETING_S = 5.0
FIRST_MATCH_S = 40.0
WORST_S = 90.0  # of all that is played, the menu and the goodbye too
ZONE = "Asia/Shanghai"
MENU = ("menu.repeat", "menu.another", "menu.report", "menu.operator")
# Three slips of one code, each the longest hint of its kind; three that cannot be located would end the call.
SLIPS: dict[str, Callable[[str, int], str]] = {
    "located": lambda code, _: with_swap(code),
    "unlocated": lambda code, time: with_digit(with_digit(code, 2 + time), 9 + 2 * time),
}


def until_answered_s(call: Conversation, hotline: Hotline, locale: str) -> float:
    """Return the seconds up to the end of the answer that the last turn but one gave, before the menu."""
    menu = {hotline.sha(key, locale) for key in MENU}
    assert menu <= {heard.sha for heard in call.played}
    first = next(at for at, heard in enumerate(call.played) if heard.sha in menu)
    return seconds(call.played[:first])


@pytest.mark.parametrize("locale", LOCALES)
async def test_a_first_match_is_known_soon(phone: Telephone, hotline: Hotline, locale: str) -> None:
    for batch in ("plain", "named"):
        call = await phone.call(new_caller(locale))
        greeting = [hotline.sha(key, locale) for key in ("greeting", "language.offer")]
        assert call.last[:2] == greeting
        assert seconds(call.played[:2]) <= GREETING_S
        await call.keys(hotline.take(batch))
        assert until_answered_s(call, hotline, locale) <= FIRST_MATCH_S
        await until_the_end(call)
        if batch == "plain":
            assert seconds(call.played) <= FIRST_MATCH_S, "even with the menu and the goodbye"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("slips", [("located",) * 3, ("located", "unlocated", "unlocated")], ids="-".join)
async def test_the_longest_way_to_the_longest_answer(
    phone: Telephone, past: Past, tmp_path: Path, slips: tuple[str, ...], locale: str
) -> None:
    """Before each entry say nothing, within it pause; slip three times, then hear of a label with a long history."""
    code = past.codes[locale, "many"]
    call = await phone.call(OLD_CALLERS[locale], repeats=False)  # which has twenty queries an hour
    for entry in (*(SLIPS[kind](code, time) for time, kind in enumerate(slips)), code):
        await call.silence()
        await call.keys(entry[:9])
        await call.keys(entry[9:])
    assert past.hotline.facts()[-1].outcome == "over_limit"
    assert past.hotline.sha("verdict.own_first", locale) in call.last
    await until_the_end(call)
    call.save(tmp_path / "worst.wav")
    assert past.hotline.sha("goodbye", locale) in call.last
    assert seconds(call.played) <= WORST_S


def phrase_s(hotline: Hotline, locale: str, item: Phrase | Name) -> float:
    clip = hotline.clips.find(item, locale)
    assert clip is not None, item
    return clip.duration_ms / 1000


def as_twilio_plays(hotline: Hotline) -> Callable[[Speak], float]:
    """Return what measures a speech by the files that a document plays."""
    documents = Twiml(hotline.clips, PUBLIC)

    def lasting(speech: Speak) -> float:
        played = twiml.read_twiml(documents.write((speech, HangUp()), "state"))[:-1]
        return sum(_file_s(hotline, verb) for verb in played)

    return lasting


def _file_s(hotline: Hotline, verb: twiml.Verb) -> float:
    assert isinstance(verb, twiml.Play), verb
    file = hotline.clips.sound(verb.url.rpartition("/")[2].removesuffix(".wav"))
    assert file is not None, verb
    return len(read_clip(file)) / RATE


def as_a_switch_plays(hotline: Hotline) -> Callable[[Speak], float]:
    """Return what measures a speech by the sounds and waits of a script."""
    options = FastAgiOptions(listen="127.0.0.1:4573")
    settings = IvrSettings(clips=hotline.clips, spending=FakeSpending(), fastagi=options)
    dialect = FastAgiDialect(settings, clock=FakeClock())
    request = InboundRequest(method="CALL", route="fastagi", path="fastagi", received_at=START)

    def lasting(speech: Speak) -> float:
        script = read_script(dialect.encode(request, (speech, HangUp()), "state").body)
        lasts = (script.lengths_ms[item] if isinstance(item, str) else item for item in script.say)
        return sum(lasts) / 1000

    return lasting


def longest_moment(hotline: Hotline, locale: str) -> datetime:
    """Return the moment that takes longest to say."""
    parts = {
        "year": WHOLE_YEARS,
        "month": range(1, 13),
        "day": range(1, 29),
        "hour": range(24),
        "minute": range(1, 60),
    }

    def lasting(name: str, number: int) -> float:
        return phrase_s(hotline, locale, Phrase(key=f"{name}.{number}"))

    longest = {
        name: max(numbers, key=lambda number: lasting(name, number)) for name, numbers in parts.items()
    }
    return datetime(**longest, tzinfo=ZoneInfo(ZONE))


def longest_answers(hotline: Hotline, wording: Wording, locale: str) -> Iterator[Answered]:
    """Yield every answer with the longest facts there are."""
    at = longest_moment(hotline, locale)
    for variant in Variant:
        verdict = verdict_of(variant, label=LONGEST_LABEL, ordinal=MANY)
        verdict = replace(
            verdict,
            first=replace(verdict.first, at=at) if verdict.first else None,
            own_first_at=at if verdict.own_first_at else None,
        )
        yield Answered(verdict=verdict, spoken=wording.reply(verdict, locale).spoken)


@pytest.mark.parametrize("provider", [as_twilio_plays, as_a_switch_plays])
@pytest.mark.parametrize("operator", [True, False])
@pytest.mark.parametrize("locale", LOCALES)
def test_no_way_through_the_dialogue_is_longer(
    hotline: Hotline, locale: str, operator: bool, provider: Callable[[Hotline], Callable[[Speak], float]]
) -> None:
    """Whatever the slips and the answer, with a silence before every entry and a pause where it adds words."""
    wording = Wording.load(ZONE)
    rules = Rules(wording=wording, lengths=frozenset({20}), operator=operator, recording=True)
    answers = tuple(longest_answers(hotline, wording, locale))
    longest_s, way = longest_listening(
        rules, locale, answers, provider(hotline), digits="12345678901234567890"
    )
    assert longest_s <= WORST_S
    assert sum(isinstance(event, Answered) for event in way) == 4
    assert sum(isinstance(event, Silence) for event in way) == 5
    assert isinstance(way[-2], Answered | Keys)


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
    assert seconds(call.played) <= WORST_S


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
