"""Problem documents (RFC 9457) for what the server itself refuses; ``code`` is stable, wording is not."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson

from channels.base import OutboundResponse, Refusal, RefusalKind

PROBLEM_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of problem: its status, its stable code and what to do."""

    status: int
    code: str
    detail: str

    def response(self, detail: str = "") -> OutboundResponse:
        """Return the document; ``type`` is about:blank, so ``title`` is the status phrase (section 4.2.1)."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": detail or self.detail,
            "code": self.code,
        }
        return OutboundResponse(status=self.status, body=orjson.dumps(document), content_type=PROBLEM_TYPE)


PROBLEMS: Final = {
    RefusalKind.NOT_AUTHENTIC: Problem(
        status=403, code="not_authentic", detail="The request does not prove where it comes from."
    ),
    RefusalKind.MALFORMED: Problem(status=400, code="malformed", detail="The request cannot be read."),
    RefusalKind.TOO_LARGE: Problem(status=413, code="too_large", detail="The request body is too large."),
    RefusalKind.NOT_ALLOWED: Problem(
        status=405, code="method_not_allowed", detail="Use one of the methods named in the Allow header."
    ),
    RefusalKind.UNKNOWN_ADDRESS: Problem(
        status=404, code="unknown_address", detail="There is nothing at this address."
    ),
    RefusalKind.UNAVAILABLE: Problem(status=503, code="unavailable", detail="Try again in a few seconds."),
    RefusalKind.INTERNAL: Problem(
        status=500, code="internal", detail="Something failed on our side. Please try again later."
    ),
}


def refuse(refusal: Refusal) -> OutboundResponse:
    """Return the problem document of a refusal, for addresses that belong to no channel."""
    return PROBLEMS[refusal.kind].response(refusal.message)
