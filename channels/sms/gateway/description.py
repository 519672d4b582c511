"""What a gateway's description says, as plain values; ``loading`` makes them of a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from app.core.model.value import value

Template = str | int | float | bool | Sequence["Template"] | Mapping[str, "Template"]
Scalar = str | int | bool


class BodyForm(StrEnum):
    """How a request's body holds its messages."""

    ARRAY = "json_array"
    OBJECT = "json_object"
    EITHER = "json_array_or_object"
    FORM = "form"


class TextEncoding(StrEnum):
    """Whether the text is written plainly, or URL-encoded once more inside its field."""

    PLAIN = "plain"
    URL = "url"


class TimeForm(StrEnum):
    """How a time is written. ``PATTERN`` is local to a zone, by the letters of ``strptime``."""

    UNIX_SECONDS = "unix_seconds"
    UNIX_MILLISECONDS = "unix_milliseconds"
    ISO = "iso"
    PATTERN = "pattern"


@value
class FieldNames:
    """The provider's names of the fields; "" where it has none."""

    sender: str
    text: str
    country: str = ""
    ours: str = ""
    id: str = ""
    time: str = ""


@value
class TimeWriting:
    """How ``FieldNames.time`` is to be read. ``zone`` is for times that name none themselves."""

    form: TimeForm
    pattern: str = ""
    zone: ZoneInfo | None = None


@value
class FixedAnswer:
    """One of the two responses the provider ever gets."""

    status: int
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDescription:
    """How a text is sent through the provider.

    ``fields`` (and ``headers``, ``url``) hold placeholders in braces. ``drop_prefixes``: the first that fits is cut off
    the recipient's number. An answer of one of ``statuses`` whose value at ``path`` equals ``equals`` is an acceptance;
    a value of ``later`` there means a later try; ``id_path`` leads to the message's id.
    """

    url: str
    method: str = "POST"
    as_json: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, Template] = field(default_factory=dict)
    drop_prefixes: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    path: str = ""
    equals: Scalar = ""
    later: tuple[Scalar, ...] = ()
    id_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDescription:
    """One gateway. ``name`` is its account in recorded facts and stands in its address.

    ``items`` names the member that holds the messages, "" where they are the body itself. ``unique_ids``: the
    provider's ids tell messages apart, for ever.
    """

    name: str
    form: BodyForm
    fields: FieldNames
    success: FixedAnswer
    failure: FixedAnswer
    items: str = ""
    unique_ids: bool = False
    text_encoding: TextEncoding = TextEncoding.PLAIN
    time: TimeWriting | None = None
    send: SendDescription | None = None


OWN_PLACEHOLDERS: Final = frozenset({"to", "text", "ours", "reply_id"})
"""What a template may hold beside the names of credentials."""
