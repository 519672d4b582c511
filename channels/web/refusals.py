"""Why a web request is refused before it becomes a query: each reason has a stable code, a status and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from app.core.errors import NotAuthentic, Undecodable
from channels.base import RefusalKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a refusal tells: ``code`` never changes, ``detail`` says what to do."""

    code: str
    status: int
    detail: str


class Reason(Enum):
    """Every reason; the JSON API's documentation lists them."""

    FOREIGN_ORIGIN = Problem(
        code="not_authentic",
        status=403,
        detail="Send the request from a page of this service, or without an Origin header.",
    )
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
    WRONG_FORM = Problem(
        code="malformed", status=400, detail="Send the form of the check page, with nothing added."
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
    WRONG_LINK = Problem(
        code="invalid_link",
        status=400,
        detail="The product number in the link is not a GTIN. Scan the label again or type the code.",
    )


BY_KIND = {
    RefusalKind.NOT_AUTHENTIC: Reason.FOREIGN_ORIGIN.value,
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


class ForeignOrigin(NotAuthentic):
    """The request comes from a page of another site. Open this service itself and check there."""

    def __init__(self, locale: str) -> None:
        super().__init__()
        self.problem = Reason.FOREIGN_ORIGIN.value
        self.locale = locale


class WebUndecodable(Undecodable):
    """The request is not of the form a page or an API client sends. Send it as the documentation shows."""

    def __init__(self, reason: Reason, locale: str = "zh-CN") -> None:
        super().__init__(reason.value.detail)
        self.problem = reason.value
        self.locale = locale
