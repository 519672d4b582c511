"""Twilio Voice: what its forms become, what its TwiML says, and whole calls through the pipeline."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
import wave
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.call import CallEnd
from app.core.model.verdict import Outcome
from app.speech.silence import find_silence_ms
from app.speech.spoken import Name, Pause, Phrase, Spoken
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer, Verify
from channels.ivr.adapter import IvrAdapter
from channels.ivr.dialect import CallEnded, CallMoment, CallRemark, ClipWanted
from channels.ivr.events import Event, HungUp, Keys, Recorded, Silence, Started, TransferFailed
from channels.ivr.settings import IvrSettings, TwilioVoiceOptions
from channels.ivr.twilio.dialect import TwilioVoiceDialect
from channels.ivr.twilio.signing import Signatures
from channels.ivr.twilio.simulate import new_call_sid, signed_webhook
from channels.ivr.twilio.twiml import dialled
from channels.ivr.twilio.webhooks import CALLS, CLIPS, DIALLED, RECORDED, STATUS, TURNS, read_caller
from channels.signatures import parse_form
from channels.wording.locales import LOCALES
from tests.fakes.clock import START
from tests.fakes.fake_clips import FakeClips, clip_sha
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.memory_call_records import KeptCall
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service

ROOT = Path(__file__).parents[3]
PEER = ROOT / "tests/unit/sms/twilio_peer.js"
DECLARATIONS = ROOT / "node_modules/twilio/lib/twiml/VoiceResponse.d.ts"
TOKEN = "a-token-of-32-characters-or-more"
OTHER_TOKEN = "the-token-that-comes-after-this1"
SHOPPER = "+8613912345678"
OURS = "+8610690000001"
OPERATOR = "+86 755 8888-0000"
SID = "CA" + "0123456789abcdef" * 2
RECORDING = "RE" + "ab" * 16
STATE = "c2VhbGVkLXN0YXRl_-"
ADDRESS = re.compile(r"/channels/ivr/twilio/(turn|recorded|dialled)/(?:([0-9]+)/)?([A-Za-z0-9_-]+)")

# What Twilio documents for an incoming call, each field with a value of the documented shape.
CALL = {
    "AccountSid": "AC" + "12" * 16,
    "ApiVersion": "2010-04-01",
    "CallSid": SID,
    "CallStatus": "ringing",
    "CallToken": '{"parentCallInfoToken":"eyJ&=+"}',
    "Called": OURS,
    "CalledCity": "",
    "CalledCountry": "CN",
    "Caller": SHOPPER,
    "CallerCountry": "CN",
    "Direction": "inbound",
    "From": SHOPPER,
    "FromState": "Nei Mongol",
    "StirVerstat": "TN-Validation-Passed-A",
    "To": OURS,
}
KEYED = {**CALL, "CallStatus": "in-progress", "msg": "Gather End", "Digits": "1234", "FinishedOnKey": ""}


def settings_with(clips: FakeClips | None = None, **changes: object) -> IvrSettings:
    given: dict[str, object] = {
        "clips": clips or FakeClips(),
        "spending": FakeSpending(),
        "operator": OPERATOR,
        "record_reports": True,
        "twilio": TwilioVoiceOptions(auth_tokens=(TOKEN, OTHER_TOKEN)),
        **changes,
    }
    return IvrSettings(**given)  # type: ignore[arg-type]


def make_dialect(clips: FakeClips | None = None, **changes: object) -> TwilioVoiceDialect:
    return TwilioVoiceDialect(settings_with(clips, **changes), PUBLIC_URL)


@pytest.fixture
def dialect() -> TwilioVoiceDialect:
    return make_dialect()


def post(
    route: str,
    fields: Mapping[str, str] | bytes,
    *,
    content_type: str = "application/x-www-form-urlencoded; charset=UTF-8",
    **parts: str,
) -> InboundRequest:
    return InboundRequest(
        method="POST",
        route=route,
        path=route.format(**parts),
        parts=parts,
        headers={"content-type": content_type},
        body=fields if isinstance(fields, bytes) else urlencode(fields).encode(),
        received_at=START,
    )


def turn(fields: Mapping[str, str], most: str = "20") -> InboundRequest:
    return post(TURNS.path, {**KEYED, **fields}, most=most, state=STATE)


def signed(request: InboundRequest, token: str = TOKEN, public_url: str = PUBLIC_URL) -> InboundRequest:
    signature = Signatures((token,), public_url).sign(request.path, parse_form(request.body))
    return InboundRequest(
        method=request.method,
        route=request.route,
        path=request.path,
        parts=request.parts,
        headers={**request.headers, "x-twilio-signature": signature},
        body=request.body,
        received_at=START,
    )


def moment(dialect: TwilioVoiceDialect, request: InboundRequest) -> CallMoment:
    came = dialect.decode(request)
    assert isinstance(came, CallMoment)
    return came


class TestSignatures:
    CASES: tuple[tuple[str, Mapping[str, str]], ...] = (
        (CALLS.path, CALL),
        (TURNS.path.format(most=20, state=STATE), KEYED),
        (TURNS.path.format(most=1, state=STATE), {**KEYED, "Digits": "*", "FinishedOnKey": "#"}),
        (TURNS.path.format(most=1, state=STATE), {**KEYED, "Digits": ""}),
        (STATUS.path, {**CALL, "CallStatus": "completed", "CallDuration": "31"}),
    )

    def test_theirs_hold_with_us_and_ours_with_them(self, dialect: TwilioVoiceDialect) -> None:
        node = shutil.which("node")
        assert node is not None, "Node is not installed: see CONTRIBUTING.md"
        ours = Signatures((TOKEN,), PUBLIC_URL)
        asked = {
            "signatures": [
                {"token": token, "url": PUBLIC_URL + path, "fields": fields}
                for path, fields in self.CASES
                for token in (TOKEN, OTHER_TOKEN)
            ],
            "checks": [
                {
                    "token": TOKEN,
                    "url": PUBLIC_URL + path,
                    "fields": fields,
                    "signature": ours.sign(path, parse_form(urlencode(fields).encode())),
                }
                for path, fields in self.CASES
            ],
            "texts": [],
        }
        run = subprocess.run(
            [node, str(PEER)],
            input=json.dumps(asked),
            capture_output=True,
            check=True,
            cwd=ROOT,
            encoding="utf-8",
            timeout=60,
        )
        answers: dict[str, Any] = json.loads(run.stdout)
        assert answers["checks"] == [True] * len(self.CASES)
        theirs = iter(answers["signatures"])
        for path, fields in self.CASES:
            for _ in (TOKEN, OTHER_TOKEN):
                headers = {"x-twilio-signature": next(theirs)}
                body = urlencode(fields).encode()
                dialect.authenticate(
                    InboundRequest(
                        method="POST", route=path, path=path, headers=headers, body=body, received_at=START
                    )
                )

    def test_a_signature_holds_for_its_own_state_and_keys_alone(self, dialect: TwilioVoiceDialect) -> None:
        good = signed(turn({}))
        dialect.authenticate(good)
        signature = good.headers["x-twilio-signature"]
        for other in (
            turn({"Digits": "1235"}),
            turn({"FinishedOnKey": "#"}),
            turn({"From": "+8613900000000"}),
            turn({}, most="21"),
            post(TURNS.path, KEYED, most="20", state=STATE + "A"),
            post(RECORDED.path, KEYED, state=STATE),
            post(CALLS.path, KEYED),
            post(TURNS.path, b"Digits=%ff", most="20", state=STATE),
        ):
            headers = {**other.headers, "x-twilio-signature": signature}
            with pytest.raises(NotAuthentic):
                dialect.authenticate(
                    InboundRequest(
                        method="POST",
                        route=other.route,
                        path=other.path,
                        headers=headers,
                        body=other.body,
                        received_at=START,
                    )
                )

    def test_a_strangers_token_or_address_is_refused(self, dialect: TwilioVoiceDialect) -> None:
        for request in (
            signed(turn({}), token="another-token"),
            signed(turn({}), public_url="https://elsewhere.example"),
            turn({}),
        ):
            with pytest.raises(NotAuthentic):
                dialect.authenticate(request)

    def test_clips_need_none(self, dialect: TwilioVoiceDialect) -> None:
        dialect.authenticate(
            InboundRequest(method="GET", route=CLIPS.path, path="/channels/ivr/clips/x", received_at=START)
        )

    @pytest.mark.parametrize("tokens", [(), ("",), (TOKEN, " ")])
    def test_without_a_token_nothing_starts(self, tokens: tuple[str, ...]) -> None:
        with pytest.raises(SettingsInvalid, match=r"ivr\.twilio\.auth_tokens"):
            make_dialect(twilio=TwilioVoiceOptions(auth_tokens=tokens))
        with pytest.raises(SettingsInvalid):
            make_dialect(twilio=None)


class TestMoments:
    def test_a_call_begins(self, dialect: TwilioVoiceDialect) -> None:
        assert dialect.decode(post(CALLS.path, CALL)) == CallMoment(
            call_id=SID, event=Started(), caller=SHOPPER
        )

    @pytest.mark.parametrize(
        ("fields", "most", "event"),
        [
            ({"Digits": "1234", "FinishedOnKey": "#"}, "20", Keys(digits="1234", ended="hash")),
            ({"Digits": "1" * 20, "FinishedOnKey": "#"}, "20", Keys(digits="1" * 20, ended="hash")),
            ({"Digits": "1" * 20}, "20", Keys(digits="1" * 20, ended="length")),
            ({"Digits": "1" * 19}, "20", Keys(digits="1" * 19, ended="pause")),
            ({"Digits": "*"}, "1", Keys(digits="*", ended="length")),
            ({"Digits": "#"}, "1", Keys(digits="#", ended="length")),
            ({"Digits": "1A*"}, "20", Keys(digits="1A*", ended="pause")),
            ({"Digits": "", "FinishedOnKey": "#"}, "20", Keys(digits="", ended="hash")),
            ({"Digits": "", "FinishedOnKey": ""}, "20", Silence()),
        ],
    )
    def test_keys(self, dialect: TwilioVoiceDialect, fields: dict[str, str], most: str, event: Event) -> None:
        came = moment(dialect, turn(fields, most))
        assert came == CallMoment(call_id=SID, event=event, caller=SHOPPER, token=STATE)

    def test_a_provider_that_names_no_finish_is_taken_to_mean_hash(self, dialect: TwilioVoiceDialect) -> None:
        request = post(TURNS.path, {**CALL, "Digits": "1234"}, most="20", state=STATE)
        assert moment(dialect, request).event == Keys(digits="1234", ended="hash")

    def test_no_word_of_keys_is_silence(self, dialect: TwilioVoiceDialect) -> None:
        assert moment(dialect, post(TURNS.path, CALL, most="20", state=STATE)).event == Silence()

    @pytest.mark.parametrize(
        ("fields", "event", "recording"),
        [
            ({"RecordingSid": RECORDING, "RecordingDuration": "7"}, Recorded(), RECORDING),
            ({"RecordingUrl": f"https://api.twilio.com/x/Recordings/{RECORDING}"}, Recorded(), RECORDING),
            ({"RecordingSid": RECORDING, "Digits": "hangup"}, Recorded(), RECORDING),
            ({"RecordingSid": RECORDING, "RecordingDuration": "0"}, Silence(), ""),
            ({}, Silence(), ""),
        ],
    )
    def test_recordings(
        self, dialect: TwilioVoiceDialect, fields: dict[str, str], event: Event, recording: str
    ) -> None:
        came = moment(dialect, post(RECORDED.path, {**CALL, **fields}, state=STATE))
        assert (came.event, came.recording, came.token) == (event, recording, STATE)

    @pytest.mark.parametrize(
        ("status", "event"),
        [
            ("completed", HungUp()),
            ("answered", HungUp()),
            ("busy", TransferFailed()),
            ("no-answer", TransferFailed()),
            ("failed", TransferFailed()),
            ("canceled", TransferFailed()),
        ],
    )
    def test_transfers(self, dialect: TwilioVoiceDialect, status: str, event: Event) -> None:
        came = moment(dialect, post(DIALLED.path, {**CALL, "DialCallStatus": status}, state=STATE))
        assert came.event == event

    @pytest.mark.parametrize(
        ("status", "how"),
        [
            ("completed", CallEnd.COMPLETED),
            ("busy", CallEnd.BUSY),
            ("no-answer", CallEnd.NO_ANSWER),
            ("failed", CallEnd.FAILED),
            ("canceled", CallEnd.CANCELED),
        ],
    )
    @pytest.mark.parametrize(("lasted", "seconds"), [("42", 42), ("0", 0), ("", None), ("4 2", None)])
    def test_the_end_of_a_call_needs_no_words(
        self, dialect: TwilioVoiceDialect, status: str, how: CallEnd, lasted: str, seconds: int | None
    ) -> None:
        request = post(STATUS.path, {**CALL, "CallStatus": status, "CallDuration": lasted})
        assert dialect.decode(request) == CallEnded(call_id=SID, how=how, seconds=seconds)
        assert dialect.acknowledge(request) == OutboundResponse(status=204)

    def test_a_call_that_is_not_over_stays_open(self, dialect: TwilioVoiceDialect) -> None:
        request = post(STATUS.path, {**CALL, "CallStatus": "in-progress"})
        assert dialect.decode(request) == CallRemark(why="not_over")
        assert dialect.acknowledge(request) == OutboundResponse(status=204)

    def test_a_fallback_begins_a_call_that_had_not_begun(self, dialect: TwilioVoiceDialect) -> None:
        fields = {**CALL, "ErrorCode": "11205", "ErrorUrl": PUBLIC_URL + CALLS.path}
        assert moment(dialect, post(CALLS.path, fields)).event == Started()

    @pytest.mark.parametrize("where", [TURNS.path.format(most=20, state=STATE), "", "/other"])
    def test_a_fallback_never_begins_a_call_anew(self, dialect: TwilioVoiceDialect, where: str) -> None:
        request = post(CALLS.path, {**CALL, "ErrorCode": "11200", "ErrorUrl": where and PUBLIC_URL + where})
        assert dialect.decode(request) == CallRemark(why="broken")
        assert verbs(dialect.acknowledge(request))[-1].tag == "Hangup"

    def test_a_clip_is_wanted_by_its_name(self, dialect: TwilioVoiceDialect) -> None:
        for name in ("ab" * 16, "ab" * 16 + ".wav"):
            assert dialect.decode(clip_request(name)) == ClipWanted(sha="ab" * 16)
        for name in ("", ".wav", "../" * 3 + "key", "AB" * 16, "ab" * 33, "ab" * 16 + ".wav.wav"):
            with pytest.raises(Undecodable):
                dialect.decode(clip_request(name))

    @pytest.mark.parametrize(
        "written",
        [
            *(
                "",
                "anonymous",
                "Anonymous",
                "Restricted",
                "unknown",
                "+266696687",
                "266696687",
                "+7378742833",
            ),
            *("+2562533", "+8656696", "+86282452253", "+464", "client:alice", f"sip:{SHOPPER}@example.com"),
            *(f"{SHOPPER} ", SHOPPER.replace("1", "١"), "+" + "1" * 16, "whatsapp:" + SHOPPER),
        ],
    )
    def test_a_withheld_number_is_nobody(self, written: str) -> None:
        assert read_caller(written) == ""

    @pytest.mark.parametrize("written", [SHOPPER, "13912345678", "+14155550100", "01088886666"])
    def test_a_number_is_left_as_it_is_written(self, written: str) -> None:
        assert read_caller(written) == written

    @pytest.mark.parametrize(
        "request_",
        [
            turn({"CallSid": ""}),
            turn({"CallSid": SID[:-1]}),
            turn({"CallSid": SID.upper()}),
            turn({"CallSid": SID + "0"}),
            turn({"CallSid": SID + "\n"}),
            turn({"Digits": "12 34"}),
            turn({"Digits": "１２３４"}),
            turn({"Digits": "1" * 65}),
            turn({"Digits": "hangup"}),
            turn({}, most="0"),
            turn({}, most="x"),
            turn({}, most="1000"),
            post(TURNS.path, KEYED, most="20", state=""),
            post(RECORDED.path, {**CALL, "RecordingSid": "RE12"}, state=STATE),
            post(RECORDED.path, {**CALL, "RecordingUrl": "https://x.example/"}, state=STATE),
            post(DIALLED.path, {**CALL, "DialCallStatus": "riddle"}, state=STATE),
            post(DIALLED.path, CALL, state=STATE),
            post(STATUS.path, {**CALL, "CallStatus": ""}),
            post("/channels/ivr/twilio/elsewhere", CALL),
            post(CALLS.path, b""),
            post(CALLS.path, b"\x00" * 50),
            post(CALLS.path, b"CallSid=\xff"),
            post(CALLS.path, CALL, content_type="application/json"),
            post(CALLS.path, CALL, content_type=""),
        ],
    )
    def test_hostile_forms_are_malformed(self, dialect: TwilioVoiceDialect, request_: InboundRequest) -> None:
        with pytest.raises(Undecodable):
            dialect.decode(request_)

    @given(
        st.dictionaries(
            st.sampled_from(["CallSid", "Digits", "FinishedOnKey", "From", "CallStatus", "RecordingUrl"]),
            st.text(st.characters(codec="utf-8"), max_size=80),
        ),
        st.sampled_from([CALLS, TURNS, RECORDED, DIALLED, STATUS]),
    )
    def test_no_form_does_anything_else(self, fields: dict[str, str], route: Any) -> None:
        request = post(route.path, {"CallSid": SID, **fields}, most="20", state=STATE)
        try:
            came = make_dialect().decode(request)
        except Undecodable:
            return
        assert isinstance(came, CallRemark) or (
            isinstance(came, CallMoment | CallEnded) and came.call_id == SID
        )


def clip_request(name: str) -> InboundRequest:
    path = CLIPS.path.format(sha=name)
    return InboundRequest(method="GET", route=CLIPS.path, path=path, parts={"sha": name}, received_at=START)


def verbs(answer: OutboundResponse) -> list[ET.Element]:
    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")
    root = ET.fromstring(answer.body)
    assert root.tag == "Response"
    return list(root)


def allowed_attributes(verb: str) -> set[str]:
    """The attributes that the provider's Node library declares for a verb."""
    found = re.search(
        rf"interface {verb}Attributes \{{(.*?)^    \}}",
        DECLARATIONS.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, verb
    return set(re.findall(r"^        ([A-Za-z]+)\?:", found[1], re.MULTILINE))


def speak(*items: Phrase | Name | Pause | str, locale: str = "zh-CN", interruptible: bool = True) -> Speak:
    spoken: Spoken = tuple(Phrase(key=item) if isinstance(item, str) else item for item in items)
    return Speak(spoken=spoken, locale=locale, interruptible=interruptible)


class TestTwiml:
    clips = FakeClips(missing={"not.recorded", "无录音"})

    def encode(self, *actions: Action, request: InboundRequest | None = None) -> list[ET.Element]:
        dialect = make_dialect(self.clips)
        answer = dialect.encode(request or post(CALLS.path, CALL), actions, STATE)
        found = verbs(answer)
        for element in (part for verb in found for part in verb.iter()):
            if element.tag != "Hangup":
                assert set(element.attrib) <= allowed_attributes(element.tag), element.tag
        return found

    def words(self, element: ET.Element) -> str:
        if element.tag == "Play":
            assert element.text is not None
            assert element.text.startswith(PUBLIC_URL + "/channels/ivr/clips/")
            return self.clips.words(element.text.rpartition("/")[2].removesuffix(".wav"))
        return f"{element.tag} {element.text or element.get('length')}"

    def test_gathering_keys(self) -> None:
        waits = Gather(max_digits=20, first_digit_s=8, between_s=5)
        (gather,) = self.encode(speak("greeting", Pause(ms=300), "entry.prompt"), waits)
        assert gather.attrib == {
            "input": "dtmf",
            "numDigits": "20",
            "finishOnKey": "#",
            "timeout": "8",
            "action": f"{PUBLIC_URL}/channels/ivr/twilio/turn/20/{STATE}",
            "method": "POST",
            "actionOnEmptyResult": "true",
        }
        assert [self.words(part) for part in gather] == ["greeting", "300 ms", "entry.prompt"]

    def test_a_menu_takes_hash_as_a_key(self) -> None:
        waits = Gather(max_digits=1, first_digit_s=8, between_s=5, finish_on_hash=False)
        (gather,) = self.encode(waits)
        assert (gather.get("finishOnKey"), gather.get("numDigits")) == ("", "1")

    def test_what_no_key_may_stop_stands_before_the_gathering(self) -> None:
        waits = Gather(max_digits=1, first_digit_s=8, between_s=5)
        pause, before, gather = self.encode(
            speak(Pause(ms=800), interruptible=False),
            speak("verdict.recalled", interruptible=False),
            speak("menu.repeat"),
            waits,
        )
        assert [self.words(part) for part in (pause, before)] == ["800 ms", "verdict.recalled"]
        assert [self.words(part) for part in gather] == ["menu.repeat"]

    def test_what_comes_before_it_does_as_well(self) -> None:
        waits = Gather(max_digits=1, first_digit_s=8, between_s=5)
        found = self.encode(speak("a"), speak("b", interruptible=False), waits)
        assert [self.words(part) for part in found[:2]] == ["a", "b"]
        assert list(found[2]) == []

    @pytest.mark.parametrize(("locale", "language"), [("zh-CN", "zh-CN"), ("en", "en-US")])
    def test_a_missing_phrase_is_said_and_a_missing_name_left_out(self, locale: str, language: str) -> None:
        speech = speak(
            "a", "not.recorded", Pause(ms=400), Name(text="无录音"), Name(text="海岸"), locale=locale
        )
        said, words, name, _ = self.encode(speech, HangUp())
        assert self.words(said) == "a"
        assert (words.tag, words.attrib) == ("Say", {"language": language})
        assert words.text == f"not.recorded in {locale}"
        assert self.words(name) == "海岸"

    def test_every_locale_has_a_voice(self) -> None:
        for locale in LOCALES:
            assert self.encode(speak("not.recorded", locale=locale), HangUp())[0].get("language")

    @pytest.mark.parametrize("pause_ms", [10, 120, 180, 250, 600, 2000])
    def test_a_pause_is_a_silent_clip_that_any_machine_serves(self, pause_ms: int) -> None:
        played, _ = self.encode(speak(Pause(ms=pause_ms)), HangUp())
        assert self.words(played) == f"{pause_ms} ms"
        assert played.text is not None
        sound = FakeClips().sound(played.text.rpartition("/")[2].removesuffix(".wav"))
        assert sound is not None
        with wave.open(io.BytesIO(sound)) as file:
            assert file.getnframes() == pause_ms * 8
            assert not any(file.readframes(file.getnframes()))

    def test_recording_goes_on_to_the_same_address_where_nothing_was_said(self) -> None:
        said, record, redirect = self.encode(speak("report.record"), Record(max_s=60))
        action = f"{PUBLIC_URL}/channels/ivr/twilio/recorded/{STATE}"
        assert self.words(said) == "report.record"
        assert record.attrib == {
            "action": action,
            "method": "POST",
            "maxLength": "60",
            "timeout": "5",
            "finishOnKey": "#",
            "playBeep": "true",
        }
        assert (redirect.tag, redirect.text, redirect.get("method")) == ("Redirect", action, "POST")

    def test_a_transfer_shows_our_number(self) -> None:
        _, dial = self.encode(speak("transfer.operator"), Transfer(to="operator"))
        assert dial.attrib == {
            "action": f"{PUBLIC_URL}/channels/ivr/twilio/dialled/{STATE}",
            "method": "POST",
            "timeout": "25",
            "timeLimit": "1800",
            "callerId": OURS,
        }
        assert [(part.tag, part.text) for part in dial] == [("Number", "+8675588880000")]

    def test_a_transfer_to_the_brand_names_its_number_in_full(self) -> None:
        (dial,) = self.encode(Transfer(to="brand", number="4008001234"))
        assert dial[0].text == "+864008001234"

    def test_a_number_of_ours_that_is_none_is_not_shown(self) -> None:
        request = post(CALLS.path, {**CALL, "To": "sip:line@example.com"})
        (dial,) = self.encode(Transfer(to="operator"), request=request)
        assert dial.get("callerId") is None

    @pytest.mark.parametrize(
        ("written", "in_full"),
        [
            ("+8610-1234 5678", "+861012345678"),
            ("0086 10 12345678", "+861012345678"),
            ("010-12345678", "+861012345678"),
            ("400-800-1234", "+864008001234"),
            ("+1 (415) 555-0100", "+14155550100"),
        ],
    )
    def test_numbers_are_dialled_with_their_country(self, written: str, in_full: str) -> None:
        assert dialled(written) == in_full

    @pytest.mark.parametrize("operator", ["SIP/100", "100", "operator", "+" + "1" * 21, "sip:a@b"])
    def test_an_operator_that_cannot_be_dialled_stops_the_start(self, operator: str) -> None:
        with pytest.raises(SettingsInvalid, match=r"ivr\.operator"):
            make_dialect(operator=operator)

    def test_a_step_that_waits_for_nothing_is_a_fault(self) -> None:
        for actions in ((speak("a"),), (Verify(digits="1", entry_number=1),)):
            with pytest.raises(TypeError):
                make_dialect().encode(post(CALLS.path, CALL), actions, STATE)

    def test_words_are_escaped(self) -> None:
        class Clumsy(FakeClips):
            def sentence(self, key: str, locale: str) -> str:
                return "<Dial>900</Dial> & ]]>"

        dialect = make_dialect(Clumsy(missing={"a"}))
        said, _ = verbs(dialect.encode(post(CALLS.path, CALL), (speak("a"), HangUp()), STATE))
        assert (said.tag, said.text, len(said)) == ("Say", "<Dial>900</Dial> & ]]>", 0)


class TestRefusals:
    @pytest.mark.parametrize("locale", [*LOCALES, "xx"])
    @pytest.mark.parametrize("kind", [RefusalKind.UNAVAILABLE, RefusalKind.INTERNAL])
    def test_where_we_failed_the_caller_hears_last_words(self, kind: RefusalKind, locale: str) -> None:
        clips = FakeClips(missing={"goodbye"})
        answer = make_dialect(clips).refuse(Refusal(kind=kind, locale=locale))
        found = verbs(answer)
        played = [clips.words(urlsplit(part.text or "").path.split("/")[-1][:-4]) for part in found[:-2]]
        assert played == ["verdict.unavailable", "180 ms", "advice.says_nothing"]
        assert found[-2].text == f"goodbye in {'zh-CN' if locale == 'xx' else locale}"
        assert found[-1].tag == "Hangup"

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (RefusalKind.NOT_AUTHENTIC, 403),
            (RefusalKind.MALFORMED, 400),
            (RefusalKind.TOO_LARGE, 413),
            (RefusalKind.NOT_ALLOWED, 405),
            (RefusalKind.UNKNOWN_ADDRESS, 404),
        ],
    )
    def test_what_is_no_call_of_ours_is_an_error(
        self, dialect: TwilioVoiceDialect, kind: RefusalKind, status: int
    ) -> None:
        answer = dialect.refuse(Refusal(kind=kind))
        assert (answer.status, b"Response" in answer.body) == (status, False)


class Call:
    """A telephone call through the pipeline: follows the addresses that the TwiML names."""

    def __init__(self, service: SampleService, settings: IvrSettings, *, caller: str = SHOPPER) -> None:
        self._service = service
        self._clips = settings.clips
        assert settings.twilio is not None
        self._options = settings.twilio
        self._caller = caller
        self.call_sid = new_call_sid()
        self.adapter = IvrAdapter(TwilioVoiceDialect(settings, PUBLIC_URL), service.context, settings)
        self.requests: list[InboundRequest] = []
        self.answer = OutboundResponse(status=0)

    async def dial(self) -> list[str]:
        return await self._send(CALLS.path, CALLS.path, {}, {"CallStatus": "ringing"})

    async def key(self, digits: str, finish: str = "") -> list[str]:
        return await self.follow({"Digits": digits, "FinishedOnKey": finish})

    async def follow(self, fields: Mapping[str, str]) -> list[str]:
        """Post to the address that the last answer waits at."""
        found = ADDRESS.search(self.answer.body.decode())
        assert found is not None
        route = {"turn": TURNS, "recorded": RECORDED, "dialled": DIALLED}[found[1]].path
        parts = {"state": found[3], **({"most": found[2]} if found[2] else {})}
        return await self._send(route, found[0], parts, fields)

    async def end(self, status: str, **fields: str) -> OutboundResponse:
        """Tell the end of the call."""
        await self._post(STATUS.path, STATUS.path, {}, {"CallStatus": status, **fields})
        return self.answer

    async def again(self) -> OutboundResponse:
        """Deliver the last webhook once more."""
        return await self._service.pipeline.carry(self.adapter, self.requests[-1])

    async def _send(
        self, route: str, path: str, parts: Mapping[str, str], fields: Mapping[str, str]
    ) -> list[str]:
        await self._post(route, path, parts, fields)
        return self.heard()

    async def _post(self, route: str, path: str, parts: Mapping[str, str], fields: Mapping[str, str]) -> None:
        _, headers, body = signed_webhook(
            self._options,
            PUBLIC_URL,
            path,
            call_sid=self.call_sid,
            caller=self._caller,
            ours=OURS,
            fields=fields,
        )
        self.requests.append(
            InboundRequest(
                method="POST",
                route=route,
                path=path,
                parts=parts,
                headers=headers,
                body=body,
                received_at=self._service.clock.now(),
            )
        )
        self.answer = await self._service.pipeline.carry(self.adapter, self.requests[-1])

    def heard(self) -> list[str]:
        """What the last answer plays, pauses left out, and the verb it ends in."""
        assert isinstance(self._clips, FakeClips)
        found = verbs(self.answer)
        played = [
            (part.text or "").rpartition("/")[2].removesuffix(".wav")
            for verb in found
            for part in verb.iter("Play")
        ]
        words = [self._clips.words(sha) for sha in played if find_silence_ms(sha) is None]
        return [*words, found[-1].tag]


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


class TestCalls:
    async def test_a_first_verification(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        assert await call.dial() == ["greeting", "language.offer", "entry.prompt", "Gather"]
        heard = await call.key(service.code())
        assert heard[:2] == ["verdict.matches_first", "advice.compare_pack"]
        assert "海岸牧场" in heard
        assert heard[-1] == "Gather"
        assert await call.again() == call.answer
        (fact,) = service.store.facts
        assert (fact.verification.ordinal, fact.verification.channel) == (1, "ivr")
        ended = await call.follow({"Digits": ""})
        assert ended == ["goodbye", "Hangup"]

    async def test_the_status_callback_closes_the_record(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        await call.again()  # the first webhook, delivered twice
        (key,) = service.calls.kept
        assert service.calls.kept == {key: KeptCall(account="twilio", started_at=START)}
        assert key == service.engine.message_key("ivr", "twilio", call.call_sid)
        await call.key(service.code())
        service.clock.advance(42.7)
        for _ in range(2):
            assert (await call.end("completed", CallDuration="41")).status == 204
            service.clock.advance(5)
        closed = replace(
            KeptCall(account="twilio", started_at=START),
            ended_at=START + timedelta(seconds=42.7),
            how=CallEnd.COMPLETED,
            seconds=41,
        )
        assert service.calls.kept == {key: closed}
        counts = service.journal.counts
        assert (counts["call_begun", "ivr"], counts["call_completed", "ivr"]) == (2, 2)

    async def test_a_call_that_nobody_answered_is_closed_all_the_same(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.end("in-progress")
        assert service.calls.kept == {}
        await call.end("no-answer")
        (kept,) = service.calls.kept.values()
        assert (kept.how, kept.ended_at, kept.seconds) == (CallEnd.NO_ANSWER, START, None)

    @pytest.mark.parametrize("trouble", ["down", "held"])
    async def test_a_store_in_trouble_stops_no_call(
        self, service: SampleService, monkeypatch: pytest.MonkeyPatch, trouble: str
    ) -> None:
        monkeypatch.setattr("channels.follow_up._NOTED_WITHIN_S", 0.02)
        service.calls.down = trouble == "down"
        service.calls.held = asyncio.Event() if trouble == "held" else None
        call = Call(service, settings_with())
        assert (await call.dial())[-1] == "Gather"
        assert (await call.key(service.code()))[0] == "verdict.matches_first"
        assert (await call.end("completed")).status == 204
        assert [event for event, _ in service.journal.failures] == ["call_not_noted"] * 2

    async def test_star_says_it_again_and_counts_nothing(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        first = await call.key(service.code(), "#")
        again = await call.key("*")
        assert again == first
        assert len(service.store.facts) == 1

    async def test_in_english(self, service: SampleService) -> None:
        call = Call(service, settings_with(), caller="+442079460123")
        assert (await call.dial())[0] == "greeting"
        assert clip_sha("greeting", "en").encode() in call.answer.body
        await call.key(service.unknown_code())
        assert call.heard()[:2] == ["verdict.not_found", "advice.not_found"]
        assert clip_sha("verdict.not_found", "en").encode() in call.answer.body

    async def test_nine_changes_the_language(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        assert clip_sha("greeting", "zh-CN").encode() in call.answer.body
        await call.key("9", "#")
        assert clip_sha("entry.prompt", "en").encode() in call.answer.body

    async def test_two_silences_end_the_call(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        assert (await call.key(""))[0] == "entry.silence"
        assert await call.key("") == ["goodbye", "Hangup"]
        assert service.store.facts == []

    async def test_an_operator_who_does_not_answer(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        assert await call.key("0", "#") == ["transfer.operator", "Dial"]
        assert (await call.follow({"DialCallStatus": "busy"}))[0] == "transfer.failed"
        await call.key("0", "#")
        assert await call.follow({"DialCallStatus": "completed"}) == ["Hangup"]

    async def test_a_report_is_kept(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        await call.key(service.code())
        assert await call.key("2") == ["report.record", "Redirect"]
        thanks = await call.follow({"RecordingSid": RECORDING, "RecordingDuration": "9"})
        assert (thanks[0], thanks[-1]) == ("report.thanks", "Gather")

    async def test_nothing_said_into_the_recording_ends_the_call(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        await call.key(service.code())
        await call.key("2")
        assert await call.follow({}) == ["goodbye", "Hangup"]

    async def test_withheld_numbers_are_never_own(self, service: SampleService) -> None:
        for caller in ("anonymous", "+86282452253"):
            call = Call(service, settings_with(), caller=caller)
            await call.dial()
            await call.key(service.code())
        assert [fact.verification.outcome for fact in service.store.facts] == [Outcome.FIRST, Outcome.REPEAT]

    async def test_a_state_of_another_call_is_refused(self, service: SampleService) -> None:
        call, other = Call(service, settings_with()), Call(service, settings_with())
        await call.dial()
        other.answer = call.answer
        with pytest.raises(AssertionError):
            await other.key(service.code())
        assert other.answer.status == 400
        assert service.store.facts == []

    async def test_clips_are_served(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        found = re.search(r"/clips/([0-9a-f]+\.wav)", call.answer.body.decode())
        assert found is not None
        clip = await service.pipeline.carry(call.adapter, clip_request(found[1]))
        assert (clip.status, clip.content_type, clip.body[:4]) == (200, "audio/wav", b"RIFF")
        missing = await service.pipeline.carry(call.adapter, clip_request("0" * 32))
        assert missing.status == 404

    async def test_an_answer_stays_small(self, service: SampleService) -> None:
        call = Call(service, settings_with())
        await call.dial()
        await call.key(service.code())
        assert len(call.answer.body) < 16 * 1024

    async def test_past_the_days_cap_nobody_is_put_through(self, service: SampleService) -> None:
        settings = settings_with(spending=FakeSpending(day_cap=1))
        ways = []
        for _ in range(2):
            call = Call(service, settings)
            await call.dial()
            await call.key("0")
            ways.append("<Dial" in call.answer.body.decode())
            assert b"<Gather" in call.answer.body or ways == [True], "without an operator the call goes on"
        assert ways == [True, False]

    async def test_a_turn_that_comes_twice_puts_through_once(self, service: SampleService) -> None:
        spending = FakeSpending(day_cap=1)
        call = Call(service, settings_with(spending=spending))
        await call.dial()
        await call.key("0", "#")
        assert b"<Dial" in call.answer.body
        assert (await call.again()).body == call.answer.body
        assert spending.spent["transfer", b""] == 1
