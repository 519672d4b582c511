"""The peer itself: real SIP calls with RTP and RFC 4733 keys, against a toy hotline.

All calls are made at the same time, because each takes the seconds that its sound takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.ivr.conftest import Dial
from tests.acceptance.ivr.hearing import HEARD, NOT_HEARD, best_match, find_clips, sounding_s
from tests.acceptance.ivr.telephony import (
    CALLED,
    CALLER,
    CallResult,
    HangUp,
    Keys,
    Line,
    Talk,
    call,
    gathering,
    listening,
    prompt_begins,
    recording,
    then,
)
from tests.acceptance.ivr.toy_hotline import CLIPS, RIGHT, TOKEN, Post, ToyHotline, running_toy_hotline

WRONG = "8800555535"
AT_ONCE = 5  # calls; every one is two processes, and late packets would be heard

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


class Calls:
    """The calls that were made, by name, and what the toy saw of each."""

    def __init__(self, toy: ToyHotline, results: dict[str, CallResult]) -> None:
        self._toy = toy
        self._results = results

    def __getitem__(self, name: str) -> CallResult:
        return self._results[name]

    def posts(self, name: str) -> list[Post]:
        return self._toy.of(self._results[name].call_sid)

    def paths(self, name: str) -> list[str]:
        return [post.path for post in self.posts(name)]


def plan() -> dict[str, tuple[str, list[Line], dict[str, Any]]]:
    """Return the calls to make: path of the voice webhook, script, and what else the call is given."""
    return {
        "right": ("/voice", [Keys(digits=RIGHT + "#", at=listening())], {}),
        "wrong": ("/voice", [Keys(digits=WRONG + "#", at=listening(ms=300))], {"repeat_requests": True}),
        "barge-in": ("/voice", [Keys(digits=RIGHT, at=prompt_begins("greeting", ms=500))], {}),
        "silence": ("/voice", [Keys(digits="#", at=listening(ms=100))], {}),
        "full": ("/wants-every-silence", [Keys(digits=RIGHT, at=gathering(ms=100))], {"caller": None}),
        "empty": ("/wants-every-silence", [], {}),
        "early hang-up": ("/voice", [HangUp(at=prompt_begins("greeting", ms=700))], {}),
        "report": ("/report", [Talk(ms=700, at=recording(ms=100))], {}),
        "cut report": ("/report", [Talk(ms=500, at=recording()), HangUp(at=then())], {}),
        "mute report": ("/report", [], {}),
        "refused": ("/refusing", [], {}),
        "strange": ("/strange", [], {"faults_expected": True}),
        "no clip": ("/no-clip", [], {"faults_expected": True}),
        "forgetful": ("/forgetful", [], {"faults_expected": True, "repeat_requests": True}),
        "forged": ("/voice", [], {"faults_expected": True, "token": "another token"}),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Calls]:
    folder = tmp_path_factory.mktemp("calls")
    lines = asyncio.Semaphore(AT_ONCE)
    async with running_toy_hotline() as toy:

        async def make(name: str, path: str, script: list[Line], options: dict[str, Any]) -> CallResult:
            options = {"token": TOKEN, "status_url": f"{toy.public}/status"} | options
            async with lines:
                return await call(
                    f"{toy.public}{path}",
                    script=script,
                    folder=folder / name,
                    reach={toy.public: toy.origin},
                    **options,
                )

        made = plan()
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(make(name, *what)) for name, what in made.items()}
        yield Calls(toy, {name: task.result() for name, task in tasks.items()})


@pytest.mark.parametrize(
    ("name", "verdict", "other"), [("right", "genuine", "unknown"), ("wrong", "unknown", "genuine")]
)
async def test_what_is_keyed_decides_what_is_heard(calls: Calls, name: str, verdict: str, other: str) -> None:
    made = calls[name]
    heard = made.heard
    assert [match.name for match in find_clips(heard, CLIPS)] == ["greeting", verdict]
    assert all(best_match(heard, name, CLIPS[name]).score >= HEARD for name in ("greeting", verdict))
    assert all(best_match(heard, name, CLIPS[name]).score <= NOT_HEARD for name in (other, "goodbye"))
    assert made.audio_played_s == pytest.approx(3.2, abs=0.05)
    assert sounding_s(heard) == pytest.approx(3.2, abs=0.1)


async def test_repeated_digits_arrive_one_by_one(calls: Calls) -> None:
    assert calls["right"].digits == (RIGHT,)
    assert calls["wrong"].digits == (WRONG,)


async def test_every_post_is_signed_over_the_public_address(calls: Calls) -> None:
    for name in ("right", "wrong", "silence", "report", "early hang-up"):
        assert all(post.authentic for post in calls.posts(name)), calls[name].describe()
    assert not any(post.authentic for post in calls.posts("forged"))
    assert "the webhook was answered with 403" in calls["forged"].faults


async def test_the_forms_say_who_calls_and_how_far_the_call_is(calls: Calls) -> None:
    first, entered, over = calls.posts("right")
    assert (first.form["From"], first.form["To"], first.form["Direction"]) == (CALLER, CALLED, "inbound")
    assert [post.form["CallStatus"] for post in (first, entered, over)] == [
        "ringing",
        "in-progress",
        "completed",
    ]
    assert (entered.path, entered.form["Digits"], entered.form["FinishedOnKey"]) == (
        "/entered?call=1",
        RIGHT,
        "#",
    )
    assert int(over.form["CallDuration"]) >= calls["right"].audio_played_s
    assert calls.posts("full")[0].form["From"] == "+266696687"


async def test_a_repeated_request_has_the_same_token(calls: Calls) -> None:
    assert calls.paths("wrong") == ["/voice", "/voice", "/entered?call=1", "/entered?call=1", "/status"]
    tokens = [post.idempotency for post in calls.posts("wrong")]
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]
    assert calls["forgetful"].faults == ("the repeated request got another answer",)


async def test_a_key_interrupts_the_prompt(calls: Calls) -> None:
    made = calls["barge-in"]
    greeting = made.named("play_ends")[0]
    assert greeting.facts["cut"]
    assert 400 <= greeting.facts["played_ms"] <= 1200
    assert made.digits == (RIGHT,)  # no finish key: the timeout ends it
    assert best_match(made.heard, "genuine", CLIPS["genuine"]).score >= HEARD
    assert best_match(made.heard, "greeting", CLIPS["greeting"][-8000:]).score <= NOT_HEARD


async def test_silence_falls_through_to_the_next_verb(calls: Calls) -> None:
    made = calls["silence"]
    assert made.digits == ("",)  # the finish key alone is none
    assert calls.paths("silence") == ["/voice", "/silence", "/status"]
    assert made.spoken_by_provider == ("再见",)
    assert [match.name for match in find_clips(made.heard, CLIPS)] == ["greeting", "goodbye"]


async def test_the_last_digit_ends_the_input(calls: Calls) -> None:
    full = calls["full"]
    assert full.named("gather_ends")[0].facts["why"] == "full"
    assert calls.posts("full")[1].form["Digits"] == RIGHT


async def test_silence_is_told_where_it_is_wanted(calls: Calls) -> None:
    assert calls.posts("empty")[1].form["Digits"] == ""
    assert find_clips(calls["empty"].heard, CLIPS)[0].name == "unknown"


async def test_the_caller_hangs_up_early(calls: Calls) -> None:
    made = calls["early hang-up"]
    assert made.hung_up_by_caller
    assert not made.digits
    assert made.seconds < 2
    assert calls.paths("early hang-up") == ["/voice", "/status"]
    assert not calls["right"].hung_up_by_caller


async def test_a_report_is_recorded_and_the_operator_is_busy(calls: Calls) -> None:
    made = calls["report"]
    assert calls.paths("report") == ["/report", "/reported", "/dialled", "/status"]
    _, recorded, dialled, _ = calls.posts("report")
    assert recorded.form["RecordingSid"].startswith("RE")
    assert 1 <= int(recorded.form["RecordingDuration"]) <= 4
    assert made.named("dial")[0].facts == {"number": "4008001234", "outcome": "busy"}
    assert dialled.form["DialCallStatus"] == "busy"


async def test_a_recording_ends_with_the_call_and_an_empty_one_is_none(calls: Calls) -> None:
    assert [post.form.get("Digits") for post in calls.posts("cut report")] == [None, "hangup", None]
    assert calls.paths("mute report") == ["/report", "/status"]
    assert not calls["mute report"].named("record_ends")[0].facts["audible"]


async def test_a_refused_call_is_never_answered(calls: Calls) -> None:
    made = calls["refused"]
    assert made.recording is None
    assert made.seconds == 0
    assert calls.posts("refused")[-1].form["CallStatus"] == "busy"


async def test_what_cannot_be_executed_is_a_fault(calls: Calls) -> None:
    assert calls["strange"].faults == ("<Gather> with unknown attributes ['speed']",)
    assert calls["no clip"].faults[0].endswith("is 'text/plain', not audio (13420)")


async def test_a_webhook_that_nobody_serves_is_tried_twice(dial: Dial) -> None:
    made = await dial("http://127.0.0.1:9/voice", TOKEN, [], faults_expected=True)
    assert [step.facts["attempt"] for step in made.named("webhook")] == [1, 2]
    assert made.faults == ("the webhook could not be connected to",)


async def test_a_script_that_cannot_be_followed_fails(dial: Dial) -> None:
    async with running_toy_hotline() as toy:
        with pytest.raises(AssertionError, match="the call ended before"):
            await dial(
                f"{toy.public}/refusing",
                TOKEN,
                [Keys(digits="1", at=listening())],
                reach={toy.public: toy.origin},
            )
