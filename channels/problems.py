"""What the channels for programs share: JSON requests, why they are refused, and problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

import orjson

from app.core.errors import Undecodable
from app.core.model.code import Entry, Reading, read_codes
from app.core.model.verdict import Outcome
from channels.base import OutboundResponse, RefusalKind
from channels.wording.reply import Reply

JSON: Final = "application/json"
NO_STORE: Final = (("Cache-Control", "no-store"),)
NO_ANSWER: Final[Mapping[Outcome, int]] = {Outcome.THROTTLED: 429, Outcome.UNAVAILABLE: 503}
_PROBLEM_JSON: Final = "application/problem+json"
_ENTRIES: Final = {"typed": Entry.TYPED, "scanned": Entry.SCANNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a refusal tells: ``code`` never changes, ``detail`` says what to do."""

    code: str
    status: int
    detail: str


class RequestReason(Enum):
    """Why a request is refused before it becomes a query; the JSON API's documentation lists them."""

    NOT_UTF8 = Problem(
        code="invalid_utf8",
        status=400,
        detail="Encode the request as UTF-8.",
    )
    NOT_JSON = Problem(
        code="invalid_json",
        status=400,
        detail='Send a JSON object such as {"code": "...", "locale": "en"}.',
    )
    WRONG_TYPE = Problem(
        code="unsupported_media_type",
        status=415,
        detail="Send the request with the content type the documentation names.",
    )
    MISSING_CODE = Problem(
        code="missing_code",
        status=422,
        detail='The member "code" must be there and be a string.',
    )
    WRONG_MEMBER = Problem(
        code="invalid_member",
        status=422,
        detail='"locale" must be a string, and "entry" must be "typed" or "scanned".',
    )
    WRONG_KEY = Problem(
        code="invalid_idempotency_key",
        status=400,
        detail="An Idempotency-Key holds 1 to 255 printable ASCII characters.",
    )


BY_KIND: Final[Mapping[RefusalKind, Problem]] = {
    RefusalKind.NOT_AUTHENTIC: Problem(
        code="not_authentic",
        status=403,
        detail="Send the request from a page of this service, or without an Origin header.",
    ),
    RefusalKind.MALFORMED: Problem(
        code="malformed",
        status=400,
        detail="Send the request as the documentation shows.",
    ),
    RefusalKind.TOO_LARGE: Problem(
        code="too_large",
        status=413,
        detail="Send the code alone; a few hundred bytes are enough.",
    ),
    RefusalKind.NOT_ALLOWED: Problem(
        code="method_not_allowed",
        status=405,
        detail="Use the method that the Allow header names.",
    ),
    RefusalKind.UNKNOWN_ADDRESS: Problem(
        code="unknown_address",
        status=404,
        detail="Check the address; the documentation lists all.",
    ),
    RefusalKind.UNAVAILABLE: Problem(
        code="unavailable",
        status=503,
        detail="Try again in a few seconds.",
    ),
    RefusalKind.INTERNAL: Problem(
        code="internal",
        status=500,
        detail="Try again later. Nothing was announced.",
    ),
}


class RequestUndecodable(Undecodable):
    """The request is not of the form a page or an API client sends. Send it as the documentation shows."""

    def __init__(self, problem: Problem, locale: str = "zh-CN") -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.locale = locale


def read_object(headers: Mapping[str, str], body: bytes) -> dict[str, object]:
    """Return the JSON object of a request. Raises ``RequestUndecodable``."""
    content_type = headers.get("content-type", "")
    if content_type != JSON and content_type.partition(";")[0].strip().lower() != JSON:
        raise RequestUndecodable(RequestReason.WRONG_TYPE.value)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestUndecodable(RequestReason.NOT_UTF8.value) from None
        raise RequestUndecodable(RequestReason.NOT_JSON.value) from None
    if not isinstance(document, dict):
        raise RequestUndecodable(RequestReason.NOT_JSON.value)
    return document


def read_question(document: Mapping[str, object], lengths: frozenset[int]) -> tuple[Reading, str]:
    """Return what a question's ``code`` and ``entry`` say, and its ``locale`` or zh-CN.

    Raises ``RequestUndecodable``.
    """
    raw, locale, entry = document.get("code"), document.get("locale"), document.get("entry")
    if not isinstance(raw, str):
        raise RequestUndecodable(RequestReason.MISSING_CODE.value)
    if not (locale is None or isinstance(locale, str)):
        raise RequestUndecodable(RequestReason.WRONG_MEMBER.value)
    known_entry = Entry.TYPED if entry is None else _ENTRIES.get(entry) if isinstance(entry, str) else None
    if known_entry is None:
        raise RequestUndecodable(RequestReason.WRONG_MEMBER.value)
    return read_codes(raw, entry=known_entry, lengths=lengths), locale or "zh-CN"


def message_id(key: str, digits: str) -> str:
    """Return the message id of an Idempotency-Key: the key with the code, so that a stranger's equal key meets
    another message. Raises ``RequestUndecodable``.
    """
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise RequestUndecodable(RequestReason.WRONG_KEY.value)
    return f"{key}\n{digits}"


def problem_response(
    problem: Problem,
    extra: Mapping[str, object] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> OutboundResponse:
    """Return the document of a problem; ``extra`` are members beside those of the standard."""
    document = {
        "type": "about:blank",  # so the title is the status phrase (RFC 9457, section 4.2.1)
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **(extra or {}),
    }
    return OutboundResponse(
        status=problem.status,
        body=orjson.dumps(document),
        content_type=_PROBLEM_JSON,
        headers=(*NO_STORE, *headers),
    )


def no_answer(reply: Reply, more: Mapping[str, object] | None = None) -> OutboundResponse:
    """Return the document of an outcome in :data:`NO_ANSWER`, with when to come back; ``more`` are members beside."""
    verdict = reply.verdict
    problem = Problem(code=verdict.outcome.value, status=NO_ANSWER[verdict.outcome], detail=reply.message)
    extra: dict[str, object] = {
        "outcome": verdict.outcome.value,
        "retry_after": verdict.retry_after_s,
        "locale": reply.locale,
        **(more or {}),
    }
    return problem_response(problem, extra, (("Retry-After", str(verdict.retry_after_s)),))
