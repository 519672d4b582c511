"""The dialplan and the sound folder stand in two pages; an operator who copies from either gets the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.speech.catalogue import load_books
from channels.ivr.fastagi.call import STATUS, TRANSFER
from channels.ivr.fastagi.environment import TRANSFER_FAILED

ROOT = Path(__file__).resolve().parents[4]
PAGES = (ROOT / "docs/operations.md", ROOT / "channels/ivr/fastagi/README.md")


def lines_of(page: Path, *beginnings: str) -> list[str]:
    lines = (line.strip() for line in page.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.startswith(beginnings)]


@pytest.mark.parametrize("beginnings", [("[yanzhen]", "exten =>", "same =>"), ("<sounds folder>/",)])
def test_both_pages_say_the_same(beginnings: tuple[str, ...]) -> None:
    here, there = (lines_of(page, *beginnings) for page in PAGES)
    assert here
    assert here == there


def test_the_dialplan_uses_the_words_that_the_service_sets_and_reads() -> None:
    plan = "\n".join(lines_of(PAGES[0], "exten =>", "same =>"))
    assert all(word in plan for word in (STATUS, TRANSFER, f",{TRANSFER_FAILED})", "?dialled="))


def test_the_sounds_shown_are_sounds_that_are_exported() -> None:
    books = load_books(ROOT / "voice_prompts")
    for line in lines_of(PAGES[0], "<sounds folder>/"):
        _, _, locale, name = line.split()[1].split("/")
        key = name.removesuffix(".wav").replace("-", ".", 1)
        assert key in books[locale].prompts or key.startswith("name.")
