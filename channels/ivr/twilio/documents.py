"""Twilio's side of a call, to play it: what a document of TwiML says to do, and what is posted back of each verb.

Only what our own documents hold is read, strictly: anything else would be acted on differently by the real one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

from app.core.errors import Undecodable
from app.core.model.value import value

_MAX_BYTES: Final = 64 * 1024  # Twilio's error 11750
_WITHHELD: Final = "+266696687"  # ANONYMOUS on the keys, which is what Twilio tells
_RECORDED_S: Final = 5


@value
class Say:
    """Words for Twilio's own voice."""

    text: str


@value
class Play:
    """A clip by its address."""

    url: str


Sound = Say | Play


@value
class Gather:
    """Keys are collected while ``said`` plays and after it. ``on_empty``: silence is told as well."""

    said: tuple[Sound, ...]
    action: str
    most: int
    timeout_s: int
    ends_on_hash: bool
    on_empty: bool


@value
class Record:
    """What the caller says is recorded; nothing said goes on with the next verb."""

    action: str
    max_s: int


@value
class Dial:
    """The call is put through to ``number``."""

    number: str
    action: str


@value
class Redirect:
    """The call goes on with the document at this address."""

    url: str


@value
class Hangup:
    """The call is over."""


Verb = Say | Play | Gather | Record | Dial | Redirect | Hangup


def caller_field(number: str) -> str:
    """Return how a caller is told; "" is one who withholds the number."""
    return number or _WITHHELD


def read_document(body: bytes) -> tuple[Verb, ...]:
    """Return the verbs in order. Raises ``Undecodable`` for what is not TwiML of ours."""
    try:
        document = body.decode("utf-8")
        # TwiML has no document type, and entities are how a small document grows large
        if "<!" in document or len(body) > _MAX_BYTES:
            raise Undecodable("The answer is not TwiML.")
        root = ET.fromstring(document)  # noqa: S314 - without a document type there is nothing to expand
        if root.tag != "Response":
            raise Undecodable("The answer is not TwiML.")
        return tuple(_read_verb(element) for element in root)
    except (ET.ParseError, ValueError):
        raise Undecodable("The answer is not TwiML.") from None


def keys_heard(wait: Gather, keys: str) -> tuple[str, str, str]:
    """Return the digits gathered of ``keys``, the key that ended them ("" for none), and what came too late."""
    for at, key in enumerate(keys):
        if wait.ends_on_hash and key == "#":
            return keys[:at], key, keys[at + 1 :]
        if at + 1 == wait.most:
            return keys[: at + 1], "", keys[at + 1 :]
    return keys, "", ""


def gathered(digits: str, finish: str) -> Mapping[str, str]:
    """Return the form of gathered keys; both fields are there, empty for silence."""
    return {"Digits": digits, "FinishedOnKey": finish, "msg": "Gather End"}


def recorded(api_url: str) -> Mapping[str, str]:
    """Return the form of a recording that nobody can fetch, below ``api_url``."""
    recording = "RE" + secrets.token_hex(16)
    return {
        "RecordingUrl": f"{api_url}/Recordings/{recording}",
        "RecordingSid": recording,
        "RecordingDuration": str(_RECORDED_S),
        "Digits": "#",
    }


def dialled(status: str) -> Mapping[str, str]:
    """Return the form of a transfer that ended as ``status``: completed, no-answer or busy."""
    return {"DialCallStatus": status, "DialBridged": "true" if status == "completed" else "false"}


def call_status(status: str) -> Mapping[str, str]:
    """Return the form that tells how the call stands: ringing before it is answered, completed at its end."""
    return {"CallStatus": status}


def _read_verb(element: ET.Element) -> Verb:
    match element.tag:
        case "Gather":
            return _read_gather(element)
        case "Record":
            return Record(action=_attribute(element, "action"), max_s=int(_attribute(element, "maxLength")))
        case "Dial":
            number = element.findtext("Number") or ""
            return Dial(number=number.strip(), action=_attribute(element, "action"))
        case "Redirect":
            return Redirect(url=_text(element))
        case "Hangup":
            return Hangup()
        case _:
            return _read_sound(element)


def _read_sound(element: ET.Element) -> Sound:
    match element.tag:
        case "Say":
            return Say(text=_text(element))
        case "Play":
            return Play(url=_text(element))
        case _:
            raise Undecodable(f"The answer holds <{element.tag}>, which this telephone does not know.")


def _read_gather(element: ET.Element) -> Gather:
    return Gather(
        said=tuple(_read_sound(child) for child in element),
        action=_attribute(element, "action"),
        most=int(_attribute(element, "numDigits")),
        timeout_s=int(element.get("timeout", "5")),
        ends_on_hash=element.get("finishOnKey", "#") == "#",
        on_empty=element.get("actionOnEmptyResult") == "true",
    )


def _attribute(element: ET.Element, name: str) -> str:
    text = element.get(name, "")
    if not text:
        raise Undecodable(f"The answer holds <{element.tag}> without {name}.")
    return text


def _text(element: ET.Element) -> str:
    text = (element.text or "").strip()
    if not text or len(element):
        raise Undecodable(f"The answer holds <{element.tag}> without its text.")
    return text
