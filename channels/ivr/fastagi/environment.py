"""The block of ``agi_`` lines that begins a connection, read strictly.

A caller can put line breaks into the caller id (``%0A`` in a SIP address), and so forge lines or an early end of the
block. Hence the fixed order that Asterisk writes: nothing twice, nothing unknown, nothing missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from typing import Final
from urllib.parse import parse_qs

from app.core.errors import Undecodable
from app.core.model.value import value

MOST_LINES: Final = 64
TRANSFER_FAILED: Final = "transfer_failed"

_ORDER: Final = (
    "network",
    "network_script",
    "request",
    "channel",
    "language",
    "type",
    "uniqueid",
    "version",
    "callerid",
    "calleridname",
    "callingpres",
    "callingani2",
    "callington",
    "callingtns",
    "dnid",
    "rdnis",
    "context",
    "extension",
    "priority",
    "enhanced",
    "accountcode",
    "threadid",
)
_SOMETIMES: Final = frozenset({"network_script"})  # left out where the address has no path
_LINE: Final = re.compile(r"agi_([a-z_0-9]+): (.*)")
_CALL_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,150}")
_NUMBER: Final = re.compile(r"\+?[0-9 ().-]{3,32}")
_DIALLED: Final = re.compile(r"\+?[0-9*#]{1,32}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NOT_SHOWN: Final = 0x60  # presentation bits of Q.931: restricted (32), unavailable (64)


@value
class CallFacts:
    """What the switch says of a call.

    ``call_id`` is its unique id. ``caller`` is the number as written there, "" where it is withheld or no number.
    ``dialled`` is the number called and ``language`` a tag that the dialplan's address asks for; "" where unknown.
    """

    call_id: str
    caller: str = field(repr=False)
    dialled: str
    language: str
    arguments: tuple[str, ...]

    @property
    def is_back(self) -> bool:
        """Whether the dialplan brings back a caller who could not be put through."""
        return TRANSFER_FAILED in self.arguments


def read_environment(lines: Sequence[str]) -> CallFacts:
    """Return the facts of a block, its lines without the empty one that ends it. Raises ``Undecodable``."""
    if len(lines) > MOST_LINES:
        raise Undecodable("The environment of a call has too many lines.")
    told, arguments = _read(lines)
    if not _CALL_ID.fullmatch(told["uniqueid"]):
        raise Undecodable("The call has no usable unique id.")
    asked = _asked(told.get("network_script", ""))
    return CallFacts(
        call_id=told["uniqueid"],
        caller=_caller(told["callerid"], told["callingpres"]),
        # from the address where the dialplan puts it there: that line stands before anything a caller writes
        dialled=_matching(_DIALLED, asked.get("dialled", [told["dnid"]])[0]),
        language=_matching(_LANGUAGE, asked.get("lang", [""])[0]),
        arguments=arguments,
    )


def _read(lines: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    told: dict[str, str] = {}
    arguments: list[str] = []
    expected = list(_ORDER)
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or not _is_plain(line):
            raise Undecodable("A line of the environment is not of the form `agi_name: value`.")
        name, text = found.groups()
        if not expected:
            if name != f"arg_{len(arguments) + 1}":
                raise Undecodable("The environment goes on behind its end.")
            arguments.append(text)
            continue
        if name != expected[0] and expected[0] in _SOMETIMES:
            expected.pop(0)
        if name != expected.pop(0):
            raise Undecodable("The lines of the environment are not in the order that Asterisk writes.")
        told[name] = text
    if expected:
        raise Undecodable("The environment ends early.")
    return told, tuple(arguments)


def _asked(script: str) -> dict[str, list[str]]:
    """Return what the address asks for behind its ``?``; bounded, since the number that was dialled can stand in it."""
    try:
        return parse_qs(script.partition("?")[2], max_num_fields=MOST_LINES)
    except ValueError as broken:
        raise Undecodable("The address of a call asks for too much.") from broken


def _is_plain(line: str) -> bool:
    return all(" " <= sign != "\x7f" for sign in line)


def _matching(form: re.Pattern[str], text: str) -> str:
    return text if form.fullmatch(text) else ""


def _caller(number: str, presentation: str) -> str:
    """Return the number, or "" where it is withheld: restricted, unavailable, or a word in place of digits."""
    if not (presentation.isascii() and presentation.isdigit()) or int(presentation[:6]) & _NOT_SHOWN:
        return ""
    return _matching(_NUMBER, number)
