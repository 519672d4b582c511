"""The part of JSON Schema 2020-12 that the API's document uses, strict: a member that is not described is an error."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def errors_of(value: object, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> list[str]:
    """Return where ``value`` breaks ``schema``; empty where it fits."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return errors_of(value, document["components"]["schemas"][name], document, at)
    if "anyOf" in schema:
        tries = [errors_of(value, inner, document, at) for inner in schema["anyOf"]]
        return [] if [] in tries else [error for errors in tries for error in errors]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is not one of {schema['enum']}"]
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(
            isinstance(value, _TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)
            for kind in kinds
        ):
            return [f"{at}: {value!r} is not {kinds}"]
    if schema.get("format") == "date-time" and not _is_utc(value):
        return [f"{at}: {value!r} is not a time in UTC"]
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        return [f"{at}: {value} is below {schema['minimum']}"]
    return _errors_inside(value, schema, document, at)


def _is_utc(value: object) -> bool:
    return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None


def _errors_inside(value: object, schema: dict[str, Any], document: dict[str, Any], at: str) -> list[str]:
    if isinstance(value, list):
        return [
            e
            for i, item in enumerate(value)
            for e in errors_of(item, schema["items"], document, f"{at}[{i}]")
        ]
    if isinstance(value, dict):
        return _errors_of_object(value, schema, document, at)
    return []


def _errors_of_object(
    value: dict[str, object], schema: dict[str, Any], document: dict[str, Any], at: str
) -> list[str]:
    described = schema.get("properties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        inner = described.get(name, schema.get("additionalProperties"))
        if inner is None:
            found.append(f"{at}: {name} is not described")
        else:
            found += errors_of(item, inner, document, f"{at}.{name}")
    return found
