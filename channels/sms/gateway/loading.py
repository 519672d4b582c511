"""Gateway descriptions from their TOML files. Everything wrong in all of them is told at once, by file and field."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from app.core.errors import SettingsInvalid
from channels.sms.gateway.description import (
    BodyForm,
    FieldNames,
    FixedAnswer,
    GatewayDescription,
    TextEncoding,
    TimeForm,
    TimeWriting,
)
from channels.sms.gateway.sending import read_send
from channels.sms.gateway.tables import Table
from channels.sms.settings import GatewayOptions

_SHIPPED: Final = Path(__file__).parent / "descriptions"
_NAME: Final = r"[a-z][a-z0-9-]{0,31}"
_TAKEN: Final = frozenset({"twilio", "kannel", "smpp"})
_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_SAMPLE: Final = datetime(2031, 11, 29, 23, 58)  # noqa: DTZ001 - a local time, as the patterns are
_CREDENTIALS: Final = "YANZHEN_SMS__GATEWAY__CREDENTIALS"


def load_descriptions(options: GatewayOptions) -> tuple[GatewayDescription, ...]:
    """Return the description of every file in ``options``, in order.

    Raises ``SettingsInvalid`` naming every problem of every file and of the options, one a line with its remedy.
    """
    problems: list[str] = []
    found: list[GatewayDescription] = []
    for file in options.files:
        content = _read(file, problems)
        if content is None:
            continue
        wrong: list[str] = []
        description = _describe(Table(content, wrong), dict(options.credentials))
        problems.extend(f"{_label(file)}, {line}" for line in wrong)
        if not wrong:
            found.append(description)
    problems.extend(_problems_of_options(options, found))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise SettingsInvalid(
            f"The gateways for text messages are not set up; correct and start again:\n{lines}"
        )
    return tuple(found)


def _problems_of_options(options: GatewayOptions, found: Collection[GatewayDescription]) -> list[str]:
    problems = []
    if not options.files:
        problems.append("sms.gateway.files: name at least one description, such as alibaba")
    if not options.secrets:
        problems.append("sms.gateway.secrets: set one; it stands in the address given to the provider")
    if not all(_SECRET.fullmatch(secret) for secret in options.secrets):
        problems.append("sms.gateway.secrets: each must be 16 to 200 letters, digits, dots, dashes")
    if not options.allow_from:
        problems.append("sms.gateway.allow_from: name the provider's addresses")
    names = [description.name for description in found]
    problems.extend(
        f"sms.gateway.files: two descriptions are called {name}; rename one"
        for name in sorted({name for name in names if names.count(name) > 1})
    )
    mute = {description.name for description in found if description.send is None}
    if mute and not options.reply_by:
        problems.append(
            f"sms.gateway.reply_by: {', '.join(sorted(mute))} cannot send, so name the sender that answers: "
            "twilio, kannel, smpp, or a description with a [send] part"
        )
    if options.reply_by in mute:
        problems.append(f"sms.gateway.reply_by: {options.reply_by} has no [send] part; name another sender")
    return problems


def _label(file: str) -> str:
    return f"{file}.toml" if _is_shipped(file) else file


def _is_shipped(file: str) -> bool:
    return re.fullmatch(_NAME, file) is not None


def _read(file: str, problems: list[str]) -> Mapping[str, object] | None:
    path = _SHIPPED / f"{file}.toml" if _is_shipped(file) else Path(file)
    try:
        with path.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        shipped = ", ".join(sorted(known.stem for known in _SHIPPED.glob("*.toml")))
        problems.append(f"{file}: cannot be read ({error.strerror}); give a path, or one of {shipped}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{file}: is not valid TOML: {error}")
    return None


def _describe(table: Table, credentials: Mapping[str, str]) -> GatewayDescription:
    name = table.text("name", pattern=_NAME, meant="lower-case letters, digits and dashes, a letter first")
    if name in _TAKEN:
        table.problem("name", f"{name} is another provider's; take another name")
    request = table.table("request", needed=True) or Table({"body": "json_object"}, [])
    form = BodyForm(request.choice("body", list(BodyForm)) or BodyForm.OBJECT)
    items = request.text("items", "")
    if items and form is BodyForm.FORM:
        request.problem("items", "a form has no members; leave it out")
    encoding = TextEncoding(request.choice("text_encoding", list(TextEncoding), "plain") or "plain")
    request.close()
    unique_ids, id_field = _id_of(table)
    time, time_field = _time_of(table)
    if time is None and not unique_ids:
        table.problem(
            "time", "describe the time, unless [id] is unique; without either a repeat is never known"
        )
    fields = _fields_of(table, id_field=id_field, time_field=time_field)
    success = _answer_of(table, "success", low=200, high=299)
    failure = _answer_of(table, "failure", low=200, high=599)
    if success == failure:
        table.problem("failure", "must differ from success, or nothing is ever delivered again")
    sending = table.table("send")
    send = read_send(sending, credentials, credentials_setting=_CREDENTIALS) if sending is not None else None
    table.close()
    return GatewayDescription(
        name=name,
        form=form,
        items=items,
        fields=fields,
        unique_ids=unique_ids,
        text_encoding=encoding,
        time=time,
        success=success,
        failure=failure,
        send=send,
    )


def _fields_of(table: Table, *, id_field: str, time_field: str) -> FieldNames:
    fields = table.table("fields", needed=True)
    if fields is None:
        return FieldNames(sender="", text="")
    names = FieldNames(
        sender=fields.text("sender"),
        text=fields.text("text"),
        country=fields.text("country", ""),
        ours=fields.text("ours", ""),
        id=id_field,
        time=time_field,
    )
    fields.close()
    return names


def _id_of(table: Table) -> tuple[bool, str]:
    part = table.table("id")
    if part is None:
        return False, ""
    field = part.text("field")
    unique = part.flag("unique", default=False)
    part.close()
    return unique, field


def _time_of(table: Table) -> tuple[TimeWriting | None, str]:
    part = table.table("time")
    if part is None:
        return None, ""
    field = part.text("field")
    written = part.text("format")
    named = {form.value: form for form in TimeForm if form is not TimeForm.PATTERN}
    form = named.get(written, TimeForm.PATTERN)
    if written and form is TimeForm.PATTERN and not _tells_the_minute(written):
        part.problem(
            "format",
            f"must be one of {', '.join(named)}, or a pattern such as %Y-%m-%d %H:%M:%S, without a zone",
        )
    zone = _zone_of(part)
    part.close()
    return TimeWriting(form=form, pattern=written if form is TimeForm.PATTERN else "", zone=zone), field


def _tells_the_minute(pattern: str) -> bool:
    """Return whether a time written by the pattern is read back to the minute."""
    try:
        return datetime.strptime(_SAMPLE.strftime(pattern), pattern) == _SAMPLE  # noqa: DTZ007 - local
    except (ValueError, re.error):
        return False


def _zone_of(part: Table) -> ZoneInfo | None:
    name = part.text("zone", "")
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        part.problem("zone", "is not a time zone name; use one like Asia/Shanghai or UTC")
        return None


def _answer_of(table: Table, name: str, *, low: int, high: int) -> FixedAnswer:
    part = table.table(name, needed=True)
    if part is None:
        return FixedAnswer(status=low, body=b"", content_type="")
    status = part.integer("status", 200, low=low, high=high)
    kind = part.text(
        "content_type", "text/plain", pattern=r"[a-z]+/[a-z0-9.+-]+", meant="like application/json"
    )
    body = part.find("body")
    if body is None:
        body = ""
    if not isinstance(body, str):
        part.problem("body", "must be a text")
        body = ""
    if kind == "application/json":
        try:
            json.loads(body)
        except ValueError:
            part.problem("body", "must be JSON, as content_type says")
    part.close()
    return FixedAnswer(status=status, body=body.encode(), content_type=kind)
