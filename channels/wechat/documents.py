"""The platform's XML and JSON as plain fields, read without anything that could make a small document large.

Both are read by one rule: names with texts, and one level of names below. What lies deeper is not needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from app.core.errors import Undecodable

Fields = Mapping[str, str | Mapping[str, str]]

_ROOT: Final = "xml"
_MOST_ELEMENTS: Final = 256  # the fullest event has about forty
_DEEPEST: Final = 8  # photographs of a menu event lie five deep
_LONGEST_NUMBER: Final = 32  # a MsgId has nineteen digits
_BLANK: Final = " \t\r\n"
_CDATA: Final = b"<![CDATA["
_ENVELOPE: Final = re.compile(
    rb"<xml>\s*<ToUserName><!\[CDATA\[([0-9A-Za-z_.@-]+)\]\]></ToUserName>"
    rb"\s*<Encrypt><!\[CDATA\[([0-9A-Za-z+/=]+)\]\]></Encrypt>\s*</xml>"
)
# A message as the platform writes nearly every one: fields side by side, each with a section or a bare word in it.
_FIELDS: Final = re.compile("<([0-9A-Za-z_.-]+)>(?:<!\\[CDATA\\[([^\\]]*)\\]\\]>|([^<]*))</")
_FLAT: Final = re.compile(
    "<xml>[ \\t\\n]*+(?:<([A-Za-z_][0-9A-Za-z_.-]*+)>(?:<!\\[CDATA\\[[^\\]\\x00-\\x08\\x0b-\\x1f\\ufffe\\uffff]*+"
    "\\]\\]>|[0-9A-Za-z_.@:/+=,-]*+)</\\1>[ \\t\\n]*+)++</xml>"
)
_DECLARATION: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?<\?xml\s[^<>]*\?>")


def read_document(body: bytes) -> Fields:
    """Return the fields of a message in XML or, where it begins with a brace, in JSON. Raises ``Undecodable``."""
    return read_json(body) if body.lstrip()[:1] == b"{" else read_xml(body)


def find_envelope(body: bytes) -> Fields | None:
    """Return the two fields of an encrypted message's envelope where it stands as the platform writes it, else None.

    It is what :func:`read_xml` returns, in a fraction of its time.
    """
    found = _ENVELOPE.fullmatch(body)
    if found is None:
        return None
    return {"ToUserName": found[1].decode("ascii"), "Encrypt": found[2].decode("ascii")}


def read_xml(body: bytes) -> Fields:
    """Return the fields of an ``<xml>`` document in UTF-8.

    Raises ``Undecodable`` for a document type, an entity of its own, a processing instruction, a comment, another
    root, a name with a colon, a field twice, text beside elements, and for what is too deep or too much.
    """
    try:
        text = body.decode("utf-8")  # a byte order mark of UTF-16 would win over the parser's own setting
    except ValueError:
        raise Undecodable("The body is not the platform's XML.") from None
    return _find_flat(text) or _parse(body)


def _parse(body: bytes) -> Fields:
    try:
        if _declares(body):
            raise Undecodable("The XML holds a document type, an entity, an instruction or a comment.")
        parser = ET.XMLParser(encoding="utf-8")  # noqa: S314 - nothing is left in it that could grow
        parser.feed(body)
        root = parser.close()
    except (ET.ParseError, ValueError):  # the parser's words would quote the body
        raise Undecodable("The body is not the platform's XML.") from None
    if root.tag != _ROOT or not len(root):
        raise Undecodable("The XML is not a message: its root has another name, or it is empty.")
    return _fields_of(root)


def _find_flat(text: str) -> Fields | None:
    """Return the fields of a message that stands as the platform writes it, as the parser finds them; else None."""
    if _FLAT.fullmatch(text) is None:
        return None
    found = _FIELDS.findall(text)
    fields = {name: section.strip(_BLANK) or word for name, section, word in found}
    return fields if len(fields) == len(found) <= _MOST_ELEMENTS else None


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


def _declares(body: bytes) -> bool:
    """Tell whether anything but elements, texts and sections of CDATA begins anywhere (XML 1.0, section 2).

    What somebody wrote inside a section may look like anything; outside, ``<!`` and ``<?`` begin all the rest.
    """
    if b"<?" not in body and body.count(b"<!") == body.count(_CDATA):
        return False  # as in nearly every message, whatever is inside and outside
    declaration = _DECLARATION.match(body)
    at = declaration.end() if declaration else 0
    while True:
        section = body.find(_CDATA, at)
        outside = body[at:section] if section >= 0 else body[at:]
        if b"<!" in outside or b"<?" in outside:
            return True
        if section < 0:
            return False
        at = body.find(b"]]>", section)
        if at < 0:
            return True  # it never ends, and to look for more beginnings would cost a square


def _fields_of(root: Element) -> Fields:
    fields: dict[str, str | Mapping[str, str]] = {}
    left = _MOST_ELEMENTS - len(root)
    _prove_no_text(root)
    for element in root:
        name = element.tag
        if name in fields or "}" in name:
            raise Undecodable("The XML holds a field twice, or a name of a namespace.")
        if len(element):
            left -= _count_below(element, _DEEPEST - 1)
            fields[name] = {inner.tag: _text_of(inner) for inner in reversed(element) if not len(inner)}
        else:
            fields[name] = _text_of(element)
    if left < 0:
        raise Undecodable("The XML holds too much.")
    return fields


def _count_below(element: Element, deepest: int) -> int:
    """Return the elements inside ``element``, which may lie ``deepest`` deep in it and hold no text beside others."""
    if not deepest:
        raise Undecodable("The XML is too deep.")
    _prove_no_text(element)
    return len(element) + sum(_count_below(inner, deepest - 1) for inner in element if len(inner))


def _prove_no_text(element: Element) -> None:
    """Raise ``Undecodable`` for text beside the elements in ``element``."""
    if _is_text(element.text) or any(_is_text(inner.tail) for inner in element):
        raise Undecodable("The XML holds text beside elements.")


def _is_text(found: str | None) -> bool:
    return found is not None and found.strip(_BLANK) != ""


def _text_of(element: Element) -> str:
    return (element.text or "").strip(_BLANK)


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
