"""``python -m tests.proof.fuzz [PARSER]``: look for new inputs for as long as you like; ``--keep`` adds them."""

from __future__ import annotations

import argparse
import sys
import time
from hashlib import sha256
from random import Random

from tests.proof.fuzz.engine import Parser, Tally
from tests.proof.fuzz.exploring import explore, without_needless
from tests.proof.fuzz.parsers import GROUPS, corpus_of, folder_of


def main() -> int:
    """Fuzz every parser whose name holds PARSER; 1 where a promise was broken."""
    arguments = argparse.ArgumentParser(prog="python -m tests.proof.fuzz", description=__doc__)
    arguments.add_argument("parser", nargs="?", default="", help="part of a parser's name; all without it")
    arguments.add_argument("--seconds", type=float, default=60, help="for each parser")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument(
        "--keep", action="store_true", help="write inputs that led somewhere new to the corpus"
    )
    given = arguments.parse_args()
    tally = Tally()
    for group in GROUPS.values():
        with group() as parsers:
            for parser in parsers:
                if given.parser in parser.name:
                    _look(parser, tally, seconds=given.seconds, seed=given.seed, keep=given.keep)
    for name, data, what in tally.breaches:
        sys.stdout.write(f"BREACH {name}: {what}\n  {data!r}\n")
    return 1 if tally.breaches or not tally.examples else 0


def _look(parser: Parser, tally: Tally, *, seconds: float, seed: int, keep: bool) -> None:
    until = time.monotonic() + seconds
    kept, before = corpus_of(parser), tally.examples
    found = explore(parser, tally, pool=kept, random=Random(seed), goes_on=lambda: time.monotonic() < until)
    if keep:
        folder = folder_of(parser)
        folder.mkdir(parents=True, exist_ok=True)
        needed = without_needless(parser, [*kept, *found])
        names = {sha256(data).hexdigest()[:12]: data for data in needed}
        for file in folder.iterdir():
            if file.name not in names and not file.name.startswith("found-"):
                file.unlink()
        for name, data in names.items():
            (folder / name).write_bytes(data)
    inputs = tally.examples - before
    sys.stdout.write(f"{parser.name}: {inputs:,} inputs, {len(found)} led somewhere new\n")


if __name__ == "__main__":
    raise SystemExit(main())
