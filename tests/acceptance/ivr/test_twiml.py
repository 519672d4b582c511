"""The provider's reading of TwiML: what is executed, and everything else refused."""

from __future__ import annotations

import inspect

import pytest
from twilio.twiml.voice_response import Gather, VoiceResponse

from tests.acceptance.ivr import twiml
from tests.acceptance.ivr.twiml import FaultyTwiml, read_twiml


def document(inside: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'.encode()


@pytest.mark.parametrize("verb", sorted(twiml.ATTRIBUTES))
def test_every_attribute_is_one_of_the_providers_library(verb: str) -> None:
    names = inspect.signature(getattr(VoiceResponse, verb.lower())).parameters
    camel = {name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in names}
    assert twiml.ATTRIBUTES[verb] <= camel


def test_what_the_library_writes_is_read() -> None:
    response = VoiceResponse()
    gather = Gather(
        action="/a?b=1&c=2", num_digits=21, timeout=8, finish_on_key="#", action_on_empty_result=True
    )
    gather.play("/clip.wav")
    gather.say("输入", language="zh-CN")
    gather.pause(length=2)
    response.append(gather)
    response.redirect("/next", method="POST")
    response.hangup()
    assert read_twiml(str(response).encode()) == (
        twiml.Gather(
            action="/a?b=1&c=2",
            method="POST",
            timeout_s=8,
            finish_on_key="#",
            digits_wanted=21,
            action_on_empty=True,
            prompts=(
                twiml.Play(url="/clip.wav", loop=1),
                twiml.Say(text="输入", language="zh-CN", loop=1),
                twiml.Pause(length_s=2),
            ),
        ),
        twiml.Redirect(url="/next", method="POST"),
        twiml.Hangup(),
    )


def test_what_is_left_out_has_the_providers_defaults() -> None:
    gather, record = read_twiml(document("<Gather/><Record/>"))
    assert gather == twiml.Gather(
        action=None,
        method="POST",
        timeout_s=5,
        finish_on_key="#",
        digits_wanted=None,
        action_on_empty=False,
        prompts=(),
    )
    assert isinstance(record, twiml.Record)
    assert (record.timeout_s, record.longest_s, record.finish_on_key, record.beep) == (
        5,
        3600,
        twiml.KEYS,
        True,
    )


@pytest.mark.parametrize(
    "inside",
    [
        "<Shout>a</Shout>",
        "<say>a</say>",
        '<Gather num_digits="4"/>',
        '<Gather input="speech"/>',
        '<Gather timeout="0"/>',
        '<Gather timeout="five"/>',
        '<Gather numDigits="0"/>',
        '<Gather finishOnKey="##"/>',
        '<Gather method="PUT"/>',
        '<Gather actionOnEmptyResult="True"/>',
        "<Gather><Redirect>/a</Redirect></Gather>",
        "<Gather>text</Gather>",
        "<Play/>",
        "<Play> </Play>",
        '<Play digits="1">/a.wav</Play>',
        '<Pause length="1.5"/>',
        "<Say><emphasis>a</emphasis></Say>",
        '<Say language="chinese">a</Say>',
        "<Hangup>now</Hangup>",
        "<Dial>operator</Dial>",
        "<Dial><Number>1</Number><Number>2</Number></Dial>",
        "<Dial><Sip>sip:a@b</Sip></Dial>",
        '<Hangup/><Reject reason="busy"/>',
        '<Record recordingStatusCallbackMethod="GET"/>',
        "loose text",
        "<Redirect/>",
        "<Play>&clip;</Play>",
    ],
)
def test_anything_else_is_refused(inside: str) -> None:
    with pytest.raises(FaultyTwiml):
        read_twiml(document(inside))


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"<Answer/>",
        b'<Response version="1"/>',
        b"<!DOCTYPE Response [<!ENTITY a 'b'>]><Response/>",
        document("<Pause/>" * 9000),
    ],
)
def test_a_document_of_another_kind_is_refused(whole: bytes) -> None:
    with pytest.raises(FaultyTwiml):
        read_twiml(whole)


def test_an_empty_response_is_a_response() -> None:
    assert read_twiml(document("")) == ()
