"""What must hold in every record, whichever store keeps it, and how it is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from app.adapters.storage.backups import Census, Check

# At most five labels whose ordinals are not what numbering them in the order of recording gives: one pass proves that
# they are unique, gapless and rising.
ORDINALS: Final = (
    "SELECT DISTINCT serial FROM (SELECT serial, ordinal, row_number() OVER (PARTITION BY serial ORDER BY id) AS place"
    " FROM verification WHERE ordinal IS NOT NULL) AS counted WHERE ordinal <> place ORDER BY serial LIMIT 5"
)

# As above where ids of several machines say nothing of the order: unique and gapless, and states that agree exactly.
_COUNTED: Final = (
    "SELECT serial FROM fact GROUP BY serial HAVING min(ordinal) <> 1 OR max(ordinal) <> count(*)"
    " OR count(DISTINCT ordinal) <> count(*) ORDER BY serial LIMIT 5"
)
_STATES: Final = (
    "SELECT serial FROM (SELECT serial, max(ordinal) AS most FROM fact GROUP BY serial) LEFT JOIN state USING (serial)"
    " WHERE coalesce(count, 0) <> most UNION"
    " SELECT serial FROM state WHERE serial NOT IN (SELECT serial FROM fact) LIMIT 5"
)


def ordinals_check(rows: Sequence[Any]) -> Check:
    """Return what the rows of :data:`ORDINALS` say."""
    if rows:
        return Check(
            name="ordinals", ok=False, text=f"not 1, 2, 3 ... in order for the labels {_named(rows)}"
        )
    return Check(name="ordinals", ok=True, text="unique, gapless and in order for every label")


def states_check(rows: Sequence[Any]) -> Check:
    """Return what labels say whose state disagrees with their facts."""
    wrong = f"disagree with the record for the labels {_named(rows)}"
    return Check(name="states", ok=not rows, text=wrong if rows else "agree with the record")


def counts_check(found: Census, expected: Census) -> Check:
    """Compare the rows that are there with those the manifest promises."""
    wrong = sorted(
        f"{name} {found.rows.get(name, 0)} instead of {expected.rows.get(name, 0)}"
        for name in {*found.rows, *expected.rows}
        if found.rows.get(name) != expected.rows.get(name)
    )
    if wrong:
        return Check(name="counts", ok=False, text=", ".join(wrong))
    facts = found.rows.get("verification", 0)
    return Check(
        name="counts", ok=True, text=f"{facts:,} verifications, {found.rows.get('batch', 0):,} batches"
    )


def check_copied_record(
    scratch: Path, *, facts: Iterable[tuple[str, str]], states: Iterable[tuple[str, str]]
) -> tuple[Check, Check]:
    """Check facts (serial, ordinal or "") and states (serial, count), given as text, through a file at ``scratch``.

    On disk because a record may be larger than memory.
    """
    with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF").fetchall()
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE fact (serial INTEGER, ordinal INTEGER)")
        connection.execute("CREATE TABLE state (serial INTEGER PRIMARY KEY, count INTEGER)")
        counted = (fact for fact in facts if fact[1])
        connection.executemany("INSERT INTO fact VALUES (?, ?)", counted)
        connection.executemany("INSERT INTO state VALUES (?, ?)", states)
        ordinals = connection.execute(_COUNTED).fetchall()
        disagreeing = connection.execute(_STATES).fetchall()
    seen = ordinals_check(ordinals)
    if seen.ok:
        seen = Check(name="ordinals", ok=True, text="unique and gapless for every label")
    return seen, states_check(disagreeing)


def _named(rows: Sequence[Any]) -> str:
    return ", ".join(str(row[0]) for row in rows)
