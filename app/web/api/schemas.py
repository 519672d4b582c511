"""The few forms that the OpenAPI document is made of."""

from __future__ import annotations

from typing import Any, Final

from app.web.problems import PROBLEM_TYPE

Schema = dict[str, Any]

TIME: Final = {"type": "string", "format": "date-time"}
RETRY_AFTER: Final = {
    "headers": {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    }
}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of your choice, fresh for each query.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str, **more: object) -> Schema:
    """Return a string."""
    return {"type": "string", "description": description, **more}


def record(description: str, properties: Schema, *, optional: frozenset[str] = frozenset()) -> Schema:
    """Return an object; every member is required but for the ``optional``."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


def or_null(schema: Schema) -> Schema:
    """Return ``schema``, or null; what it means stands outside, where the documentation looks for it."""
    outside = {name: schema[name] for name in ("description",) if name in schema}
    return {"anyOf": [schema, {"type": "null"}], **outside}


def json_body(description: str, schema: str, **more: object) -> Schema:
    """Return a response with a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}, **more}


def problem(description: str, **more: object) -> Schema:
    """Return a response with a problem document."""
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": ref("Problem")}}, **more}
