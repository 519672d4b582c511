"""How a database file is set up and whether it is sound, for `yanzhen doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.storage.sqlite.database import as_store_errors, open_connection, require_current_schema
from app.core.errors import SchemaOutdated

_SYNCHRONOUS: Final = {0: "off", 1: "normal", 2: "full", 3: "extra"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """``schema`` and ``soundness`` are empty where all is well, else the sentence that says what is wrong."""

    journal_mode: str
    synchronous: str
    schema: str = ""
    soundness: str = ""


def examine(path: Path) -> Examination:
    """Look at the file as the service would open it. Raises ``StoreUnavailable`` where it cannot be opened."""
    connection = open_connection(path)
    try:
        with as_store_errors("Examining the database"):
            journal_mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = _SYNCHRONOUS[connection.execute("PRAGMA synchronous").fetchone()[0]]
            problems = [row[0] for row in connection.execute("PRAGMA quick_check(5)") if row[0] != "ok"]
        try:
            require_current_schema(connection)
            schema = ""
        except SchemaOutdated as error:
            schema = str(error)
    finally:
        connection.close()
    return Examination(
        journal_mode=journal_mode, synchronous=synchronous, schema=schema, soundness="; ".join(problems)
    )
