"""The OpenAPI 3.1 document of the JSON API: one Python description, from which the served bytes are made.

Outcomes and details come from the core, so a new one cannot be forgotten here; a test holds real responses against it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from app.core.model.code import Entry
from app.core.model.verdict import Detail, Outcome
from app.web.problems import PROBLEM_TYPE
from app.web.routing import Answer
from channels.base import InboundRequest, OutboundResponse
from channels.wording.locales import LOCALES

API_VERSION: Final = "1"
_Schema = dict[str, Any]


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(description: str, **more: object) -> _Schema:
    return {"type": "string", "description": description, **more}


def _record(description: str, properties: _Schema, *, optional: frozenset[str] = frozenset()) -> _Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TIME: Final = {"type": "string", "format": "date-time"}
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
)

_SCHEMAS: Final[_Schema] = {
    "Question": _record(
        "What is asked.",
        {
            "code": _text(
                "The code as it stands on the label or in a message: spaces, dashes, full-width digits, a sentence or "
                "the address in a QR code are all read.",
                examples=["0000 0000 0000 0000 0000"],
            ),
            "locale": _text(
                "The language of `message`; an unknown one falls back to zh-CN.", examples=list(LOCALES)
            ),
            "entry": {
                "enum": [entry.value for entry in Entry],
                "default": Entry.TYPED.value,
                "description": "How the code came in. A scanned code cannot hold a typing slip.",
            },
        },
        optional=frozenset({"locale", "entry"}),
    ),
    "First": _record(
        "The first verification of the label.",
        {
            "at": _TIME | {"description": "UTC."},
            "channel": _text("The channel it came in on."),
            "place": _or_null(_text("Province or city, where known.")),
            "own": {"type": "boolean", "description": "Whether it was this caller's."},
        },
    ),
    "Product": _record(
        "The product the code was issued for.",
        {
            "name": _text("Name."),
            "name_en": _or_null(_text("English name.")),
            "gtin": _or_null(_text("GTIN with 14 digits.")),
            "picture": _or_null(_text("The https address of its picture, where the brand gave one.")),
        },
    ),
    "Brand": _record(
        "The brand that answers for it.",
        {
            "name": _text("Name."),
            "name_en": _or_null(_text("English name.")),
            "service_line": _or_null(_text("Telephone of the brand's service line.")),
        },
    ),
    "Programme": _record(
        "The label programme.", {"name": _text("Name."), "name_en": _or_null(_text("English name."))}
    ),
    "Verdict": _record(
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
            "first": _or_null(_ref("First")),
            "product": _or_null(_ref("Product")),
            "brand": _or_null(_ref("Brand")),
            "programme": _or_null(_ref("Programme")),
            "slip_position": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "description": "Only with `mistyped`: the place(s) of the digit(s) to look at again, counted from 1.",
            },
            "message": _text("The answer in words, in the language of `locale`."),
            "recorded_at": _or_null(
                _TIME | {"description": "When it was recorded, UTC; null where nothing is."}
            ),
            "locale": {"enum": list(LOCALES), "description": "The language of `message`."},
        },
        optional=frozenset({"slip_position"}),
    ),
    "Problem": _record(
        "A problem document (RFC 9457). `code` is stable, the words are not.",
        {
            "type": _text("Always about:blank or an address that explains the problem."),
            "title": _text("The kind of problem in words."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": _text("What to do."),
            "code": {"enum": [code for code, _ in _PROBLEM_CODES], "description": "The kind of problem."},
            "outcome": {"enum": [Outcome.THROTTLED.value, Outcome.UNAVAILABLE.value]},
            "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds."},
            "locale": {
                "enum": list(LOCALES),
                "description": "The language of `detail`, where it was asked for.",
            },
        },
        optional=frozenset({"outcome", "retry_after", "locale"}),
    ),
    "Readiness": _record(
        "Whether a verification could be recorded now.",
        {
            "ready": {"type": "boolean"},
            "draining": {"type": "boolean", "description": "The service is about to stop."},
            "checks": {
                "type": "object",
                "additionalProperties": _record(
                    "One check.",
                    {"ok": {"type": "boolean"}, "took_ms": {"type": "number"}, "code": _text("Why not.")},
                    optional=frozenset({"code"}),
                ),
            },
        },
    ),
}


def _json(description: str, schema: str, **more: object) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}, **more}


def _problem(description: str, **more: object) -> _Schema:
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": _ref("Problem")}}, **more}


_RETRY_AFTER: Final = {
    "headers": {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    }
}

_PATHS: Final[_Schema] = {
    "/api/v1/verifications": {
        "post": {
            "operationId": "verify",
            "summary": "Ask about one code",
            "description": "Every answered query is recorded before it is answered, and counts. Send an "
            "`Idempotency-Key` to be able to repeat a request whose answer was lost: the same key with the same code "
            "gets the stored answer for 7 days and is not counted again.",
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "description": "Any text of your choice, fresh for each query.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                }
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Question")}}},
            "responses": {
                "200": _json("The verdict, whatever it is; a typing slip is one too.", "Verdict"),
                "400": _problem("The request cannot be read."),
                "403": _problem("The request came from another site's page."),
                "413": _problem("The body is too large."),
                "415": _problem("The body is not JSON."),
                "422": _problem("A field is missing or of the wrong kind."),
                "429": _problem("Too many queries or wrong codes.", **_RETRY_AFTER),
                "500": _problem("Something failed on our side."),
                "503": _problem("No answer could be recorded.", **_RETRY_AFTER),
            },
        }
    },
    "/livez": {
        "get": {
            "operationId": "live",
            "summary": "Does the process live",
            "responses": {"200": {"description": "It does."}},
        }
    },
    "/readyz": {
        "get": {
            "operationId": "ready",
            "summary": "Can a verification be recorded now",
            "responses": {
                "200": _json("Yes.", "Readiness"),
                "503": _json("No, or the service is about to stop.", "Readiness"),
            },
        }
    },
}


def openapi_document(public_url: str) -> _Schema:
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
        "components": {"schemas": _SCHEMAS},
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
