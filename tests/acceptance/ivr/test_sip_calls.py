"""Real SIP calls to the real service through the provider's stand-in: what callers hear, and what is recorded.

All calls are made at the same time, because each takes the seconds that its sound takes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pytest
import pytest_asyncio

from tests.acceptance.ivr.callbacks import telephone
from tests.acceptance.ivr.hearing import HEARD, NOT_HEARD, best_match, correlate
from tests.acceptance.ivr.hotline import PUBLIC, SHORTEST_WORD, TOKEN, VOICE, Fact, Hotline
from tests.acceptance.ivr.sound import RATE, Samples
from tests.acceptance.ivr.telephony import (
    CallResult,
    HangUp,
    Keys,
    Line,
    call,
    prompt_begins,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

AT_ONCE: Final = 7  # calls; every one is two processes, and late packets would be heard
FIRST: Final = ("verdict.matches_first", "advice.compare_pack", "advice.differs", "menu.repeat")
# Whole sentences that must not be heard where they were not said. Shorter ones are words within others.
SENTENCES: Final = ("verdict.", "advice.", "slip.", "limit.", "report.", "transfer.", "goodbye")
LONG: Final = 3 * RATE // 2
ALIKE: Final = {
    "zh-CN": 3,
    "en": 2,
}  # characters or words in a row that two sentences share, and so does their sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One call: who calls, what they do, which sentences they hear in this order, and what it leaves in the record."""

    number: str | None
    script: tuple[Line, ...]
    hears: tuple[str, ...]
    recorded: tuple[tuple[str, int | None], ...]  # outcome and ordinal
    code: str = ""
    locale: str = "zh-CN"
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls that were made, by name, with the facts that each left."""

    hotline: Hotline
    planned: dict[str, Planned]
    results: dict[str, CallResult]
    facts: list[Fact]
    serials: dict[str, int] = field(default_factory=dict)

    def left_by(self, name: str) -> list[Fact]:
        """Return the facts about the label of a call."""
        serial = self.serials[name]
        return [fact for fact in self.facts if fact.serial == serial]


def plan(hotline: Hotline) -> tuple[dict[str, Planned], dict[str, int]]:
    """Return the calls to make, and the serials of their labels."""
    chosen = {name: hotline.labels["plain"].pop() for name in ("first", "repeat", "slip", "english")}
    codes = {name: code for name, (_, code) in chosen.items()}
    slip = codes["slip"][:6] + str((int(codes["slip"][6]) + 1) % 10) + codes["slip"][7:]

    def begins(key: str, locale: str = "zh-CN", ms: int = 0) -> Any:
        return prompt_begins(hotline.sha(key, locale), ms=ms)

    at_the_prompt = begins("entry.prompt", ms=600)
    at_the_menu = HangUp(at=begins("menu.report"))  # the sentence before it has arrived by then
    asked = {
        "first": Planned(
            number="+8613700000001",
            code=codes["first"],
            script=(Keys(digits=codes["first"], at=at_the_prompt), at_the_menu),
            hears=("greeting", *FIRST),
            recorded=(("first", 1),),
            repeats=True,
        ),
        "repeat": Planned(
            number="+8613700000002",
            code=codes["repeat"],
            script=(Keys(digits=codes["repeat"], at=begins("greeting", ms=400)), at_the_menu),
            hears=(
                "verdict.checked",
                "verdict.first_time",
                "place.neimenggu",
                "advice.not_you",
                "menu.repeat",
            ),
            recorded=(("first", 1), ("repeat", 2)),
        ),
        "slip": Planned(
            number="+8613700000003",
            code=codes["slip"],
            script=(
                Keys(digits=slip, at=begins("greeting", ms=400)),
                Keys(digits=codes["slip"], at=begins("entry.again", ms=2200)),
                HangUp(at=begins("advice.compare_pack", ms=1500)),
            ),
            hears=("verdict.slip", "position.7", "advice.slip", "verdict.matches_first"),
            recorded=(("first", 1),),
        ),
        "unknown": Planned(
            number="+8613700000004",
            code=hotline.unknown(777_000),
            # the needless # behind the last digit must not cut the answer off
            script=(Keys(digits=hotline.unknown(777_000) + "#", at=begins("greeting", ms=400)), at_the_menu),
            hears=("verdict.not_found", "advice.not_found", "menu.repeat"),
            recorded=(),
        ),
        "silence": Planned(
            number="+8613700000005",
            script=(),
            hears=("greeting", "entry.prompt", "entry.silence", "goodbye"),
            recorded=(),
        ),
        "hung up": Planned(
            number="+8613700000006",
            script=(HangUp(at=begins("entry.prompt", ms=500)),),
            hears=("greeting",),
            recorded=(),
        ),
        "english": Planned(
            number=None,
            code=codes["english"],
            script=(
                Keys(digits="9#", at=begins("greeting", ms=400)),
                Keys(digits=codes["english"], at=begins("entry.prompt", "en", ms=500)),
                Keys(digits="*", at=begins("menu.repeat", "en", ms=300)),
                HangUp(at=begins("advice.compare_pack", "en", ms=1500)),
            ),
            hears=(*FIRST[:-1], FIRST[0]),
            recorded=(("first", 1),),
            locale="en",
        ),
    }
    return asked, {name: serial for name, (serial, _) in chosen.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(hotline: Hotline, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Calls]:
    folder = tmp_path_factory.mktemp("calls")
    planned, serials = plan(hotline)
    before = len(hotline.facts())
    async with telephone(hotline) as phone:
        earlier = await phone.call("+8613804710009")  # from the place with the longest name
        await earlier.keys(planned["repeat"].code)
        await earlier.hang_up()
    lines = asyncio.Semaphore(AT_ONCE)

    async def make(name: str, how: Planned) -> CallResult:
        async with lines:
            return await call(
                VOICE,
                TOKEN,
                how.script,
                folder=folder / name,
                caller=how.number,
                status_url=f"{VOICE}/status",
                reach={PUBLIC: hotline.origins[PUBLIC]},
                repeat_requests=how.repeats,
            )

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(make(name, how)) for name, how in planned.items()}
    results = {name: task.result() for name, task in tasks.items()}
    yield Calls(
        hotline=hotline, planned=planned, results=results, facts=hotline.facts(before), serials=serials
    )


CALLS: Final = ("first", "repeat", "slip", "unknown", "silence", "hung up", "english")


def runs(sentence: str, locale: str) -> set[tuple[str, ...]]:
    """Return every few characters, or words, that stand in a row in a sentence."""
    units = list(sentence) if locale == "zh-CN" else re.findall(r"[a-z]+", sentence.lower())
    length = ALIKE[locale]
    return {tuple(units[at : at + length]) for at in range(len(units) - length + 1)}


def unsaid(calls: Calls, name: str) -> dict[str, Samples]:
    """Return the sentences of the call's language that were not played and share no words with any that were."""
    hotline, locale = calls.hotline, calls.planned[name].locale
    played = {url.rpartition("/")[2].removesuffix(".wav") for url in calls.results[name].played}
    sentences = hotline.sentences(locale)
    said = {key for key in sentences if hotline.sha(key, locale) in played}
    heard = {run for key in said for run in runs(hotline.clips.sentence(key, locale), locale)}
    return {
        key: sound
        for key, sound in sentences.items()
        if key.startswith(SENTENCES)
        and key not in said
        and len(sound) >= LONG
        and heard.isdisjoint(runs(hotline.clips.sentence(key, locale), locale))
    }


def heard_at(recording: Samples, clip: Samples, since: int) -> int | None:
    """Return the sample at which a clip is heard behind ``since``, None where it is not.

    On a busy machine a packet comes late now and then, and splits a clip; one half then still is what it is.
    """
    half = len(clip) // 2
    parts = [(0, clip), (0, clip[:half]), (half, clip[half:])] if half >= SHORTEST_WORD else [(0, clip)]
    for begins, part in parts:
        scores = correlate(recording[since:], part)
        found = np.flatnonzero(scores >= HEARD)
        if len(found):
            return since + max(int(found[0]) - begins, 0)
    return None


@pytest.mark.parametrize("name", CALLS)
async def test_the_right_prompts_are_heard_in_their_order(calls: Calls, name: str) -> None:
    how, made = calls.planned[name], calls.results[name]
    sounds = calls.hotline.sentences(how.locale)
    at = 0
    for key in how.hears:
        heard = heard_at(made.heard, sounds[key], at)
        assert heard is not None, (key, at / RATE, made.describe())
        at = heard + RATE // 10
    assert not made.spoken_by_provider


@pytest.mark.parametrize("name", CALLS)
async def test_no_other_prompt_is_heard(calls: Calls, name: str) -> None:
    others = unsaid(calls, name)
    assert len(others) >= 8
    heard = calls.results[name].heard
    scores = {key: best_match(heard, key, sound).score for key, sound in others.items()}
    assert max(scores.values()) <= NOT_HEARD, {
        key: score for key, score in scores.items() if score > NOT_HEARD
    }


@pytest.mark.parametrize("name", ["first", "repeat", "slip", "english"])
async def test_the_record_holds_what_was_heard(calls: Calls, name: str) -> None:
    left = calls.left_by(name)
    assert [(fact.outcome, fact.ordinal) for fact in left] == list(calls.planned[name].recorded)
    assert {fact.channel for fact in left} == {"ivr"}
    assert (left[-1].caller is None) is (name == "english")  # who withheld the number


async def test_nothing_else_is_recorded(calls: Calls) -> None:
    assert [fact.outcome for fact in calls.facts if fact.serial is None] == ["not_found"]
    expected = sum(len(how.recorded) for how in calls.planned.values()) + 1
    assert len(calls.facts) == expected


async def test_the_caller_who_leaves_early_asked_nothing(calls: Calls) -> None:
    made = calls.results["hung up"]
    assert made.hung_up_by_caller
    assert made.digits == ("",) or not made.digits
    assert made.named("status_told")[0].facts["status"] == 204


async def test_silence_ends_in_a_hang_up_by_the_service(calls: Calls) -> None:
    made = calls.results["silence"]
    assert not made.hung_up_by_caller
    assert made.digits == ("", "")
    assert made.audio_played_s <= 40


async def test_a_key_stops_the_greeting_and_counts(calls: Calls) -> None:
    made = calls.results["repeat"]
    assert made.named("play_ends")[0].facts["cut"]
    assert made.digits[0] == calls.planned["repeat"].code


async def test_every_turn_is_answered_long_before_the_deadline(calls: Calls) -> None:
    took = [
        int(step.facts["took_ms"])
        for result in calls.results.values()
        for step in result.named("webhook")
        if step.facts.get("status") == 200
    ]
    assert max(took) < 6000
