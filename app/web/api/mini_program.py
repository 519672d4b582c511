"""The part of the OpenAPI document that mini-programs use. It is always listed, and served where one is set up."""

from __future__ import annotations

from typing import Final

from app.core.model.verdict import Detail, Outcome
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
from channels.wording.locales import LOCALES

_ANSWERED: Final = [
    outcome.value for outcome in Outcome if outcome not in {Outcome.THROTTLED, Outcome.UNAVAILABLE}
]
_SERVED: Final = "Served where a WeChat mini-program is set up. "

PROBLEM_CODES: Final = (
    ("sign_in_required", "No session token came, or it is over or not ours: sign in again."),
    ("sign_in_refused", "The platform does not know the code of `wx.login`, or it was used before."),
    ("unknown_app", "`app_id` is not that of a mini-program of this service."),
    ("invalid_limit", "`limit` is not a number in its range."),
    ("invalid_text", "`text` is empty, too long or not a string."),
    ("unknown_result", "`result` is not that of an own check, or of no label in the record."),
    ("foreign_page", "`url` is not the address of a page of this service."),
    ("recall_notices_not_offered", "The mini-program has no template for telling of recalls."),
)

SECURITY_SCHEMES: Final[Schema] = {
    "session": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of `/api/v1/wechat/session`. Cookies prove nothing here.",
    }
}

_RESULT: Final = text("The check's public id: 22 characters that nobody can guess.")
_LOCALE: Final = text(
    "The language of the words; an unknown one falls back to zh-CN.", examples=list(LOCALES)
)

SCHEMAS: Final[Schema] = {
    "SignIn": record(
        "Who is there, as WeChat tells it.",
        {
            "code": text("What `wx.login` gave; it works once, for five minutes."),
            "app_id": or_null(
                text("The mini-program's AppID; without it the first of this service is meant.")
            ),
        },
        optional=frozenset({"app_id"}),
    ),
    "SignedIn": record(
        "A session.",
        {
            "token": text("To be sent as `Authorization: Bearer`. Keep it in memory only."),
            "expires_in": {"type": "integer", "minimum": 1, "description": "Seconds."},
            "recall_template": or_null(
                text("The template to ask consent for, where this mini-program tells of recalls.")
            ),
        },
    ),
    "MiniProgramVerdict": record(
        "The final answer with the words to show it in, recorded before it was sent.",
        {
            "outcome": {"enum": _ANSWERED, "description": "The answer; a closed list."},
            "ordinal": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": "Which query of this label this is. Null where none is counted.",
            },
            "reasons": {
                "type": "array",
                "items": {"enum": [item.value for item in (*Outcome, *Detail)]},
                "description": "Finer facts, and outcomes that applied as well.",
            },
            "message": text("The answer in one or two sentences."),
            "headline": text("The answer in a few words."),
            "lead": text("What follows the headline."),
            "facts": {
                "type": "array",
                "items": ref("ShownFact"),
                "description": "Counts and times, in the order to show them.",
            },
            "look_at": {
                "type": "array",
                "items": text("One thing to look at on the pack."),
                "description": "May be empty.",
            },
            "next_step": text("What to do now."),
            "product": or_null(text("Its name in the language of `locale`, where there is one.")),
            "brand": or_null(text("Its name, likewise.")),
            "programme": or_null(text("The label programme, likewise.")),
            "service_line": or_null(text("Telephone of the brand's service line.")),
            "slip_position": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "description": "Only with `mistyped`: the digit(s) to look at again, counted from 1.",
            },
            "recorded_at": or_null(
                TIME | {"description": "When it was recorded, UTC; null where nothing is."}
            ),
            "result": or_null(_RESULT),
            "locale": {"enum": list(LOCALES), "description": "The language of the words."},
        },
        optional=frozenset({"slip_position"}),
    ),
    "ShownFact": record(
        "A line to show.",
        {
            "name": text("What it is: count, first, own_first or recorded."),
            "label": text("What it is, in words."),
            "value": text("Its value in words."),
        },
    ),
    "History": record(
        "Own checks, the newest first: what was answered then, and nothing about a pack in somebody's hand now.",
        {
            "records": {"type": "array", "items": ref("PastCheck"), "description": "May be empty."},
            "locale": {"enum": list(LOCALES), "description": "The language of the words."},
        },
    ),
    "PastCheck": record(
        "One check of the past.",
        {
            "outcome": {"enum": _ANSWERED, "description": "What was answered."},
            "headline": text("What was answered, in a few words."),
            "recorded_at": TIME | {"description": "UTC."},
            "product": or_null(text("The product's name, where one was found.")),
            "result": _RESULT,
        },
    ),
    "WatchedCheck": record(
        "The check whose batch is watched.",
        {"result": _RESULT, "locale": or_null(_LOCALE)},
        optional=frozenset({"locale"}),
    ),
    "PageSignature": record(
        "What `wx.config` takes.",
        {
            "appId": text("The official account's."),
            "timestamp": {"type": "integer", "description": "Seconds since 1970, UTC."},
            "nonceStr": text("Different for each page and second."),
            "signature": text("Hexadecimal."),
        },
    ),
    "Report": record(
        "Something suspicious.",
        {
            "text": text("What was seen; more than blanks.", minLength=1, maxLength=500, pattern="\\S"),
            "result": or_null(_RESULT),
            "locale": or_null(_LOCALE),
        },
        optional=frozenset({"result", "locale"}),
    ),
}

_REFUSALS: Final[Schema] = {
    "400": problem("The request cannot be read."),
    "401": problem("There is no valid session token."),
    "413": problem("The body is too large."),
    "415": problem("The body is not JSON."),
    "422": problem("A field is missing or of the wrong kind."),
    "500": problem("Something failed on our side."),
    "503": problem("It could not be done now.", **RETRY_AFTER),
}
_SIGNED_IN: Final[list[Schema]] = [{"session": []}]


def _body(schema: str) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": ref(schema)}}}


PATHS: Final[Schema] = {
    "/api/v1/wechat/session": {
        "post": {
            "operationId": "signIn",
            "summary": "Mini-program: sign in",
            "description": _SERVED + "Exchanges the code of `wx.login` for a session token.",
            "requestBody": _body("SignIn"),
            "responses": {
                "200": json_body("Signed in.", "SignedIn"),
                **_REFUSALS,
                "401": problem("The platform refuses the code."),
                "429": problem("Too many sign-ins from this address.", **RETRY_AFTER),
            },
        }
    },
    "/api/v1/wechat/verifications": {
        "post": {
            "operationId": "verifyInMiniProgram",
            "summary": "Mini-program: ask about one code",
            "description": _SERVED
            + "As `/api/v1/verifications`, for somebody known, with the words to show. The same `Idempotency-Key` with "
            "the same code from the same person is one query.",
            "security": _SIGNED_IN,
            "parameters": [
                IDEMPOTENCY_KEY,
            ],
            "requestBody": _body("Question"),
            "responses": {
                "200": json_body(
                    "The verdict, whatever it is; a typing slip is one too.", "MiniProgramVerdict"
                ),
                **_REFUSALS,
                "429": problem("Too many queries or wrong codes.", **RETRY_AFTER),
            },
        },
        "get": {
            "operationId": "readHistory",
            "summary": "Mini-program: read own checks",
            "description": _SERVED + "Reading counts nothing. Checks are kept for 24 months.",
            "security": _SIGNED_IN,
            "parameters": [
                {
                    "name": "limit",
                    "in": "query",
                    "required": False,
                    "description": "How many at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20},
                },
                {
                    "name": "locale",
                    "in": "query",
                    "required": False,
                    "description": "The language of the words; without it that of `Accept-Language`.",
                    "schema": {"type": "string"},
                },
            ],
            "responses": {
                "200": json_body("The records.", "History"),
                **{status: _REFUSALS[status] for status in ("401", "422", "500", "503")},
            },
        },
    },
    "/api/v1/wechat/recall-watches": {
        "post": {
            "operationId": "watchRecall",
            "summary": "Mini-program: be told of a recall",
            "description": _SERVED
            + "Ask consent with `wx.requestSubscribeMessage` first: one consent is one message, sent once the batch "
            "is recalled.",
            "security": _SIGNED_IN,
            "requestBody": _body("WatchedCheck"),
            "responses": {
                "204": {"description": "Kept."},
                "404": problem("Not an own check of a label in the record, or not offered."),
                **_REFUSALS,
            },
        }
    },
    "/api/v1/wechat/reports": {
        "post": {
            "operationId": "report",
            "summary": "Mini-program: report something suspicious",
            "description": _SERVED
            + "One report a person and check, without a check one a day; written again, the last words count. They are "
            "kept sealed, for 90 days.",
            "security": _SIGNED_IN,
            "requestBody": _body("Report"),
            "responses": {
                "204": {"description": "Kept."},
                "404": problem("There is no such check."),
                **_REFUSALS,
            },
        }
    },
    "/channels/wechat/js-sdk": {
        "get": {
            "operationId": "signPage",
            "summary": "WeChat: sign a page for the JS-SDK",
            "description": "Served where an official account signs pages; they ask with their own address.",
            "parameters": [
                {
                    "name": "url",
                    "in": "query",
                    "required": True,
                    "description": "The address of the page, under the service's own.",
                    "schema": {"type": "string", "maxLength": 2048},
                }
            ],
            "responses": {
                "200": json_body("The signature.", "PageSignature"),
                **{status: _REFUSALS[status] for status in ("400", "500", "503")},
            },
        }
    },
}
