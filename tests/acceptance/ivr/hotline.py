"""The real service with a hotline: a process of its own on a prepared folder, its clips made once a run."""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from app.bootstrap.speech import clip_library
from app.core.model.label import LabelSummary
from app.issuing.key_file import KeyFile
from app.settings import load_settings
from app.speech.library import ClipLibrary, SpokenName
from app.speech.spoken import Name, Phrase
from tests.acceptance.cli.shell import Shell
from tests.acceptance.ivr.sound import Samples, read_clip
from tests.unit.wording.verdicts import LABEL, LONGEST_LABEL

T = TypeVar("T")
TOKEN: Final = "token-of-the-hotline-that-is-tried"
PUBLIC: Final = "https://hotline.example"
VOICE: Final = f"{PUBLIC}/channels/ivr/twilio"
OPERATOR: Final = "+86 755 8888 0000"
SHORTEST_WORD: Final = 4000  # samples: what is shorter than half a second sounds like other short words

# how many labels of each batch; the name says what becomes of it
_BATCHES: Final = {
    "plain": 200,
    "named": 40,
    "family": 10,
    "not_active": 5,
    "voided": 5,
    "expired": 5,
    "recalled": 5,
}


@dataclass(frozen=True)
class HotlineShell(Shell):
    """`yanzhen` with Twilio's calls set up; ``limited`` as shoppers are."""

    limited: bool = True

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "YANZHEN_DATA_DIR": str(self.folder),
            "YANZHEN_PUBLIC_URL": PUBLIC,
            "YANZHEN_LOG_FORMAT": "json",
            "YANZHEN_THROTTLE__ENABLED": str(self.limited).lower(),
            "YANZHEN_IVR__TWILIO__AUTH_TOKENS": TOKEN,
            "YANZHEN_IVR__OPERATOR": OPERATOR,
            "YANZHEN_IVR__RECORD_REPORTS": "true",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One recorded verification; ``caller`` tells callers apart, None for one who cannot be told."""

    serial: int | None
    outcome: str
    ordinal: int | None
    channel: str
    place: str | None
    caller: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotline:
    """One prepared folder and its clips. ``labels`` holds serial and code of each batch that are still unused."""

    folder: Path
    clips: ClipLibrary
    labels: dict[str, list[tuple[int, str]]]
    origins: dict[str, str]  # where the public address is reached just now

    def take(self, batch: str = "plain") -> str:
        """Return the code of a label that no test has used."""
        return self.labels[batch].pop()[1]

    def unknown(self, number: int) -> str:
        """Return a sound code that stands in no batch, another for each number."""
        ring = KeyFile(self.folder / "keys.json").load()
        return ring.codebook().make(20 * 10**15 + 10**9 + number, tag_key_id=ring.tag_keys[-1].id)

    def facts(self, after: int = 0) -> list[Fact]:
        """Return what is recorded, in order, without the first ``after``."""
        with closing(sqlite3.connect(f"file:{self.folder / 'yanzhen.db'}?mode=ro", uri=True)) as record:
            rows = record.execute(
                "SELECT serial, outcome, ordinal, channel, place, caller FROM verification ORDER BY id"
            ).fetchall()
        return [
            Fact(serial=row[0], outcome=row[1], ordinal=row[2], channel=row[3], place=row[4], caller=row[5])
            for row in rows[after:]
        ]

    def reports(self) -> list[str]:
        with closing(sqlite3.connect(f"file:{self.folder / 'yanzhen.db'}?mode=ro", uri=True)) as record:
            return [row[0] for row in record.execute("SELECT recording FROM report ORDER BY id")]

    def age(self, days: int) -> None:
        """Let everything recorded so far have happened that many days earlier. Nobody may be serving."""
        earlier = days * 86_400 * 10**6
        columns = ("verification.at", "label_history.first_at", "label_caller.first_at", "message.at")
        with closing(sqlite3.connect(self.folder / "yanzhen.db")) as record, record:
            for column in columns:
                table, _, name = column.partition(".")
                record.execute(f"UPDATE {table} SET {name} = {name} - ?", (earlier,))

    def sha(self, key: str, locale: str) -> str:
        """Return the name of a phrase's clip."""
        return self._clip_sha(Phrase(key=key), locale)

    def name_sha(self, text: str, locale: str) -> str:
        """Return the name of the clip of a brand's or product's name."""
        return self._clip_sha(Name(text=text), locale)

    def sentences(self, locale: str) -> dict[str, Samples]:
        """Return the clips of a language by their keys, single words left out."""
        long = {
            item.key: read_clip(clip.path)
            for (spoken, item), clip in self.clips.known().items()
            if spoken == locale and isinstance(item, Phrase)
        }
        return {key: sound for key, sound in long.items() if len(sound) >= SHORTEST_WORD}

    def _clip_sha(self, item: Phrase | Name, locale: str) -> str:
        clip = self.clips.find(item, locale)
        assert clip is not None, (item, locale)
        return clip.sha


def prepare(folder: Path) -> Hotline:
    """Make a brand with short and one with long names, and a batch for every state of labels, where the clips are."""
    shell = HotlineShell(folder)
    shell.run("init")
    short, long = (_add(shell, label) for label in (LABEL, LONGEST_LABEL))
    family = shell.json("product", "add", "--brand", short[0], "--name", "茶", "--thresholds", "3,5")["id"]
    labels = {}
    for name, number in _BATCHES.items():
        product = {"plain": short[1], "family": family}.get(name, long[1])
        batch = shell.json("batch", "issue", "--product", product, "--quantity", number)["id"]
        path = folder / f"{name}.csv"
        shell.run("batch", "export", batch, "--out", path)
        with path.open(newline="") as file:
            labels[name] = [(int(row["serial"]), row["code"]) for row in csv.DictReader(file)]
        if name != "not_active":
            shell.run("batch", "activate", batch)
        match name:
            case "voided":
                shell.run("batch", "void", batch, "--reason", "test")
            case "expired":
                shell.run("batch", "expire", batch)
            case "recalled":
                shell.run("batch", "recall", batch, "--reason", "test")
    clips = clip_library(load_settings(flags={"data_dir": str(folder)}))
    names = [
        (label.brand, label.brand_en, label.product, label.product_en) for label in (LABEL, LONGEST_LABEL)
    ]
    clips.set_names(SpokenName(text=text) for texts in names for text in texts)
    clips.load()
    return Hotline(folder=folder, clips=clips, labels=labels, origins={})


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it to its end on a loop of its own, for fixtures that are no coroutines."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def outcomes(facts: Iterable[Fact]) -> list[str]:
    return [fact.outcome for fact in facts]


def _add(shell: Shell, label: LabelSummary) -> tuple[int, int]:
    """Add the brand and the product of a label and return their ids; the shell renders their names."""
    brand = shell.json(
        *("brand", "add", "--name", label.brand, "--name-en", label.brand_en),
        *("--short-name", label.brand_short, "--service-line", label.service_line),
    )["id"]
    product = shell.json(
        *("product", "add", "--brand", brand, "--name", label.product, "--name-en", label.product_en),
        *("--thresholds", "1,4"),
    )["id"]
    return brand, product
