"""A request's body into its items, each item into a text by itself: a bad one does not lose the good ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NoReturn
from urllib.parse import parse_qsl, unquote_plus
from zoneinfo import ZoneInfo

from app.core.errors import Undecodable
from channels.sms.dialect import IncomingText
from channels.sms.digests import text_digest
from channels.sms.gateway.description import BodyForm, GatewayDescription, TextEncoding
from channels.sms.gateway.moments import read_moment
from channels.turns import Ignored

MOST_ITEMS: Final = 500
OLDEST: Final = timedelta(days=7)  # message ids are kept 8 days; what is older could be counted a second time
NEWEST: Final = timedelta(days=1)
_NUMBER: Final = re.compile(r"\+?[0-9](?:[ -]?[0-9]){2,19}")
_COUNTRY: Final = re.compile(r"(?:\+|00)?([1-9][0-9]{0,3})")
_HALVES: Final = re.compile("[\ud800-\udfff]")  # a telephone may cut an emoji in two
_LONGEST: Final = 200
_MOST_FIELDS: Final = 100


class _BadItem(Exception):
    """An item is not what the description says."""


def split_items(body: bytes, description: GatewayDescription) -> Sequence[object]:
    """Return what a body holds, item by item. Raises ``Undecodable`` for a body of another form."""
    form = description.form
    try:
        text = body.decode("utf-8-sig")
        if form is BodyForm.FORM:
            pairs = parse_qsl(
                text.strip("&\r\n "),
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=_MOST_FIELDS,
            )
            if not pairs:
                raise ValueError("an empty form")
            return (dict(pairs),)
        whole: object = json.loads(text, parse_int=_whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Undecodable("The body is not in the form this gateway's description names.") from None
    if description.items:
        whole = whole.get(description.items) if isinstance(whole, dict) else None
    if isinstance(whole, list) and form is not BodyForm.OBJECT:
        if len(whole) > MOST_ITEMS:
            raise Undecodable(f"Send at most {MOST_ITEMS} messages in one request.")
        return whole
    if isinstance(whole, dict) and form is not BodyForm.ARRAY:
        return (whole,)
    raise Undecodable("The body is not the array or object this gateway's description names.")


def read_item(
    item: object, description: GatewayDescription, zone: ZoneInfo, received_at: datetime
) -> IncomingText | Ignored:
    """Return one item as a text; ``Ignored`` as ``bad_item`` or, from too long ago or too far ahead, as ``stale``.

    The second id is made of sender, time and text, so that a delivery repeated with a new id is the same message
    (service rules, section 1).
    """
    names = description.fields
    try:
        if not isinstance(item, Mapping):
            raise _BadItem
        sender = _sender(item, description)
        text = _content(item, description)
        sent_at = _sent_at(item, description, zone)
        given_id = _label(item, names.id) if description.unique_ids else ""
        if sent_at is not None and not -OLDEST <= sent_at - received_at <= NEWEST:
            return Ignored(why="stale")
        digest = text_digest(sender, sent_at.isoformat(), text) if sent_at is not None else ""
        if not given_id and not digest:
            raise _BadItem
        return IncomingText(
            sender=sender,
            ours=_label(item, names.ours),
            text=text,
            message_id=given_id or digest,
            alias_id=digest if given_id else "",
            sent_at=sent_at,
        )
    except _BadItem:
        return Ignored(why="bad_item")


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 else digits  # one endless number must not lose the other items


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # RFC 8259, section 6


def _sender(item: Mapping[object, object], description: GatewayDescription) -> str:
    """Return the number as written, with the country's code before it where that stands in a field of its own."""
    sender = _label(item, description.fields.sender)
    if not _NUMBER.fullmatch(sender):
        raise _BadItem
    country = _label(item, description.fields.country)
    if not country or sender.startswith("+"):
        return sender
    match = _COUNTRY.fullmatch(country)
    if match is None:
        raise _BadItem
    return f"+{match[1]}{sender}"


def _content(item: Mapping[object, object], description: GatewayDescription) -> str:
    text = item.get(description.fields.text)
    if not isinstance(text, str):
        raise _BadItem
    if description.text_encoding is TextEncoding.URL:
        try:
            text = unquote_plus(text, errors="strict")
        except UnicodeError:
            raise _BadItem from None
    return _HALVES.sub("\ufffd", text)


def _sent_at(
    item: Mapping[object, object], description: GatewayDescription, zone: ZoneInfo
) -> datetime | None:
    raw = item.get(description.fields.time) if description.time is not None else None
    if description.time is None or raw is None or raw == "":
        return None
    try:
        return read_moment(raw, description.time, zone)
    except ValueError:
        raise _BadItem from None


def _label(item: Mapping[object, object], name: str) -> str:
    """Return a short text or whole number under ``name``; "" where there is none."""
    raw = item.get(name) if name else None
    if raw is None:
        return ""
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise _BadItem
    label = str(raw).strip()
    if len(label) > _LONGEST or not label.isprintable():
        raise _BadItem
    return label
