"""Every import contract of pyproject.toml is broken on purpose in a copy of the tree, and must fail.

A contract that cannot fail protects nothing, so a new contract needs a seed in the table below.
"""

import json
import shutil
import subprocess
import sys
import tomllib
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


# Lints for one seed after the other, as the command does, so that its libraries are loaded once.
PROGRAM = """
import contextlib, io, json, pathlib, sys
from importlinter.cli import lint_imports

def linted(*contracts):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = lint_imports(limit_to_contracts=contracts)
    return status, said.getvalue()

told = {"": linted()}
for contract, importer, imported in json.load(sys.stdin):
    path = pathlib.Path(*importer.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + f"\\nimport {imported}\\n".encode())
    told[f"{contract}: {importer} -> {imported}"] = linted(contract)
    path.unlink() if before is None else path.write_bytes(before)
told["afterwards"] = linted()
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Return what linting a copy of the tree gave (status, output): at first, with each seed, and without any again."""
    copy = tmp_path_factory.mktemp("seeded")
    only_python = shutil.ignore_patterns("__pycache__", "static")
    for package in ("app", "channels"):
        shutil.copytree(ROOT / package, copy / package, ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", copy)
    seeds = [(contract, *seed) for contract, seeds in SEEDS.items() for seed in seeds]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=copy,
        input=json.dumps(seeds),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {seed: (status, said) for seed, (status, said) in json.loads(run.stdout).items()}


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


@pytest.mark.xdist_group("seeded violations")
@pytest.mark.parametrize("when", ["", "afterwards"])
def test_tree_keeps_every_contract(told: dict[str, tuple[int, str]], when: str) -> None:
    status, said = told[when]
    assert status == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


@pytest.mark.xdist_group("seeded violations")
@pytest.mark.parametrize(
    ("contract", "seed"),
    [
        pytest.param(contract, seed, id=seed)
        for contract, seeds in SEEDS.items()
        for seed in (f"{contract}: {importer} -> {imported}" for importer, imported in seeds)
    ],
)
def test_seeded_violation_breaks_its_contract(
    told: dict[str, tuple[int, str]], contract: str, seed: str
) -> None:
    status, said = told[seed]
    assert status == 1, said
    assert f"{CONTRACTS[contract]} BROKEN" in said
