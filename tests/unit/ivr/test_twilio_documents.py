"""TwiML read back by the telephone in the terminal: what we write is what it acts on, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Undecodable
from app.speech.silence import silence_sha
from app.speech.spoken import Pause, Phrase
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer
from channels.ivr.twilio import documents
from channels.ivr.twilio.documents import keys_heard, read_document
from channels.ivr.twilio.twiml import Twiml
from channels.ivr.twilio.webhooks import read_caller
from tests.fakes.fake_clips import FakeClips, clip_sha

PUBLIC = "https://check.example"
TURNS = f"{PUBLIC}/channels/ivr/twilio"
GREETING = f"{PUBLIC}/channels/ivr/clips/{clip_sha('greeting', 'zh-CN')}.wav"
SPEECH = Speak(spoken=(Phrase(key="greeting"), Pause(ms=800), Phrase(key="lost")), locale="zh-CN")
DEAF = Speak(spoken=(Phrase(key="greeting"),), locale="zh-CN", interruptible=False)
ENTRY = documents.Gather(said=(), action="/x", most=20, timeout_s=8, ends_on_hash=True, on_empty=True)
MENU = documents.Gather(said=(), action="/x", most=1, timeout_s=8, ends_on_hash=False, on_empty=True)


def written(*actions: Action) -> tuple[documents.Verb, ...]:
    twiml = Twiml(FakeClips(missing=("lost",)), PUBLIC, "+8675588880000")
    return read_document(twiml.write(actions, "state", ours="+8610690000001"))


SAID = (
    documents.Play(url=GREETING),
    documents.Play(url=f"{PUBLIC}/channels/ivr/clips/{silence_sha(800)}.wav"),
    documents.Say(text="lost in zh-CN"),
)


def test_keys_are_gathered_while_something_is_said() -> None:
    first, gather = written(DEAF, SPEECH, Gather(max_digits=20, first_digit_s=8, between_s=5))
    assert first == SAID[0]
    assert gather == documents.Gather(
        said=SAID,
        action=f"{TURNS}/turn/20/state",
        most=20,
        timeout_s=8,
        ends_on_hash=True,
        on_empty=True,
    )


def test_in_a_menu_hash_is_a_key() -> None:
    (gather,) = written(Gather(max_digits=1, first_digit_s=8, between_s=5, finish_on_hash=False))
    assert isinstance(gather, documents.Gather)
    assert (gather.most, gather.ends_on_hash, gather.said) == (1, False, ())


def test_the_other_ends_of_a_turn() -> None:
    assert written(SPEECH, HangUp()) == (*SAID, documents.Hangup())
    action = f"{TURNS}/recorded/state"
    assert written(Record(max_s=60)) == (
        documents.Record(action=action, max_s=60),
        documents.Redirect(url=action),
    )
    assert written(Transfer(to="operator")) == (
        documents.Dial(number="+8675588880000", action=f"{TURNS}/dialled/state"),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b"\xff",
        b"<Response><Play/></Response>",
        b"<Response><Enqueue>q</Enqueue></Response>",
        b"<Response><Gather><Record/></Gather></Response>",
        b'<Response><Gather action="/x" numDigits="many"/></Response>',
        b'<Response><Record maxLength="5"/></Response>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>',
        b"<Response><Say>" + b"x" * 70_000 + b"</Say></Response>",
    ],
)
def test_what_is_no_document_of_ours_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        read_document(body)


@pytest.mark.parametrize(
    ("wait", "keys", "digits", "finish", "late"),
    [
        (ENTRY, "", "", "", ""),
        (ENTRY, "#", "", "#", ""),
        (ENTRY, "123#45", "123", "#", "45"),
        (ENTRY, "9" * 20 + "#", "9" * 20, "", "#"),
        (ENTRY, "*12", "*12", "", ""),
        (MENU, "#", "#", "", ""),
        (MENU, "12", "1", "", "2"),
    ],
)
def test_keys_are_heard_as_twilio_hears_them(
    wait: documents.Gather, keys: str, digits: str, finish: str, late: str
) -> None:
    assert keys_heard(wait, keys) == (digits, finish, late)


@given(st.sampled_from([ENTRY, MENU]), st.text(alphabet="0123456789*#", max_size=40))
def test_no_key_is_lost_unnoticed(wait: documents.Gather, keys: str) -> None:
    digits, finish, late = keys_heard(wait, keys)
    assert digits + finish + late == keys
    assert len(digits) <= wait.most


def test_silence_and_a_withheld_number_are_told_as_twilio_tells_them() -> None:
    assert documents.gathered("", "") == {"Digits": "", "FinishedOnKey": "", "msg": "Gather End"}
    assert read_caller(documents.caller_field("")) == ""
    assert documents.caller_field("+8613800138000") == "+8613800138000"
