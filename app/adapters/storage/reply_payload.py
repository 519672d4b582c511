"""What of an owed reply is sealed: recipient, text and the open question, as JSON and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code, Entry
from app.core.model.label import BrandId
from app.core.model.reply import ReplyAddress
from app.core.model.value import value
from app.core.model.verification import VerificationRequest


@value
class ReplyPayload:
    """The part of a reply that nobody without the key file may read."""

    address: ReplyAddress
    text: str
    question: VerificationRequest | None
    more_codes: bool


def payload_to_bytes(payload: ReplyPayload) -> bytes:
    """Return the payload as JSON."""
    address = payload.address
    return orjson.dumps(
        {
            "sender": address.sender,
            "recipient": address.recipient,
            "ours": address.ours,
            "text": payload.text,
            "more_codes": payload.more_codes,
            "question": _question_fields(payload.question) if payload.question is not None else None,
        }
    )


def payload_from_bytes(blob: bytes) -> ReplyPayload:
    """Undo :func:`payload_to_bytes`; equal in every field."""
    fields: dict[str, Any] = orjson.loads(blob)
    question = fields["question"]
    return ReplyPayload(
        address=ReplyAddress(sender=fields["sender"], recipient=fields["recipient"], ours=fields["ours"]),
        text=fields["text"],
        question=_question(question) if question is not None else None,
        more_codes=fields["more_codes"],
    )


def _question_fields(question: VerificationRequest) -> dict[str, Any]:
    caller = question.caller
    return {
        "codes": [(code.digits, code.entry) for code in (question.code, *question.other_readings)],
        "caller": (caller.kind, caller.token.hex() if caller.token is not None else None, caller.key_id),
        "channel": question.channel,
        "account": question.account,
        "message_id": question.message_id,
        "alias_id": question.alias_id,
        "scope": sorted(question.scope) if question.scope is not None else None,
        "locale": question.locale,
        "received_at": question.received_at,
        "place": question.place,
    }


def _question(fields: dict[str, Any]) -> VerificationRequest:
    # not parsed again: these digits were read once, and must stay the ones that were read
    code, *others = (Code(digits=digits, entry=Entry(entry)) for digits, entry in fields["codes"])
    kind, token, key_id = fields["caller"]
    scope = fields["scope"]
    return VerificationRequest(
        code=code,
        caller=Caller(
            kind=CallerKind(kind), token=bytes.fromhex(token) if token is not None else None, key_id=key_id
        ),
        channel=fields["channel"],
        account=fields["account"],
        message_id=fields["message_id"],
        alias_id=fields["alias_id"],
        scope=frozenset(BrandId(brand) for brand in scope) if scope is not None else None,
        locale=fields["locale"],
        received_at=datetime.fromisoformat(fields["received_at"]),
        place=fields["place"],
        other_readings=tuple(others),
    )
