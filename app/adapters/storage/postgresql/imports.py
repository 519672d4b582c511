"""Codes of other systems on PostgreSQL: stored chunk by chunk, inert until their batch is published."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from app.adapters.storage.postgresql.driver import Connection
from app.core.model.label import IMPORTED_LAYOUT

# serials set aside for one import, so that it need not know its size beforehand
IMPORT_RESERVE: Final = 10**9
_SCAN_WITHIN_S: Final = 600.0
# chunks hold this lock together, publishing holds it alone: a chunk that takes rows over must not miss that their
# batch is being published
_CHUNK_LOCK: Final = "SELECT pg_advisory_xact_lock_shared(7956010260002)"
_PUBLISH_LOCK: Final = "SELECT pg_advisory_xact_lock(7956010260002)"
_TAKE_CODES: Final = (
    "INSERT INTO imported_code AS c (digest, serial)"
    " SELECT digest, serial FROM unnest($1::bytea[], $2::bigint[]) AS n (digest, serial) ORDER BY digest"
    " ON CONFLICT (digest) DO UPDATE SET serial = excluded.serial"
    " WHERE c.serial < $3 AND NOT EXISTS"  # inert rows of an earlier import that did not end
    " (SELECT FROM batch AS b WHERE c.serial BETWEEN b.first_serial AND b.last_serial)"
    " RETURNING digest"
)


async def store_codes(write: Connection, digests: Sequence[bytes], first: int, done: int) -> list[int]:
    """Store one chunk; return the 1-based positions of digests that another live code already has."""
    await write.execute(_CHUNK_LOCK)
    serials: dict[bytes, int] = {}
    taken = []
    for place, digest in enumerate(digests, done):
        if serials.setdefault(digest, first + place) != first + place:
            taken.append(place + 1)
    rows = await write.fetch(_TAKE_CODES, list(serials), list(serials.values()), first)
    if len(rows) < len(serials):
        stored = {row[0] for row in rows}
        taken += [serial - first + 1 for digest, serial in serials.items() if digest not in stored]
    return taken


async def taken_over(write: Connection, first: int, count: int, *, named: int) -> list[int]:
    """Return the 1-based positions, at most ``named``, of codes that an import begun after this one took over.

    There are none unless serials were reserved since; only then are the rows counted, which reads the whole table.
    """
    await write.execute(_PUBLISH_LOCK)
    reserved = await write.fetchval("SELECT next FROM serial_counter WHERE layout = $1", IMPORTED_LAYOUT)
    if reserved == first + IMPORT_RESERVE:
        return []
    await write.execute("SET LOCAL statement_timeout = 0")
    sql = "SELECT serial FROM imported_code WHERE serial BETWEEN $1 AND $2"
    own = {row[0] for row in await write.fetch(sql, first, first + count - 1, timeout=_SCAN_WITHIN_S)}
    return list(islice((place + 1 for place in range(count) if first + place not in own), named))
