"""Owed replies between rows and values, alike in every SQL store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from app.adapters.storage.reply_payload import ReplyPayload, payload_from_bytes, payload_to_bytes
from app.adapters.storage.rows import from_micros
from app.core.model.reply import Delivery, OwedReply, ReplyAddress, ReplyId
from app.core.ports.sealing import Sealing

# a reply that the key file cannot open is left alone for so long: the right key file may come back
UNREADABLE_FOR: Final = timedelta(minutes=10)
# A final word of the provider is never replaced by an earlier one; a delivery is proof where a failure is a report.
DELIVERY_RANK: Final = {Delivery.ACCEPTED: 0, Delivery.SENT: 1, Delivery.FAILED: 2, Delivery.DELIVERED: 3}
REPLY_COLUMNS: Final = "id, key, state, sealed, tries, doubts, doubtful, owed_at, tried_at"


def open_reply(row: Sequence[Any], sealing: Sealing) -> OwedReply | None:
    """Return the reply of a row of ``REPLY_COLUMNS`` as this try finds it, or None where it cannot be opened."""
    number, key, state, sealed, tries, doubts, doubtful, owed_at, tried_at = row
    payload = open_payload(sealed, key, sealing)
    if payload is None:
        return None
    lapsed = state == "sending"  # its settlement never came
    doubtful = bool(doubtful) or lapsed
    return OwedReply(
        id=ReplyId(number),
        key=key,
        address=payload.address,
        text=payload.text,
        question=payload.question,
        more_codes=payload.more_codes,
        tries=tries + bool(payload.text),
        doubts=doubts + lapsed,
        doubtful=doubtful,
        owed_at=from_micros(owed_at),
        tried_at=from_micros(tried_at) if doubtful else None,
    )


def open_payload(sealed: bytes, key: bytes, sealing: Sealing) -> ReplyPayload | None:
    """Return the opened payload; None also for one of another release: one such row must not stop all others."""
    plain = sealing.open(sealed, about=key)
    try:
        return payload_from_bytes(plain) if plain is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def word_payload(sealed: bytes, key: bytes, text: str, sealing: Sealing) -> bytes | None:
    """Return the payload with its text instead of the question, sealed; None where it has one or cannot be opened."""
    payload = open_payload(sealed, key, sealing)
    if payload is None or payload.text:
        return None
    worded = ReplyPayload(address=payload.address, text=text, question=None, more_codes=payload.more_codes)
    return sealing.seal(payload_to_bytes(worded), about=key)


def address_to_bytes(address: ReplyAddress) -> bytes:
    """Return an address as JSON, to be sealed."""
    return orjson.dumps({"sender": address.sender, "recipient": address.recipient, "ours": address.ours})


def address_from_bytes(plain: bytes) -> ReplyAddress | None:
    """Undo :func:`address_to_bytes`; None for what another release wrote."""
    try:
        return ReplyAddress(**orjson.loads(plain))
    except (ValueError, TypeError):
        return None
