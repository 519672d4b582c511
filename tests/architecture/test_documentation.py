"""Everything an operator can set, type or receive is documented, and generated pages are fresh."""

import re
from pathlib import Path

import pytest

from app.cli.reference import _PAGES, UNCOUNTED, UNRECORDED, _error_kinds
from app.cli.registry import COMMANDS
from app.core.model.label import Brand, BrandId, CodeBatch, Label, LabelState, Product, ProductId, Serial
from app.core.model.verdict import Outcome
from app.core.rules import gets_ordinal, label_outcomes
from app.settings import describe_settings
from tests.architecture.test_tidy_house import ROOT, name_of


@pytest.mark.parametrize("page", _PAGES)
def test_generated_pages_are_fresh(page: str) -> None:
    name, make = _PAGES[page]
    path = ROOT / name
    assert path.exists(), "run: .venv/bin/yanzhen reference --write"
    assert path.read_text(encoding="utf-8") == make(), "run: .venv/bin/yanzhen reference --write"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    toml = (ROOT / "config/default.toml").read_text(encoding="utf-8")
    for setting in describe_settings():
        assert f"`{setting.path}`" in page
        assert f"`{setting.environment}`" in page
        assert re.search(rf"^(# )?{setting.path.rpartition('.')[2]} = ", toml, re.MULTILINE)


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [line.removeprefix("## yanzhen ") for line in page.splitlines() if line.startswith("## ")] == [
        command.name for command in COMMANDS
    ]


def test_every_outcome_and_error_code_is_documented() -> None:
    page = (ROOT / "docs/outcomes.md").read_text(encoding="utf-8")
    for outcome in Outcome:
        assert f"| `{outcome.value}` |" in page
    for kind in _error_kinds():
        assert f"| `{kind.code}` |" in page
        assert (kind.__doc__ or "").strip(), f"{kind.__name__} has no message"


def test_the_page_of_outcomes_agrees_with_the_rules() -> None:
    uncounted = set()
    for label in (None, *labels()):
        if not gets_ordinal(label):
            uncounted.add(label_outcomes(label)[0])
    assert uncounted == UNCOUNTED
    assert {Outcome.MISTYPED, Outcome.THROTTLED, Outcome.UNAVAILABLE} == UNRECORDED


def labels() -> list[Label]:
    from datetime import UTC, datetime

    brand = Brand(id=BrandId(1), name="b")
    return [
        Label(
            serial=Serial(1),
            state=state,
            batch=CodeBatch(
                id=1,  # type: ignore[arg-type]
                product=Product(id=ProductId(1), brand=brand, name="p"),
                programme=None,
                layout=20,
                first_serial=Serial(1),
                last_serial=Serial(2),
                tag_key_id=1,
                url_prefix="",
                issued_at=datetime(2026, 1, 1, tzinfo=UTC),
                recalled=recalled,
            ),
        )
        for state in LabelState
        for recalled in (False, True)
    ]


def test_links_between_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{name_of(document)} -> {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_named_files_exist() -> None:
    """A path in backticks in the README is there after a checkout, or is made by a command."""
    made = {".venv/bin/yanzhen", "var/", ".venv/bin/", "var/keys.json"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:app|channels|docs|config|tests)/[\w./-]+)`", text):
        assert name in made or Path(ROOT / name).exists(), name
