"""Every import contract of pyproject.toml is broken on purpose in a copy of the tree, and must fail.

A contract that cannot fail protects nothing, so a new contract needs a seed in the table below.
"""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# contract id -> pairs of (importer, imported); an importer that does not exist yet is a new, unplaced module
SEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "app-layers": (
        ("app.core.engine", "app.issuing"),
        ("app.core.engine", "app.settings"),
        ("app.issuing", "app.adapters"),
        ("app.issuing", "app.web"),
        ("app.issuing", "app.cli"),
        ("app.issuing", "app.settings"),
        ("app.settings", "app.web"),
        ("app.adapters", "app.web"),
        ("app.adapters", "app.cli"),
        ("app.web", "app.adapters"),
        ("app.web", "app.cli"),
        ("app.web", "app.bootstrap"),
        ("app.unplaced", "app.core"),
    ),
    "core-layers": (
        ("app.core.model", "app.core.errors"),
        ("app.core.model", "app.core.ports"),
        ("app.core.errors", "app.core.model"),
        ("app.core.ports", "app.core.rules"),
        ("app.core.ports", "app.core.engine"),
        ("app.core.rules", "app.core.engine"),
        ("app.core.rules", "app.core.invariants"),
        ("app.core.invariants", "app.core.engine"),
        ("app.core.unplaced", "app.core.model"),
    ),
    "core-pure": (
        ("app.core.model", "numpy"),
        ("app.core.rules", "pydantic"),
        ("app.core.engine", "aiohttp"),
        ("app.core.engine", "channels.base"),
    ),
    "features-below-channels": (
        ("app.issuing", "channels.base"),
        ("app.settings", "channels.registry"),
        ("app.logs", "channels.web"),
    ),
    "adapters-below-channels": (("app.adapters", "channels.base"), ("app.adapters", "channels.web")),
    "web-knows-no-concrete-channel": (("app.web", "channels.web"), ("app.web", "channels.registry")),
    "bootstrap-importers": (
        ("app.web", "app.bootstrap"),
        ("app.adapters", "app.bootstrap"),
        ("channels.pipeline", "app.bootstrap"),
    ),
    "channels-layers": (
        ("channels.web", "channels.pipeline"),
        ("channels.web", "channels.registry"),
        ("channels.pipeline", "channels.web"),
        ("channels.registry", "channels.web"),
        ("channels.signatures", "channels.web"),
        ("channels.base", "channels.pipeline"),
        ("channels.base", "channels.web"),
        ("channels.wording", "channels.base"),
        ("channels.unplaced", "channels.base"),
    ),
    "channels-below-app": (
        ("channels.base", "app.adapters"),
        ("channels.pipeline", "app.web"),
        ("channels.wording", "app.settings"),
        ("channels.web", "app.adapters"),
        ("channels.web", "app.issuing"),
        ("channels.registry", "app.cli"),
    ),
    "concrete-channels-see-the-model": (
        ("channels.web", "app.core.engine"),
        ("channels.web", "app.core.rules"),
        ("channels.web", "app.core.ports"),
    ),
    "one-folder-aiohttp": (
        ("channels.web", "aiohttp"),
        ("channels.pipeline", "aiohttp"),
        ("app.adapters", "aiohttp"),
        ("app.bootstrap", "aiohttp"),
        ("app.unplaced", "aiohttp"),
    ),
    "one-folder-sql": (
        ("channels.web", "sqlite3"),
        ("app.web", "aiosqlite"),
        ("app.issuing", "sqlite3"),
        ("app.cli", "sqlite3"),
    ),
    "one-folder-redis": (
        ("channels.pipeline", "redis"),
        ("app.web", "redis"),
        ("app.adapters.storage", "redis"),
    ),
    "one-folder-settings": (("app.web", "pydantic"), ("channels.web", "pydantic_settings")),
    "one-folder-label-libraries": (
        ("app.web", "segno"),
        ("app.adapters.storage", "numpy"),
        ("channels.web", "reportlab"),
        ("app.cli", "pyrage"),
    ),
    "one-folder-channel-libraries": (
        ("channels.web", "twilio"),
        ("channels.base", "wechatpy"),
        ("channels.problems", "altcha"),
        ("app.issuing", "pyttsx3"),
        ("app.web", "phonenumbers"),
        ("app.bootstrap", "opentelemetry"),
    ),
    "no-test-code-in-the-product": (
        ("channels.pipeline", "tests.factories"),
        ("app.web", "pytest"),
        ("app.core.rules", "hypothesis"),
    ),
}


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


CONTRACTS = {
    contract["id"]: contract["name"] for contract in read_pyproject()["tool"]["importlinter"]["contracts"]
}


def lint_imports(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, *arguments], cwd=tree, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("seeded")
    only_python = shutil.ignore_patterns("__pycache__", "static")
    for package in ("app", "channels"):
        shutil.copytree(ROOT / package, copy / package, ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def source_of(tree: Path, module: str) -> Path:
    path = tree.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@contextmanager
def seeded(tree: Path, importer: str, imported: str) -> Iterator[None]:
    """Lets `importer` import `imported` in the copied tree, and takes it back afterwards."""
    path = source_of(tree, importer)
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + f"\nimport {imported}\n".encode())
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def test_every_contract_has_a_seed() -> None:
    assert set(SEEDS) == set(CONTRACTS)
    assert all(SEEDS.values())


def test_core_forbids_every_library_that_ships() -> None:
    project = read_pyproject()
    names = {
        requirement.split(">")[0].lower().replace("-", "_")
        for requirement in project["project"]["dependencies"]
    }
    contracts = {contract["id"]: contract for contract in project["tool"]["importlinter"]["contracts"]}
    assert names <= set(contracts["core-pure"]["forbidden_modules"])


def test_tree_keeps_every_contract(tree: Path) -> None:
    run = lint_imports(tree)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in run.stdout


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [
        pytest.param(contract, importer, imported, id=f"{contract}: {importer} -> {imported}")
        for contract, seeds in SEEDS.items()
        for importer, imported in seeds
    ],
)
def test_seeded_violation_breaks_its_contract(
    tree: Path, contract: str, importer: str, imported: str
) -> None:
    with seeded(tree, importer, imported):
        run = lint_imports(tree, "--contract", contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{CONTRACTS[contract]} BROKEN" in run.stdout
