"""What one commit does: read the present, decide each draft in the order of arrival, append the facts.

Synchronous, run by the writer thread. Few statements a batch, each one step: every step gives up the interpreter
lock, and getting it back from a busy event loop is what a statement costs.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.adapters.storage.rows import reasons_to_text, to_micros, verdict_from_bytes, verdict_to_bytes
from app.adapters.storage.sqlite.histories import Histories, spare_marks
from app.adapters.storage.sqlite.many_rows import put_rows
from app.core.errors import CatalogueChanged
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Draft
from app.core.rules import decide, gets_ordinal

_PRESENT = "SELECT version, (SELECT max(id) FROM verification) FROM catalogue_version"
_FACT_COLUMNS: Final = 12
_REFERENCE_BITS: Final = 62


def record_drafts(
    connection: sqlite3.Connection, histories: Histories, drafts: Sequence[Draft], catalogue: Catalogue
) -> list[Verdict]:
    """Record a batch inside an open ``BEGIN IMMEDIATE`` transaction and return its verdicts in order.

    Raises ``CatalogueChanged`` if ``catalogue`` is not the present one. The caller commits, or rolls back and
    resets ``histories``.
    """
    version, last_id = connection.execute(_PRESENT).fetchone()
    if version != catalogue.version:
        raise CatalogueChanged
    last_id = last_id or 0
    histories.catch_up(last_id)
    keys = [key for draft in drafts for key in (draft.message_key, draft.alias_key) if key is not None]
    answers = _stored_answers(connection, keys) if keys else {}
    references = _caller_references(connection, drafts)
    histories.load(
        (draft.label.serial, references.get(draft.caller.token))
        for draft in drafts
        if gets_ordinal(draft.label or draft.stand_in)
        and draft.label is not None
        and draft.message_key not in answers
        and draft.alias_key not in answers
    )
    verdicts: list[Verdict] = []
    facts: list[Any] = []
    for draft in drafts:
        verdict = _told_before(answers, draft)
        if verdict is None:
            last_id += 1
            verdict = _decide(histories, draft, references.get(draft.caller.token), last_id, facts)
        if draft.message_key is not None or draft.alias_key is not None:
            _remember(connection, answers, draft, verdict)
        verdicts.append(verdict)
    put_rows(connection, "verification", _FACT_COLUMNS, facts)
    histories.last_id = last_id
    if histories.fold_is_due:
        histories.fold(max(histories.limits.slice, 2 * len(drafts)))
    return verdicts


def _decide(
    histories: Histories, draft: Draft, caller: int | None, fact_id: int, facts: list[Any]
) -> Verdict:
    """Decide one draft and add its fact's columns to ``facts``."""
    label, received_at, place = draft.label, draft.received_at, draft.place or None
    at = to_micros(received_at)
    history = None
    if gets_ordinal(label or draft.stand_in) and label is not None:
        history = histories.count(label.serial, caller, at=at, channel=draft.channel, place=place)
    decision = decide(
        label=label,
        history=history,
        recorded_at=received_at,
        verification_id=VerificationId(fact_id),
        stand_in=draft.stand_in,
    )
    facts += (
        fact_id,
        at,
        label.serial if label is not None else None,
        history.ordinal if history is not None else None,
        history.own_ordinal if history is not None else None,
        decision.outcome.value,
        reasons_to_text(decision.reasons),
        draft.channel,
        place,
        caller,
        draft.code_digest,
        decision.policy,
    )
    return decision.verdict


def _told_before(answers: Mapping[bytes | None, Verdict], draft: Draft) -> Verdict | None:
    """Return the verdict known under either key; None is never one of the keys in ``answers``."""
    return answers.get(draft.message_key) or answers.get(draft.alias_key)


def _remember(
    connection: sqlite3.Connection, answers: dict[bytes | None, Verdict], draft: Draft, verdict: Verdict
) -> None:
    """Store the verdict under each key that is not known yet."""
    blob = None
    for key in (draft.message_key, draft.alias_key):
        if key is None or key in answers:
            continue
        answers[key] = verdict
        blob = blob or verdict_to_bytes(verdict)
        row = (key, to_micros(draft.received_at), blob)
        connection.execute("INSERT INTO message (key, at, verdict) VALUES (?, ?, ?)", row)


def _stored_answers(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes | None, Verdict]:
    """Return the verdicts already given to any of these messages."""
    marks = spare_marks(len(keys))
    sql = f"SELECT key, verdict FROM message WHERE key IN ({','.join('?' * marks)})"  # noqa: S608 - marks only
    rows = connection.execute(sql, [*keys, *[None] * (marks - len(keys))])
    return {key: verdict_from_bytes(blob) for key, blob in rows}


def _caller_references(
    connection: sqlite3.Connection, drafts: Sequence[Draft]
) -> dict[bytes | None, int | None]:
    """Return each known caller's random reference by token, giving a new caller one."""
    callers = {draft.caller.token: draft for draft in drafts if draft.caller.token is not None}
    if not callers:
        return {}
    marks = spare_marks(len(callers))
    sql = f"SELECT token, reference FROM caller WHERE token IN ({','.join('?' * marks)})"  # noqa: S608 - marks only
    references: dict[bytes | None, int | None] = dict(
        connection.execute(sql, [*callers, *[None] * (marks - len(callers))])
    )
    new = []
    for token, draft in callers.items():
        if token not in references:
            references[token] = secrets.randbits(_REFERENCE_BITS)
            new.append((token, draft.caller.key_id, references[token], to_micros(draft.received_at)))
    if new:
        connection.executemany("INSERT INTO caller (token, key_id, reference, at) VALUES (?, ?, ?, ?)", new)
    return references
