"""The platform's XML and JSON as plain fields, read without anything that could make a small document large.

Both are read by one rule: names with texts, and one level of names below. What lies deeper is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NoReturn
from xml.parsers import expat

from app.core.errors import Undecodable

Fields = Mapping[str, str | Mapping[str, str]]

_ROOT: Final = "xml"
_MOST_ELEMENTS: Final = 256  # the fullest event has about forty
_DEEPEST: Final = 8  # photographs of a menu event lie five deep
_KEPT: Final = 2
_LONGEST_NUMBER: Final = 32  # a MsgId has nineteen digits
_BLANK: Final = " \t\r\n"


def read_document(body: bytes) -> Fields:
    """Return the fields of a message in XML or, where it begins with a brace, in JSON. Raises ``Undecodable``."""
    return read_json(body) if body.lstrip()[:1] == b"{" else read_xml(body)


def read_xml(body: bytes) -> Fields:
    """Return the fields of an ``<xml>`` document in UTF-8.

    Raises ``Undecodable`` for a document type, an entity of its own, a processing instruction, a comment, another
    root, a field twice, text beside elements, and for what is too deep or too much.
    """
    reading = _XmlReading()
    parser = expat.ParserCreate("utf-8")  # whatever the document declares
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    for name in ("StartDoctypeDeclHandler", "EntityDeclHandler", "ProcessingInstructionHandler"):
        setattr(parser, name, _refuse_markup)
    parser.CommentHandler = _refuse_markup
    try:
        body.decode("utf-8")  # a byte order mark of UTF-16 would win over the parser's own setting
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError):  # the parser's words would quote the body
        raise Undecodable("The body is not the platform's XML.") from None
    return reading.fields


def read_json(body: bytes) -> Fields:
    """Return the fields of a JSON object in UTF-8.

    Raises ``Undecodable`` for a name twice, NaN and infinities, endless numbers, and for anything but an object.
    """
    try:
        found = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unlike_names,
            parse_constant=_refuse_number,
            parse_int=_short_number,
            parse_float=_short_number,
        )
    except (ValueError, RecursionError):
        raise Undecodable("The body is not the platform's JSON.") from None
    if not isinstance(found, dict):
        raise Undecodable("The body is not the platform's JSON.")
    return {name: _inner(value) for name, value in found.items()}


class _XmlReading:
    """What the parser has told so far: the finished fields, and what is known of each open element."""

    def __init__(self) -> None:
        self.fields: dict[str, str | Mapping[str, str]] = {}
        self._depth = 0
        self._elements = 0
        self._inside: dict[str, str] = {}
        self._texts: list[list[str]] = []
        self._has_elements: list[bool] = []

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or self._depth > _DEEPEST:
            raise Undecodable("The XML is too deep or holds too much.")
        if self._depth == 0 and name != _ROOT:
            raise Undecodable("The XML is not a message: its root has another name.")
        if self._depth == 1:
            if name in self.fields:
                raise Undecodable("The XML holds a field twice.")
            self._inside = {}
        if self._has_elements:
            self._has_elements[-1] = True
        self._depth += 1
        self._texts.append([])
        self._has_elements.append(False)

    def text(self, text: str) -> None:
        self._texts[-1].append(text)

    def end(self, name: str) -> None:
        self._depth -= 1
        text, has_elements = "".join(self._texts.pop()).strip(_BLANK), self._has_elements.pop()
        if has_elements and text:
            raise Undecodable("The XML holds text beside elements.")
        if self._depth == 1:
            self.fields[name] = self._inside if has_elements else text
        elif self._depth == _KEPT and not has_elements:
            self._inside.setdefault(name, text)
        elif self._depth == 0 and not has_elements:
            raise Undecodable("The XML is not a message: it is empty.")


def _refuse_markup(*_what: object) -> NoReturn:
    raise Undecodable("The XML holds a document type, an entity, an instruction or a comment.")


def _unlike_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _refuse_number(_written: str) -> NoReturn:
    raise ValueError("not a number")


def _short_number(written: str) -> str:
    if len(written) > _LONGEST_NUMBER:
        raise ValueError("an endless number")
    return written


def _inner(value: object) -> str | Mapping[str, str]:
    if isinstance(value, dict):
        return {name: value for name, value in value.items() if isinstance(value, str)}
    return value if isinstance(value, str) else ""
