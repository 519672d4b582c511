"""TwiML as the telephony provider reads it, strictly: a verb, attribute or value it does not know ends the call.

Only what the stand-in really executes is accepted, so that nothing passes here that was never acted on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

LONGEST_DOCUMENT: Final = 64 * 1024  # bytes; Twilio's error 11750
KEYS: Final = "0123456789*#"

# Names as in Twilio's VoiceResponse; a test holds them against its library.
ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "Say": frozenset({"voice", "language", "loop"}),
    "Play": frozenset({"loop"}),
    "Pause": frozenset({"length"}),
    "Gather": frozenset(
        {"input", "action", "method", "timeout", "finishOnKey", "numDigits", "actionOnEmptyResult"}
    ),
    "Redirect": frozenset({"method"}),
    "Record": frozenset(
        {"action", "method", "timeout", "finishOnKey", "maxLength", "playBeep", "trim"}
        | {"recordingStatusCallback", "recordingStatusCallbackMethod"}
    ),
    "Dial": frozenset(
        {"action", "method", "timeout", "callerId", "answerOnBridge", "hangupOnStar", "timeLimit"}
    ),
    "Hangup": frozenset(),
    "Reject": frozenset({"reason"}),
}
_NESTED: Final = frozenset({"Say", "Play", "Pause"})


class FaultyTwiml(Exception):
    """The document cannot be executed; the message says why, without quoting what may be secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    text: str
    language: str
    loop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    url: str
    loop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    length_s: int


Prompt = Say | Play | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """``action`` None is the current document; ``digits_wanted`` None is no limit."""

    action: str | None
    method: str
    timeout_s: int
    finish_on_key: str
    digits_wanted: int | None
    action_on_empty: bool
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    action: str | None
    method: str
    timeout_s: int
    finish_on_key: str
    longest_s: int
    beep: bool
    status_callback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    number: str
    action: str | None
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    reason: str


Verb = Say | Play | Pause | Gather | Redirect | Record | Dial | Hangup | Reject


def read_twiml(document: bytes) -> tuple[Verb, ...]:
    """Return the verbs of a document in order. Raises FaultyTwiml."""
    if len(document) > LONGEST_DOCUMENT:
        raise FaultyTwiml(f"the document has {len(document)} bytes, more than {LONGEST_DOCUMENT}")
    if b"<!DOCTYPE" in document:
        raise FaultyTwiml("a document type declaration")
    try:
        root = ET.fromstring(document)
    except ET.ParseError as error:
        raise FaultyTwiml(f"not XML: {error}") from error
    if root.tag != "Response" or root.attrib:
        raise FaultyTwiml(f"the root is <{root.tag}> with {sorted(root.attrib)}, not a bare <Response>")
    _expect_no_text(root)
    verbs = tuple(_read_verb(element) for element in root)
    if any(isinstance(verb, Reject) for verb in verbs[1:]):
        raise FaultyTwiml("<Reject> after another verb")
    return verbs


def _read_verb(element: ET.Element) -> Verb:
    known = ATTRIBUTES.get(element.tag)
    if known is None:
        raise FaultyTwiml(f"unknown verb <{element.tag}>")
    unknown = sorted(set(element.attrib) - known)
    if unknown:
        raise FaultyTwiml(f"<{element.tag}> with unknown attributes {unknown}")
    match element.tag:
        case "Gather":
            return _read_gather(element)
        case "Record":
            return _read_record(element)
        case "Dial":
            return _read_dial(element)
        case "Redirect":
            return Redirect(url=_text(element), method=_method(element))
        case "Hangup":
            _expect_nothing(element)
            return Hangup()
        case "Reject":
            _expect_nothing(element)
            return Reject(reason=_one_of(element, "reason", ("rejected", "busy")))
        case _:
            return _read_prompt(element)


def _read_prompt(element: ET.Element) -> Prompt:
    if element.tag == "Say":
        language = element.get("language", "en-US")
        if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", language):
            raise FaultyTwiml(f"<Say> in the language {language!r}")
        return Say(text=_text(element), language=language, loop=_count(element, "loop", 1, least=0))
    if element.tag == "Play":
        return Play(url=_text(element), loop=_count(element, "loop", 1, least=0))
    _expect_nothing(element)
    return Pause(length_s=_count(element, "length", 1, least=0))


def _read_gather(element: ET.Element) -> Gather:
    if element.get("input", "dtmf") != "dtmf":
        raise FaultyTwiml("<Gather> of something else than keys")
    strangers = sorted({child.tag for child in element} - _NESTED)
    if strangers:
        raise FaultyTwiml(f"{strangers} inside <Gather>")
    _expect_no_text(element)
    wanted = _count(element, "numDigits", 0, least=1)
    return Gather(
        action=element.get("action"),
        method=_method(element),
        timeout_s=_count(element, "timeout", 5, least=1),
        finish_on_key=_finish_key(element, "#"),
        digits_wanted=wanted or None,
        action_on_empty=_flag(element, "actionOnEmptyResult", default=False),
        prompts=tuple(prompt for child in element if isinstance(prompt := _read_verb(child), Prompt)),
    )


def _read_record(element: ET.Element) -> Record:
    _expect_nothing(element)
    _one_of(element, "trim", ("trim-silence", "do-not-trim"))
    if _one_of(element, "recordingStatusCallbackMethod", ("POST", "GET")) != "POST":
        raise FaultyTwiml("<Record> with a status callback that is not posted")
    return Record(
        action=element.get("action"),
        method=_method(element),
        timeout_s=_count(element, "timeout", 5, least=1),
        finish_on_key=_finish_key(element, KEYS),
        longest_s=_count(element, "maxLength", 3600, least=1),
        beep=_flag(element, "playBeep", default=True),
        status_callback=element.get("recordingStatusCallback"),
    )


def _read_dial(element: ET.Element) -> Dial:
    children = list(element)
    if children:
        if len(children) > 1 or children[0].tag != "Number" or children[0].attrib:
            raise FaultyTwiml("<Dial> of something else than one bare <Number>")
        _expect_no_text(element)
        number = _text(children[0])
    else:
        number = _text(element)
    if not re.fullmatch(r"\+?[0-9]{3,15}", number):
        raise FaultyTwiml("<Dial> of something that is no telephone number")
    return Dial(number=number, action=element.get("action"), method=_method(element))


def _text(element: ET.Element) -> str:
    if len(element):
        raise FaultyTwiml(f"elements inside <{element.tag}>")
    text = (element.text or "").strip()
    if not text:
        raise FaultyTwiml(f"an empty <{element.tag}>")
    return text


def _expect_no_text(element: ET.Element) -> None:
    parts = [element.text, *(child.tail for child in element)]
    if any((part or "").strip() for part in parts):
        raise FaultyTwiml(f"loose text inside <{element.tag}>")


def _expect_nothing(element: ET.Element) -> None:
    if len(element) or (element.text or "").strip():
        raise FaultyTwiml(f"<{element.tag}> is not empty")


def _one_of(element: ET.Element, name: str, values: tuple[str, ...]) -> str:
    text = element.get(name, values[0])
    if text not in values:
        raise FaultyTwiml(f"<{element.tag} {name}={text!r}>")
    return text


def _method(element: ET.Element) -> str:
    return _one_of(element, "method", ("POST", "GET"))


def _flag(element: ET.Element, name: str, *, default: bool) -> bool:
    return _one_of(element, name, ("true", "false") if default else ("false", "true")) == "true"


def _count(element: ET.Element, name: str, default: int, *, least: int) -> int:
    text = element.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) < least:
        raise FaultyTwiml(f"<{element.tag} {name}={text!r}>")
    return int(text)


def _finish_key(element: ET.Element, default: str) -> str:
    """Return the keys that end the input; an empty string is none."""
    text = element.get("finishOnKey", default)
    if text != default and (len(text) > 1 or text not in KEYS):
        raise FaultyTwiml(f"<{element.tag} finishOnKey={text!r}>")
    return text
