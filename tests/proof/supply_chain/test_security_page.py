"""docs/security.md: every requirement of ASVS 5.0.0 up to level 2 has a disposition, and what shows it exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/security.md"
REQUIREMENTS = Path(__file__).with_name("asvs-5.0.0-level-2.txt")
DISPOSITIONS = ("met", "not applicable", "operator", "open")
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| (\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def required() -> dict[str, str]:
    lines = [line.split(":") for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    return {number: level for level, numbers in lines for number in numbers.split()}


def rows() -> list[tuple[str, str, str, str, str]]:
    return [row.groups() for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))]  # type: ignore[misc]


def disposition_of(text: str) -> str:
    [found] = [name for name in DISPOSITIONS if re.match(rf"{name}\b", text)]
    return found


def test_every_requirement_stands_there_once() -> None:
    wanted = required()
    assert Counter(wanted.values()) == {"1": 70, "2": 183}  # as the standard counts them
    assert [row[0] for row in rows()] == [row[0] for row in rows() if row[0] in wanted]
    assert {row[0]: row[1] for row in rows()} == wanted
    assert len(rows()) == len(wanted)


def test_what_is_said_of_them_is_counted_right() -> None:
    counted = Counter(disposition_of(row[3]) for row in rows())
    said = PAGE.read_text(encoding="utf-8")
    assert f"{counted['met']} are met, {counted['not applicable']} have nothing here" in said
    assert f"{counted['operator']} are the operator's, {counted['open']} are open" in said


def test_what_shows_it_exists() -> None:
    for number, _, _, disposition, evidence in rows():
        links = LINK.findall(evidence)
        assert links, number
        for name, target in links:
            path = (PAGE.parent / target).resolve()
            assert path.exists(), (number, target)
            if name.startswith("test_"):
                assert f"def {name}(" in path.read_text(encoding="utf-8"), (number, name)
        if disposition_of(disposition) != "met":
            assert ":" in disposition or disposition == "operator", (number, "say why")
