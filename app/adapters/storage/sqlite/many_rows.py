"""Many rows in one statement and so in one step: ``executemany`` gives the interpreter lock away for every row."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

_ROWS_PER_STATEMENT: Final = 128


def put_rows(
    connection: sqlite3.Connection, table: str, columns: int, values: Sequence[Any], ending: str = ""
) -> None:
    """Insert rows given as one flat sequence of ``columns`` values each; ``ending`` is an ON CONFLICT clause.

    At most 128 rows a statement, so there are at most 128 prepared statements a table, one for each size.
    """
    step = _ROWS_PER_STATEMENT * columns
    for start in range(0, len(values), step):
        part = values[start : start + step]
        connection.execute(_statement(table, columns, len(part) // columns, ending), part)


@lru_cache(maxsize=512)
def _statement(table: str, columns: int, rows: int, ending: str) -> str:
    row = f"({','.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)} {ending}"  # noqa: S608 - our own names and marks
