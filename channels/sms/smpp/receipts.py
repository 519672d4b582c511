"""Delivery receipts: which message, and what became of it (SMPP 3.4, 5.3.2.12, 5.3.2.35 and appendix B)."""

from __future__ import annotations

import re
from typing import Final

from app.core.model.reply import Delivery

_BY_STATE: Final = {
    1: Delivery.SENT,  # en route
    2: Delivery.DELIVERED,
    3: Delivery.FAILED,  # expired
    4: Delivery.FAILED,  # deleted
    5: Delivery.FAILED,  # undeliverable
    6: Delivery.SENT,  # accepted on behalf of the subscriber
    8: Delivery.FAILED,  # rejected
}
_BY_WORD: Final = {
    "ENROUTE": Delivery.SENT,
    "DELIVRD": Delivery.DELIVERED,
    "EXPIRED": Delivery.FAILED,
    "DELETED": Delivery.FAILED,
    "UNDELIV": Delivery.FAILED,
    "ACCEPTD": Delivery.SENT,
    "REJECTD": Delivery.FAILED,
}
_ID: Final = re.compile(r"(?i)\bid:([^\s]+)")
_STATE: Final = re.compile(r"(?i)\bstat:([a-z]+)")


def read_receipt(text: str, *, message_id: str, state: int | None) -> tuple[str, Delivery] | None:
    """Return the id and the state, from the optional parameters where the centre sends them and from the text else;
    None for a receipt that names no message or whose state says nothing.
    """
    head = re.split(r"(?i)\btext:", text, maxsplit=1)[0]  # what follows is the shopper's own words
    if not message_id and (found := _ID.search(head)):
        message_id = found.group(1)
    delivery = _BY_STATE.get(state) if state is not None else None
    if delivery is None and (told := _STATE.search(head)):
        delivery = _BY_WORD.get(told.group(1).upper()[:7])
    return (message_id, delivery) if message_id and delivery else None
