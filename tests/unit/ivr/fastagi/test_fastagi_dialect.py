"""Moments out of what the listener brings, scripts out of actions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.call import CallEnd
from app.speech.spoken import Name, Pause, Phrase
from channels.base import InboundRequest, Refusal, RefusalKind
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer
from channels.ivr.adapter import IvrAdapter
from channels.ivr.dialect import CallEnded, CallMoment, CallRemark
from channels.ivr.events import Keys, Recorded, Silence, Started, TransferFailed
from channels.ivr.fastagi.dialect import FastAgiDialect
from channels.ivr.settings import FastAgiOptions, IvrSettings
from tests.fakes.clock import START, FakeClock
from tests.fakes.fake_clips import DURATION_MS, FakeClips, clip_sha
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.sample_service import start_sample_service

SETTINGS = IvrSettings(
    clips=FakeClips(missing=("no.clip", "new name")),
    spending=FakeSpending(),
    operator="400-800-1234",
    fastagi=FastAgiOptions(listen="127.0.0.1:4573", recordings="reports"),
)
GATHER = Gather(max_digits=20, first_digit_s=8, between_s=5)


def make_dialect(settings: IvrSettings = SETTINGS) -> FastAgiDialect:
    return FastAgiDialect(settings, clock=FakeClock(), token="token")


def moment(event: str, body: str = "", **headers: str) -> InboundRequest:
    told = {"link": "token", "call": "1.2-ab", "caller": "13800138000", "state": "s", "event": event}
    return InboundRequest(
        method="CALL",
        route="fastagi",
        path="fastagi",
        headers=told | headers,
        body=body.encode(),
        received_at=START,
    )


def script_of(*actions: Action) -> dict[str, object]:
    answer = make_dialect().encode(moment("started"), actions, "next")
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("request_", "event"),
    [
        (moment("started"), Started()),
        (moment("keys", "12*", ended="pause"), Keys(digits="12*", ended="pause")),
        (moment("keys", "", ended="hash"), Keys(digits="", ended="hash")),
        (moment("silence"), Silence()),
        (moment("transfer_failed"), TransferFailed()),
    ],
)
def test_moments(request_: InboundRequest, event: object) -> None:
    expected = CallMoment(call_id="1.2-ab", event=event, caller="13800138000", token="s")
    assert make_dialect().decode(request_) == expected


def test_the_language_of_the_address_comes_along() -> None:
    came = make_dialect().decode(moment("started", language="en"))
    assert isinstance(came, CallMoment)
    assert (came.event, came.language) == (Started(), "en")


def test_a_recording_is_named() -> None:
    came = make_dialect().decode(moment("recorded", "1.2-ab-00"))
    assert isinstance(came, CallMoment)
    assert (came.event, came.recording) == (Recorded(), "1.2-ab-00")


def test_what_never_became_a_call_is_counted_by_its_reason() -> None:
    assert make_dialect().decode(moment("refused", why="too_slow")) == CallRemark(why="too_slow")


@pytest.mark.parametrize(
    ("lasted", "seconds"), [("42", 42), ("0", 0), ("", None), ("-1", None), ("1e3", None)]
)
@pytest.mark.parametrize("how", [CallEnd.COMPLETED, CallEnd.HUNG_UP, CallEnd.TRANSFERRED, CallEnd.STOPPED])
def test_the_end_of_a_call(how: CallEnd, lasted: str, seconds: int | None) -> None:
    came = make_dialect().decode(moment(how.value, seconds=lasted))
    assert came == CallEnded(call_id="1.2-ab", how=how, seconds=seconds)


@pytest.mark.parametrize(
    "request_",
    [
        moment(""),
        moment("keys", "12"),
        moment("keys", "12", ended="never"),
        moment("keys", "12a", ended="hash"),
        moment("keys", "1" * 129, ended="hash"),
        moment("started", call=""),
        moment("started", call="a b"),
        moment("hung_up", call=""),
        moment("no_answer"),
        moment("refused", why="Anything at all"),
        replace(moment("keys", ended="hash"), body=b"\xff"),
    ],
)
def test_what_the_listener_does_not_make(request_: InboundRequest) -> None:
    with pytest.raises(Undecodable):
        make_dialect().decode(request_)


def test_only_our_own_listener_is_believed() -> None:
    dialect = make_dialect()
    dialect.authenticate(moment("started"))
    for link in ("", "other", "é"):
        with pytest.raises(NotAuthentic):
            dialect.authenticate(moment("started", link=link))
    assert dialect.routes() == ()
    assert [listener.name for listener in dialect.listeners()] == ["fastagi"]
    assert dialect.acknowledge(moment("hung_up")).status == 200


def test_speech_becomes_sounds_and_pauses() -> None:
    spoken = (Phrase(key="entry.prompt"), Pause(ms=300), Name(text="海岸牧场"))
    told = script_of(Speak(spoken=spoken, locale="zh-CN"), GATHER)
    sounds = ["zh-CN/entry-prompt", f"zh-CN/name-{clip_sha('海岸牧场', 'zh-CN')[:16]}"]
    assert told == {
        "say": [sounds[0], 300, sounds[1]],
        "deaf": 0,
        "lengths_ms": dict.fromkeys(sounds, DURATION_MS),
        "then": {"do": "gather", "max_digits": 20, "first_digit_s": 8, "between_s": 5},
        "state": "next",
    }


def test_a_phrase_without_a_clip_is_left_to_the_switch_and_a_name_is_left_out() -> None:
    spoken = (Phrase(key="no.clip"), Pause(ms=300), Name(text="new name"))
    told = script_of(Speak(spoken=spoken, locale="en"), HangUp())
    assert told["say"] == ["en/no-clip"]
    assert told["lengths_ms"] == {}


def test_what_no_key_may_stop_comes_first() -> None:
    settle = Speak(spoken=(Pause(ms=800),), locale="en", interruptible=False)
    told = script_of(settle, Speak(spoken=(Phrase(key="a"), Phrase(key="b")), locale="en"), GATHER)
    assert (told["say"], told["deaf"]) == ([800, "en/a", "en/b"], 1)


def test_the_other_waits() -> None:
    assert script_of(HangUp())["then"] == {"do": "hangup"}
    assert script_of(Transfer(to="operator"))["then"] == {"do": "transfer", "to": "4008001234"}
    assert script_of(Transfer(to="brand", number="+8613"))["then"] == {"do": "transfer", "to": "+8613"}
    record = script_of(Record(max_s=60))["then"]
    assert (record["do"], record["max_s"], record["name"][:7]) == ("record", 60, "1.2-ab-")
    assert len(record["name"]) == len("1.2-ab-") + 8


@pytest.mark.parametrize("kind", RefusalKind)
def test_where_we_failed_the_caller_hears_words(kind: RefusalKind) -> None:
    answer = make_dialect().refuse(Refusal(kind=kind, locale="en"))
    if kind in {RefusalKind.UNAVAILABLE, RefusalKind.INTERNAL}:
        told = json.loads(answer.body)
        assert told["say"][0] == "en/verdict-unavailable"
        assert told["say"][-1] == "en/goodbye"
        assert told["then"] == {"do": "hangup"}
    else:
        assert answer.status in {400, 403}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (replace(SETTINGS, fastagi=None), "ivr.fastagi"),
        (replace(SETTINGS, fastagi=FastAgiOptions(listen="nowhere")), "ivr.fastagi.listen"),
        (
            replace(SETTINGS, record_reports=True, fastagi=FastAgiOptions(listen="127.0.0.1:1")),
            "ivr.fastagi.recordings",
        ),
        (replace(SETTINGS, operator="sip:desk@example"), "ivr.operator"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: IvrSettings, field: str) -> None:
    with pytest.raises(SettingsInvalid, match=field):
        make_dialect(settings)


async def test_a_switch_is_called_and_not_simulated() -> None:
    """`simulate call` posts webhooks, and a switch has no address for them."""
    service = await start_sample_service()
    adapter = IvrAdapter(make_dialect(), service.context, SETTINGS)
    await service.engine.close()
    assert "simulate" not in adapter.manifest.how_to_ask
