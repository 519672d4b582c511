"""The spoken form: every answer in every language, in phrases of the catalogue, meaning what the page means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.speech import phrasing
from app.speech.catalogue import load_books
from app.speech.spoken import Name, Pause, Phrase, Spoken
from channels.wording.locales import LOCALES
from channels.wording.reply import Wording
from channels.wording.spoken import spoken_forms
from channels.wording.variants import Variant
from tests.unit.wording.verdicts import AT, verdict_of

BOOKS = load_books(Path(__file__).resolve().parents[3] / "voice_prompts")
WORDING = Wording.load("Asia/Shanghai")
COUNTED = [
    variant
    for variant in Variant
    if variant.value.startswith(("repeat", "over_limit")) and variant is not Variant.REPEAT_OWN_MOMENT
]
TWO_MOMENTS = {Variant.REPEAT_OWN_BEFORE, Variant.OVER_LIMIT_OWN_BEFORE}


def keys(spoken: Spoken) -> list[str]:
    return [item.key for item in spoken if isinstance(item, Phrase)]


def within(part: Spoken, whole: Spoken) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("variant", Variant)
def test_every_answer_is_spoken_in_phrases_of_the_catalogue(variant: Variant, locale: str) -> None:
    spoken = WORDING.reply(verdict_of(variant), locale).spoken
    assert keys(spoken)
    assert set(keys(spoken)) <= BOOKS[locale].prompts.keys()
    assert spoken == WORDING.reply(verdict_of(variant), locale).spoken
    assert not isinstance(spoken[0], Pause)
    assert not isinstance(spoken[-1], Pause)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("variant", COUNTED)
def test_a_repeat_says_how_often_and_since_when(variant: Variant, locale: str) -> None:
    verdict = verdict_of(variant, ordinal=12)
    spoken = WORDING.reply(verdict, locale).spoken
    zone = WORDING.reply(verdict, locale).book.zone
    since = verdict.own_first_at if variant is Variant.REPEAT_OWN else AT
    assert since is not None
    assert within(phrasing.count(12, locale), spoken)
    if variant in TWO_MOMENTS:  # the days alone, since nobody keeps both to the minute in mind
        assert within(phrasing.day(since.astimezone(zone), locale), spoken)
        assert verdict.own_first_at is not None
        assert within(phrasing.day(verdict.own_first_at.astimezone(zone), locale), spoken)
    else:
        assert within(phrasing.moment(since.astimezone(zone), locale), spoken)


@pytest.mark.parametrize("locale", LOCALES)
def test_warnings_say_where_and_whom_to_call(locale: str) -> None:
    spoken = WORDING.reply(verdict_of(Variant.REPEAT), locale).spoken
    assert within(phrasing.say("channel.sms", "place.neimenggu"), spoken)
    assert spoken[-len(phrasing.telephone("400-800-1234")) :] == phrasing.telephone("400-800-1234")


def test_names_are_those_of_the_language() -> None:
    chinese = WORDING.reply(verdict_of(Variant.FIRST), "zh-CN").spoken
    english = WORDING.reply(verdict_of(Variant.FIRST), "en").spoken
    assert [item.text for item in chinese if isinstance(item, Name)] == ["海岸牧场", "奶粉"]
    assert [item.text for item in english if isinstance(item, Name)] == ["Coast", "Milk"]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_slip_says_the_place_and_never_a_digit(locale: str) -> None:
    spoken = WORDING.reply(verdict_of(Variant.MISTYPED_SLIP_PAIR), locale).spoken
    assert {"position.7", "position.8"} <= set(keys(spoken))
    assert not any(key.startswith("digit.") for key in keys(spoken))


def test_every_recorded_place_and_channel_has_a_phrase() -> None:
    book = WORDING.reply(verdict_of(Variant.FIRST)).book
    forms = spoken_forms()
    assert forms.places.keys() == book.places.keys()
    assert forms.channels.keys() == book.channels.keys()
    assert forms.place("内蒙古呼和浩特") == phrasing.say("place.neimenggu")
    assert forms.place("") == forms.place("火星") == ()
    assert forms.channel("telegraph") == ()


def test_what_is_not_known_is_not_spoken() -> None:
    verdict = verdict_of(Variant.REPEAT, place="", channel="unknown")
    spoken = keys(WORDING.reply(verdict, "zh-CN").spoken)
    assert not any(key.startswith(("place.", "channel.")) for key in spoken)


def test_moments_are_told_in_the_display_zone() -> None:
    assert datetime(2026, 3, 5, 1, 12, tzinfo=UTC) == AT
    assert "hour.9" in keys(WORDING.reply(verdict_of(Variant.REPEAT), "zh-CN").spoken)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("variant", [Variant.REPEAT_OWN_BEFORE, Variant.OVER_LIMIT_OWN_BEFORE])
def test_a_second_moment_is_told_by_its_day(variant: Variant, locale: str) -> None:
    verdict = verdict_of(variant)
    assert verdict.own_first_at is not None
    reply = WORDING.reply(verdict, locale)
    spoken = keys(reply.spoken)
    own = keys(phrasing.day(verdict.own_first_at.astimezone(reply.book.zone), locale))
    after = spoken[spoken.index("verdict.own_first") + 1 :]
    assert after[: len(own)] == own
    assert not any(key.startswith("hour.") for key in after)
