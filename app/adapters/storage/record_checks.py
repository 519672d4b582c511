"""What must hold in every record, whichever store keeps it, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from app.adapters.storage.backups import Census, Check

# At most five labels whose ordinals are not what numbering them in the order of recording gives: one pass proves that
# they are unique, gapless and rising.
ORDINALS: Final = (
    "SELECT DISTINCT serial FROM (SELECT serial, ordinal, row_number() OVER (PARTITION BY serial ORDER BY id) AS place"
    " FROM verification WHERE ordinal IS NOT NULL) AS counted WHERE ordinal <> place ORDER BY serial LIMIT 5"
)


def ordinals_check(rows: Sequence[Any]) -> Check:
    """Return what the rows of :data:`ORDINALS` say."""
    if rows:
        return Check(
            name="ordinals", ok=False, text=f"not 1, 2, 3 ... in order for the labels {_named(rows)}"
        )
    return Check(name="ordinals", ok=True, text="unique, gapless and in order for every label")


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


def _named(rows: Sequence[Any]) -> str:
    return ", ".join(str(row[0]) for row in rows)
