"""A look at a database file for `yanzhen doctor`: how it is set up and whether it is sound. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.storage.sqlite.database import as_store_errors, open_connection, require_current_schema
from app.core.errors import SchemaOutdated

_SYNCHRONOUS: Final = {0: "off", 1: "normal", 2: "full", 3: "extra"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found. ``schema`` and ``soundness`` are empty where all is well, else a sentence."""

    journal_mode: str
    synchronous: str
    schema: str
    soundness: str


def examine(path: Path) -> Examination:
    """Examine the file as the service would open it; reads all of it. Raises ``StoreUnavailable``."""
    connection = open_connection(path)
    try:
        schema = ""
        try:
            require_current_schema(connection)
        except SchemaOutdated as error:
            schema = str(error)
        with as_store_errors("Examining the database"):
            (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return Examination(
            journal_mode=str(journal_mode),
            synchronous=_SYNCHRONOUS.get(synchronous, str(synchronous)),
            schema=schema,
            soundness="" if verdict == "ok" else str(verdict),
        )
    finally:
        connection.close()
