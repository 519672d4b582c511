"""The documentation page of the JSON API: one HTML page made from the OpenAPI document, nothing fetched elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from app.web.api.document import openapi_document, problem_codes
from app.web.routing import Answer
from channels.base import InboundRequest, OutboundResponse

_Part = Mapping[str, Any]

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Yanzhen 验真: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/docs.css">
</head>
<body>
<main>
"""
# A table may be wider than a phone: whoever has no pointer scrolls it by the keyboard.
_TABLE: Final = '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>'
_TAIL: Final = "</main>\n</body>\n</html>\n"


def docs_answer(public_url: str) -> Answer:
    """Return what answers the page's address."""
    page = render_docs(openapi_document(public_url)).encode()

    async def answer(_inbound: InboundRequest) -> OutboundResponse:
        return OutboundResponse(status=200, body=page, content_type="text/html")

    return answer


def render_docs(document: _Part) -> str:
    """Return the whole page for an OpenAPI 3.1 document."""
    info = document["info"]
    parts = [
        _HEAD,
        f"<h1>{escape(info['title'])} 验真: API</h1>\n<p>{_prose(info['summary'])}</p>\n",
        f"<p>{_prose(info['description'])}</p>\n",
        '<p><a href="/api/v1/openapi.json">OpenAPI 3.1 document</a></p>\n',
        *_example(document),
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(path, method, operation)
    parts.append("<h2>Values</h2>\n")
    for name, schema in document["components"]["schemas"].items():
        parts += _schema(name, schema)
    parts.append(f"<h2>Problem codes</h2>\n{_TABLE}\n")
    parts.append("<tr><th scope=col>code</th><th scope=col>meaning</th></tr>\n")
    parts += [
        f"<tr><td><code>{escape(code)}</code></td><td>{_prose(text)}</td></tr>\n"
        for code, text in problem_codes()
    ]
    parts.append("</table></div>\n")
    return "".join([*parts, _TAIL])


def _example(document: _Part) -> Iterator[str]:
    url = document["servers"][0]["url"]
    command = (
        f"curl -s {url}/api/v1/verifications \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"code": "0000 0000 0000 0000 0000", "locale": "en"}\''
    )
    yield f'<h2>Try it</h2>\n<pre tabindex="0">{escape(command)}</pre>\n'


def _operation(path: str, method: str, operation: _Part) -> Iterator[str]:
    yield f"<h2>{escape(operation['summary'])}</h2>\n<p><code>{method.upper()} {escape(path)}</code></p>\n"
    if "description" in operation:
        yield f"<p>{_prose(operation['description'])}</p>\n"
    if operation.get("parameters"):
        yield "<dl>\n"
        for parameter in operation["parameters"]:
            kind = "required" if parameter["required"] else "optional"
            yield f"<dt><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}, {kind})</dt>\n"
            yield f"<dd>{_prose(parameter['description'])}</dd>\n"
        yield "</dl>\n"
    if "requestBody" in operation:
        yield f"<p>Body: {_bodies(operation['requestBody'])}</p>\n"
    yield f"{_TABLE}\n<tr><th scope=col>status</th><th scope=col>meaning</th>"
    yield "<th scope=col>body</th></tr>\n"
    for status, response in operation["responses"].items():
        meaning = _prose(response["description"])
        yield f"<tr><td>{escape(status)}</td><td>{meaning}</td><td>{_bodies(response)}</td></tr>\n"
    yield "</table></div>\n"


def _schema(name: str, schema: _Part) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3>\n<p>{_prose(schema["description"])}</p>\n'
    yield f"{_TABLE}\n<tr><th scope=col>field</th><th scope=col>kind</th>"
    yield "<th scope=col>meaning</th></tr>\n"
    required = schema["required"]
    for field, inner in schema["properties"].items():
        presence = "" if field in required else " (optional)"
        meaning = _prose(inner.get("description", ""))
        yield f"<tr><td><code>{escape(field)}</code>{presence}</td><td>{_kind(inner)}</td><td>{meaning}</td></tr>\n"
    yield "</table></div>\n"


def _bodies(holder: _Part) -> str:
    content = holder.get("content", {})
    return (
        ", ".join(f"<code>{escape(kind)}</code> {_kind(body['schema'])}" for kind, body in content.items())
        or "none"
    )


def _kind(schema: _Part) -> str:
    """Return what a value is, in a word, a link or a list of the values there are."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(inner) for inner in schema["anyOf"])
    if "enum" in schema:
        return " ".join(f"<code>{escape(value)}</code>" for value in schema["enum"])
    kind = schema["type"]
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return "map of name to object"
    words = " or ".join(kind) if isinstance(kind, list) else kind
    return escape(words) + (" (RFC 3339)" if schema.get("format") == "date-time" else "")


def _prose(text: str) -> str:
    """Return ``text`` as HTML; words between backticks are code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
