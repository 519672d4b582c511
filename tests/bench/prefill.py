"""Data folders with many recorded verifications, made by bulk SQL by the storage adapter's own rules.

What a folded database holds: one fact and one row of state a label, and `fold.through` at the last fact.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.core.model.label import Thresholds
from app.core.rules import policy_number
from app.issuing.codebook import Codebook
from app.issuing.key_file import KeyFile

ROOT: Final = Path(__file__).resolve().parents[2]
SPARE_LABELS: Final = 1_000_000
_COMMAND_S: Final = 60
_FIRST_AT: Final = 1_767_225_600_000_000  # 2026-01-01 in microseconds
_COUNTED: Final = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
_HISTORIES: Final = (
    f"INSERT INTO label_history {_COUNTED} SELECT ? + i, 1, ? + i, 'api', NULL, NULL, 0 FROM n"
)
_FACTS: Final = (
    f"INSERT INTO verification {_COUNTED}"
    " SELECT i + 1, ? + i, ? + i, 1, 0, 'first', NULL, 'api', NULL, NULL, NULL, ? FROM n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """A folder with an activated batch of labels, ``recorded`` of them verified once, the rest never."""

    path: Path
    recorded: int
    labels: int
    batch_id: int
    first_serial: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that works on this folder; limits on, but set high."""
        ours = {
            "YANZHEN_DATA_DIR": str(self.path),
            "YANZHEN_LOG_FORMAT": "json",
            "YANZHEN_THROTTLE__ENABLED": "true",
            "YANZHEN_THROTTLE__IP_PER_MINUTE": "1000000",
            "YANZHEN_PUBLIC_URL": "https://verify.example",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YANZHEN_")}
        return kept | ours

    @property
    def database(self) -> Path:
        """The database file."""
        return self.path / "yanzhen.db"

    def codebook(self) -> Codebook:
        """Return the codebook under the folder's keys."""
        return KeyFile(self.path / "keys.json").load().codebook()

    def code(self, codebook: Codebook, label: int) -> str:
        """Return the code of the label at a place in the batch, 0 for the first."""
        return codebook.make(self.first_serial + label, tag_key_id=1)

    def copied(self, path: Path) -> DataFolder:
        """Return a fresh copy that is on the device, so that its write-back does not disturb a run."""
        if path.exists():
            shutil.rmtree(path)
        shutil.copytree(self.path, path)
        os.sync()
        return DataFolder(
            path=path,
            recorded=self.recorded,
            labels=self.labels,
            batch_id=self.batch_id,
            first_serial=self.first_serial,
        )


def command(path: Path, *words: object, database_url: str = "") -> Any:
    """Run one `yanzhen` command on a data folder and return what it printed as JSON, if it did."""
    elsewhere = {"YANZHEN_DATABASE_URL": database_url} if database_url else {}
    run = subprocess.run(
        [sys.executable, "-m", "app", "--data-dir", str(path), *map(str, words)],
        cwd=ROOT,
        env=os.environ | elsewhere,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"yanzhen {' '.join(map(str, words))} failed:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout) if "--json" in words else None


def new_folder(path: Path, *, labels: int, database_url: str = "") -> DataFolder:
    """Make a data folder with one activated batch of 20-digit codes and nothing recorded.

    With ``database_url`` the batch is in that database, and the keys alone are in the folder.
    """
    run = partial(command, path, database_url=database_url)
    run("init")
    brand = run("brand", "add", "--name", "Bench", "--json")["id"]
    product = run("product", "add", "--brand", brand, "--name", "Spring water", "--json")["id"]
    batch = run("batch", "issue", "--product", product, "--quantity", labels, "--json")
    run("batch", "activate", batch["id"])
    return DataFolder(
        path=path, recorded=0, labels=labels, batch_id=batch["id"], first_serial=batch["first_serial"]
    )


def prefilled(base: DataFolder, path: Path, *, recorded: int) -> DataFolder:
    """Return a copy of ``base`` in which the first ``recorded`` labels were verified once each."""
    folder = base.copied(path)
    connection = sqlite3.connect(folder.database, isolation_level=None)
    try:
        policy = policy_number(Thresholds(genuine=1, warn=4))
        connection.execute("PRAGMA journal_mode=OFF").fetchall()
        connection.execute("PRAGMA synchronous=OFF").fetchall()
        connection.execute("PRAGMA cache_size=-262144").fetchall()
        connection.execute("BEGIN")
        connection.execute(_HISTORIES, (recorded, base.first_serial, _FIRST_AT))
        connection.execute(_FACTS, (recorded, _FIRST_AT, base.first_serial, policy))
        connection.execute("UPDATE fold SET through = ?", (recorded,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        connection.close()
    os.sync()
    return DataFolder(
        path=path,
        recorded=recorded,
        labels=base.labels,
        batch_id=base.batch_id,
        first_serial=base.first_serial,
    )


def local_labels(recorded: int, count: int, seed: int = 1) -> list[int]:
    """Return places of labels to ask about: 90 % in the newest 1 %, the rest anywhere among the recorded ones."""
    draw = random.Random(seed)
    newest = recorded - recorded // 100
    return [draw.randrange(newest if draw.random() < 0.9 else 0, recorded) for _ in range(count)]


def uniform_labels(recorded: int, count: int, seed: int = 2) -> list[int]:
    """Return places of recorded labels, all equally likely."""
    draw = random.Random(seed)
    return [draw.randrange(recorded) for _ in range(count)]


def new_labels(recorded: int, count: int, seed: int = 3) -> list[int]:
    """Return places of labels never asked about, each once, near each other as on a pallet that is being sold."""
    draw = random.Random(seed)
    places = list(range(recorded, recorded + count))
    pallet = 2000
    for start in range(0, count, pallet):
        part = places[start : start + pallet]
        draw.shuffle(part)
        places[start : start + pallet] = part
    return places


def write_codes(folder: DataFolder, labels: list[int], path: Path) -> Path:
    """Write the codes of labels to a file, one a line, and return it."""
    codebook = folder.codebook()
    path.write_text("\n".join(folder.code(codebook, label) for label in labels) + "\n", encoding="ascii")
    return path
