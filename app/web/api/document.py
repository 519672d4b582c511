"""The OpenAPI 3.1 document of the JSON API: one Python description, from which the served bytes are made.

Outcomes and details come from the core, so a new one cannot be forgotten here; a test holds real responses against it.
"""

from __future__ import annotations

from typing import Final

import orjson

from app.core.model.code import Entry
from app.core.model.verdict import Detail, Outcome
from app.web.api import mini_program
from app.web.api.schemas import (
    IDEMPOTENCY_KEY,
    RETRY_AFTER,
    TIME,
    Schema,
    json_body,
    or_null,
    problem,
    record,
    ref,
    text,
)
from app.web.routing import Answer
from channels.base import InboundRequest, OutboundResponse
from channels.wording.locales import LOCALES

API_VERSION: Final = "1"


_ANSWERED: Final = [
    outcome.value for outcome in Outcome if outcome not in {Outcome.THROTTLED, Outcome.UNAVAILABLE}
]
_PROBLEM_CODES: Final = (
    ("invalid_utf8", "The body is not UTF-8."),
    ("invalid_json", "The body is not a JSON object."),
    ("unsupported_media_type", "The body is not `application/json`."),
    ("missing_code", "The member `code` is missing or not a string."),
    ("invalid_member", "`locale` is not a string, or `entry` is not one of its values."),
    ("invalid_idempotency_key", "An `Idempotency-Key` is not 1 to 255 printable ASCII characters."),
    ("malformed", "The request cannot be read."),
    ("not_authentic", "A browser sent the request from another site."),
    ("too_large", "The body is longer than the address takes."),
    ("method_not_allowed", "The address takes another method, named in the `Allow` header."),
    ("unknown_address", "There is nothing at this address."),
    (
        "throttled",
        "Too many queries or wrong codes; nothing was looked up. Come back after `Retry-After` seconds.",
    ),
    ("unavailable", "No answer could be recorded; this says nothing about the product. Try again later."),
    ("internal", "Something failed on our side."),
    *mini_program.PROBLEM_CODES,
)

_SCHEMAS: Final[Schema] = {
    "Question": record(
        "What is asked.",
        {
            "code": text(
                "The code as it stands on the label or in a message: spaces, dashes, full-width digits, a sentence or "
                "the address in a QR code are all read.",
                examples=["0000 0000 0000 0000 0000"],
            ),
            "locale": or_null(
                text("The language of `message`; an unknown one falls back to zh-CN.", examples=list(LOCALES))
            ),
            "entry": or_null(
                {
                    "enum": [entry.value for entry in Entry],
                    "default": Entry.TYPED.value,
                    "description": "How the code came in. A scanned code cannot hold a typing slip.",
                }
            ),
        },
        optional=frozenset({"locale", "entry"}),
    ),
    "First": record(
        "The first verification of the label.",
        {
            "at": TIME | {"description": "UTC."},
            "channel": text("The channel it came in on."),
            "place": or_null(text("Province or city, where known.")),
            "own": {"type": "boolean", "description": "Whether it was this caller's."},
        },
    ),
    "Product": record(
        "The product the code was issued for.",
        {
            "name": text("Name."),
            "name_en": or_null(text("English name.")),
            "gtin": or_null(text("GTIN with 14 digits.")),
            "picture": or_null(text("The https address of its picture, where the brand gave one.")),
        },
    ),
    "Brand": record(
        "The brand that answers for it.",
        {
            "name": text("Name."),
            "name_en": or_null(text("English name.")),
            "service_line": or_null(text("Telephone of the brand's service line.")),
        },
    ),
    "Programme": record(
        "The label programme.", {"name": text("Name."), "name_en": or_null(text("English name."))}
    ),
    "Verdict": record(
        "The final answer, recorded before it was sent. It is about the code's record, not about the pack.",
        {
            "outcome": {"enum": _ANSWERED, "description": "The answer; a closed list."},
            "reasons": {
                "type": "array",
                "items": {"enum": [item.value for item in (*Outcome, *Detail)]},
                "description": "Finer facts, and outcomes that applied as well.",
            },
            "ordinal": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": "Which query of this label this is: unique and gapless over all channels. Null where "
                "none is counted.",
            },
            "first": or_null(ref("First")),
            "product": or_null(ref("Product")),
            "brand": or_null(ref("Brand")),
            "programme": or_null(ref("Programme")),
            "slip_position": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "description": "Only with `mistyped`: the place(s) of the digit(s) to look at again, counted from 1.",
            },
            "message": text("The answer in words, in the language of `locale`."),
            "recorded_at": or_null(
                TIME | {"description": "When it was recorded, UTC; null where nothing is."}
            ),
            "locale": {"enum": list(LOCALES), "description": "The language of `message`."},
        },
        optional=frozenset({"slip_position"}),
    ),
    "Problem": record(
        "A problem document (RFC 9457). `code` is stable, the words are not.",
        {
            "type": text("Always about:blank or an address that explains the problem."),
            "title": text("The kind of problem in words."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What to do."),
            "code": {"enum": [code for code, _ in _PROBLEM_CODES], "description": "The kind of problem."},
            "outcome": {"enum": [Outcome.THROTTLED.value, Outcome.UNAVAILABLE.value]},
            "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds."},
            "locale": {
                "enum": list(LOCALES),
                "description": "The language of `detail`, where it was asked for.",
            },
            "challenge": text("Only with `throttled`: where there is work to do instead of waiting."),
        },
        optional=frozenset({"outcome", "retry_after", "locale", "challenge"}),
    ),
    "Challenge": record(
        "A proof-of-work challenge (ALTCHA, version 2), for this client alone; it ends after ten minutes.",
        {
            "parameters": record(
                "PBKDF2 of `nonce`, followed by a counter of 4 bytes (big-endian), must begin with `keyPrefix`.",
                {
                    "algorithm": text("Always PBKDF2/SHA-256."),
                    "cost": {"type": "integer", "description": "Rounds."},
                    "keyLength": {"type": "integer", "description": "Bytes to derive."},
                    "keyPrefix": text("Hexadecimal."),
                    "nonce": text("Hexadecimal."),
                    "salt": text("Hexadecimal."),
                    "data": record(
                        "Whom it is for, and until when.",
                        {
                            "for": text("A digest."),
                            "until": {"type": "integer", "description": "Seconds since 1970, UTC."},
                        },
                    ),
                },
            ),
            "signature": text("To be returned with the solution, like everything else in here."),
        },
    ),
    **mini_program.SCHEMAS,
    "Liveness": record("That the process lives.", {"live": {"type": "boolean"}}),
    "Readiness": record(
        "Whether a verification could be recorded now.",
        {
            "ready": {"type": "boolean"},
            "draining": {"type": "boolean", "description": "The service is about to stop."},
            "checks": {
                "type": "object",
                "additionalProperties": record(
                    "One check.",
                    {"ok": {"type": "boolean"}, "took_ms": {"type": "number"}, "code": text("Why not.")},
                    optional=frozenset({"code"}),
                ),
            },
        },
    ),
}


_PATHS: Final[Schema] = {
    "/api/v1/verifications": {
        "post": {
            "operationId": "verify",
            "summary": "Ask about one code",
            "description": "Every answered query is recorded before it is answered, and counts. Send an "
            "`Idempotency-Key` to be able to repeat a request whose answer was lost: the same key with the same code "
            "gets the stored answer for 7 days and is not counted again.",
            "parameters": [
                IDEMPOTENCY_KEY,
                {
                    "name": "Proof-Of-Work",
                    "in": "header",
                    "required": False,
                    "description": "The solution of a challenge: base64 of a JSON object with the members `challenge`, "
                    "as it came, and `solution` with `counter` and `derivedKey`. It lets one query through that the "
                    "limits would refuse, once. What is no solution is as good as nothing.",
                    "schema": {"type": "string"},
                },
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref("Question")}}},
            "responses": {
                "200": json_body("The verdict, whatever it is; a typing slip is one too.", "Verdict"),
                "400": problem("The request cannot be read."),
                "403": problem("The request came from another site's page."),
                "413": problem("The body is too large."),
                "415": problem("The body is not JSON."),
                "422": problem("A field is missing or of the wrong kind."),
                "429": problem("Too many queries or wrong codes.", **RETRY_AFTER),
                "500": problem("Something failed on our side."),
                "503": problem("No answer could be recorded.", **RETRY_AFTER),
            },
        }
    },
    "/api/v1/challenge": {
        "get": {
            "operationId": "challenge",
            "summary": "Get work to do instead of waiting",
            "description": "Only where the service offers it; a 429 then names this address. The `altcha` libraries "
            "solve such challenges. Solve it from the address and with the cookies that you ask with.",
            "responses": {
                "200": json_body("A challenge.", "Challenge"),
                "404": problem("The service offers no work."),
                "500": problem("Something failed on our side."),
            },
        }
    },
    **mini_program.PATHS,
    "/api/v1/openapi.json": {
        "get": {
            "operationId": "describe",
            "summary": "Get this document",
            "responses": {
                "200": {
                    "description": "The document, OpenAPI 3.1.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
        }
    },
    "/livez": {
        "get": {
            "operationId": "live",
            "summary": "Does the process live",
            "responses": {"200": json_body("It does.", "Liveness")},
        }
    },
    "/readyz": {
        "get": {
            "operationId": "ready",
            "summary": "Can a verification be recorded now",
            "responses": {
                "200": json_body("Yes.", "Readiness"),
                "503": json_body("No, or the service is about to stop.", "Readiness"),
            },
        }
    },
}


def openapi_document(public_url: str) -> Schema:
    """Return the OpenAPI 3.1 document of the service at ``public_url``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yanzhen",
            "version": API_VERSION,
            "summary": "Ask whether the code on a label matches the record.",
            "description": "One engine answers on every channel; this is the channel for programs. Status 200 carries "
            "every verdict, also an unfavourable one.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "paths": _PATHS,
        "components": {"schemas": _SCHEMAS, "securitySchemes": mini_program.SECURITY_SCHEMES},
    }


def problem_codes() -> tuple[tuple[str, str], ...]:
    """Return every problem code with what it means."""
    return _PROBLEM_CODES


def openapi_answer(public_url: str) -> Answer:
    """Return what answers the document's address."""
    body = orjson.dumps(openapi_document(public_url))

    async def answer(_inbound: InboundRequest) -> OutboundResponse:
        return OutboundResponse(status=200, body=body, content_type="application/json")

    return answer
