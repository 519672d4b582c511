"""The ``[send]`` part of a description: what a gateway that takes replies wants, checked before the first is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypedDict
from urllib.parse import urlsplit

from channels.sms.gateway.description import OWN_PLACEHOLDERS, Scalar, SendDescription, Template
from channels.sms.gateway.tables import Table
from channels.sms.gateway.templates import PLACEHOLDER, placeholders

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_DEEPEST: Final = 8


class _Acceptance(TypedDict):
    statuses: tuple[int, ...]
    path: str
    equals: Scalar
    later: tuple[Scalar, ...]
    id_path: str


def read_send(part: Table, credentials: Mapping[str, str], *, credentials_setting: str) -> SendDescription:
    """Return the sending part; whatever is wrong with it is noted in ``part``."""
    needs: set[str] = set()
    url = _url_of(part, needs)
    method = part.choice("method", ("POST", "GET"), "POST")
    as_json = part.choice("body", ("json", "form"), "json" if method == "POST" else "form") == "json"
    if as_json and method == "GET":
        part.problem("body", "a GET request has none; its fields go to the address, so write form")
    headers = _headers_of(part, credentials, needs)
    fields = _fields_of(part, needs, flat=not as_json)
    for needed in ("to", "text"):
        if needed not in needs:
            part.problem("fields", f"nothing holds {{{needed}}}, so no text could be sent")
    for name in sorted(needs - OWN_PLACEHOLDERS - set(credentials)):
        part.problem("", f"{{{name}}} has no value; add {name} to {credentials_setting}")
    prefixes = _texts(part, "drop_prefixes")
    accepted = part.table("accepted", needed=True)
    description = SendDescription(
        url=url,
        method=method or "POST",
        as_json=as_json,
        headers=headers,
        fields=fields,
        drop_prefixes=prefixes,
        **_acceptance_of(accepted if accepted is not None else Table({}, [])),
    )
    part.close()
    return description


def _url_of(part: Table, needs: set[str]) -> str:
    url = part.text("url")
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.fragment
    except ValueError:
        right = False
    else:
        right = right and "{" not in parts.netloc and url.isascii() and url.isprintable() and " " not in url
    if not right:
        part.problem(
            "url", "must be an address like https://sms.example.cn/send, in ASCII, its host written out"
        )
    names = set(PLACEHOLDER.findall(url))
    if names & OWN_PLACEHOLDERS:
        part.problem("url", "may hold credentials only; number and text belong in [send.fields]")
    needs |= names - OWN_PLACEHOLDERS
    return url


def _headers_of(part: Table, credentials: Mapping[str, str], needs: set[str]) -> tuple[tuple[str, str], ...]:
    table = part.table("headers")
    headers = []
    for name in table.names() if table is not None else ():
        written = table.text(name) if table is not None else ""
        names = set(PLACEHOLDER.findall(written))
        filled = PLACEHOLDER.sub(lambda match: credentials.get(match[1], ""), written)
        if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(filled) or names & OWN_PLACEHOLDERS:
            part.problem(
                f"headers.{name}", "must be a header of printable ASCII; it may hold credentials only"
            )
        needs |= names - OWN_PLACEHOLDERS
        headers.append((name, written))
    return tuple(headers)


def _fields_of(part: Table, needs: set[str], *, flat: bool) -> Mapping[str, Template]:
    table = part.table("fields", needed=True)
    fields: dict[str, Template] = {}
    for name in table.names() if table is not None else ():
        template = _template(table.find(name) if table is not None else None, depth=0)
        if template is None or (flat and not isinstance(template, str | int | float | bool)):
            kinds = "a text, number, true or false" if flat else "a text, number, true, false, array or table"
            part.problem(f"fields.{name}", f"must be {kinds}")
            continue
        fields[name] = template
        needs.update(placeholders(template))
    return fields


def _template(content: object, *, depth: int) -> Template | None:
    """Return what TOML gave as a template; None for dates, endless numbers and what is nested too deeply."""
    if isinstance(content, float) and content - content != 0:
        return None
    if isinstance(content, str | int | float | bool):
        return content
    if depth == _DEEPEST:
        return None
    if isinstance(content, list):
        members = [_template(member, depth=depth + 1) for member in content]
        return None if None in members else [member for member in members if member is not None]
    if isinstance(content, dict):
        named = {str(name): _template(member, depth=depth + 1) for name, member in content.items()}
        if None in named.values():
            return None
        return {name: member for name, member in named.items() if member is not None}
    return None


def _texts(part: Table, name: str) -> tuple[str, ...]:
    entries = part.entries(name)
    if not all(isinstance(entry, str) and entry for entry in entries):
        part.problem(name, 'must be texts, as in ["+86", "+"]')
    return tuple(entry for entry in entries if isinstance(entry, str))


def _acceptance_of(part: Table) -> _Acceptance:
    statuses = part.entries("status") or (200,)
    if not all(isinstance(status, int) and 200 <= status <= 299 for status in statuses):
        part.problem("status", "must be an array of statuses from 200 to 299")
    path = part.text("path", "")
    equals = part.find("equals")
    if (equals is None) is not (path == ""):
        part.problem("equals", "path and equals go together: which value of the answer says what")
    if equals is not None and not isinstance(equals, str | int | bool):
        part.problem("equals", "must be a text, a whole number, true or false")
    later = part.entries("later")
    if later and not path:
        part.problem("later", "needs a path")
    if not all(isinstance(entry, str | int | bool) for entry in later):
        part.problem("later", "must hold texts or whole numbers")
    acceptance = _Acceptance(
        statuses=tuple(status for status in statuses if isinstance(status, int)),
        path=path,
        equals=equals if isinstance(equals, str | int | bool) else "",
        later=tuple(entry for entry in later if isinstance(entry, str | int | bool)),
        id_path=part.text("id_path", ""),
    )
    part.close()
    return acceptance
