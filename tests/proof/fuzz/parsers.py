"""Every parser that is fuzzed, in groups that share what they need, and the kept inputs of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from tests.proof.fuzz.engine import Parser
from tests.proof.fuzz.parsers_channels import channel_parsers
from tests.proof.fuzz.parsers_files import file_parsers
from tests.proof.fuzz.parsers_text import text_parsers
from tests.proof.fuzz.parsers_wires import wire_parsers

CORPUS: Final = Path(__file__).with_name("corpus")


@contextmanager
def _texts() -> Iterator[tuple[Parser, ...]]:
    yield text_parsers()


GROUPS: Final[Mapping[str, Callable[[], AbstractContextManager[tuple[Parser, ...]]]]] = {
    "texts": _texts,
    "channels": channel_parsers,
    "wires": wire_parsers,
    "files": file_parsers,
}


def folder_of(parser: Parser) -> Path:
    """Return where a parser's kept inputs lie."""
    return CORPUS / re.sub("[^a-z0-9]+", "-", parser.name.lower()).strip("-")


def corpus_of(parser: Parser) -> tuple[bytes, ...]:
    """Return the kept inputs of a parser, in the order of their names."""
    folder = folder_of(parser)
    return tuple(file.read_bytes() for file in sorted(folder.iterdir())) if folder.is_dir() else ()
