"""Filling a request's template: values become leaves of a structure, which is written as JSON or a form afterwards.

Every leaf is filled in one pass, so that a text which itself holds ``{token}`` is sent as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from channels.base import http_calls
from channels.sms.gateway.description import SendDescription, Template

PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def placeholders(template: Template) -> Iterator[str]:
    """Yield the name of every placeholder in a template."""
    if isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
    elif isinstance(template, Mapping):
        for member in template.values():
            yield from placeholders(member)
    elif isinstance(template, Sequence):
        for member in template:
            yield from placeholders(member)


def fill(template: Template, values: Mapping[str, str]) -> Template:
    """Return the template with its placeholders filled. Raises ``KeyError`` for one that has no value."""
    if isinstance(template, str):
        return PLACEHOLDER.sub(lambda match: values[match[1]], template)
    if isinstance(template, Mapping):
        return {name: fill(member, values) for name, member in template.items()}
    if isinstance(template, Sequence):
        return [fill(member, values) for member in template]
    return template


def make_call(
    send: SendDescription, credentials: Mapping[str, str], message: Mapping[str, str]
) -> http_calls.HttpCall:
    """Return the request that sends one message.

    ``message`` holds ``to``, ``text``, ``ours`` and ``reply_id``; they reach the fields alone, no header, no address.
    """
    quoted = {name: quote(secret, safe="") for name, secret in credentials.items()}
    url = PLACEHOLDER.sub(lambda match: quoted[match[1]], send.url)
    headers = tuple(
        (name, PLACEHOLDER.sub(lambda match: credentials[match[1]], written))
        for name, written in send.headers
    )
    fields = fill(send.fields, {**credentials, **message})
    if send.as_json:
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        kind = "application/json; charset=utf-8"
        return http_calls.HttpCall(
            method="POST", url=url, headers=(("Content-Type", kind), *headers), body=body
        )
    form = urlencode({name: _flat(member) for name, member in _members(fields)})
    if send.method == "GET":
        joined = f"{url}{'&' if '?' in url else '?'}{form}"
        return http_calls.HttpCall(method="GET", url=joined, headers=headers)
    kind = "application/x-www-form-urlencoded"
    return http_calls.HttpCall(
        method="POST", url=url, headers=(("Content-Type", kind), *headers), body=form.encode()
    )


def _members(fields: Template) -> Iterator[tuple[str, Template]]:
    if isinstance(fields, Mapping):
        yield from fields.items()


def _flat(member: Template) -> str:
    return str(member).lower() if isinstance(member, bool) else str(member)
