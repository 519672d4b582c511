"""Nothing is installed but what the locks name, with the hashes they hold it to; nothing under a licence we refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("runtime", "dev")
# docs/decisions/0004-the-synthetic-voice.md: an extra, in a process of its own
COPYLEFT_WITH_A_REASON = {"espeakng-loader", "soundfile", "soxr"}

Document = dict[str, Any]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def blocks(lock: str) -> list[str]:
    return re.split(r"\n(?=\S)", (ROOT / f"requirements/{lock}.lock").read_text())


@pytest.fixture(scope="module")
def bills() -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location("bill_of_materials", ROOT / "tools/bill_of_materials.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def document(bills: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Document:
    made: list[bytes] = []
    for _ in range(2):
        path = tmp_path_factory.mktemp("bill") / "yanzhen.cdx.json"
        tool = [sys.executable, str(ROOT / "tools/bill_of_materials.py"), str(path)]
        subprocess.run(
            tool, check=True, capture_output=True, timeout=60, env={"SOURCE_DATE_EPOCH": "1700000000"}
        )
        made.append(path.read_bytes())
    assert made[0] == made[1], "the same locks give the same bytes"
    return json.loads(made[0])  # type: ignore[no-any-return]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(lock: str) -> None:
    for block in blocks(lock):
        assert re.match(r"[A-Za-z0-9._-]+==[^ ;\\]+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "one.lock"
    lock.write_text(f"segno==1.6.6 --hash=sha256:{'0' * 64}\n")
    wheel = tmp_path / "segno-1.6.6-py3-none-any.whl"
    wheel.write_bytes(b"not what was locked")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--dry-run",
        "--ignore-installed",
    ]
    words = [*pip, "--find-links", str(tmp_path), "--require-hashes", "-r", str(lock)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "DO NOT MATCH THE HASHES" in ended.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_project_asks_for_is_locked(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: Sequence[str] = project["project"]["dependencies"]
    if lock == "dev":
        extras = project["project"]["optional-dependencies"].values()
        wanted = [
            *wanted,
            *project["dependency-groups"]["dev"],
            *(line for extra in extras for line in extra),
        ]
    locked = {plain(re.split(r"==", block)[0]) for block in blocks(lock)}
    names = {plain(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in wanted}
    assert names - locked == set()


def test_the_runtime_is_part_of_what_is_tested() -> None:
    pins = [{re.split(r"[ ;\\]", block)[0] for block in blocks(lock)} for lock in LOCKS]
    assert pins[0] - pins[1] == set()


def test_the_bill_of_materials_is_valid_and_whole(document: Document) -> None:
    from cyclonedx.schema import SchemaVersion  # two seconds, which no other test should wait for
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    listed = {component["name"]: component for component in document["components"]}
    assert {plain(re.split(r"==", block)[0]) for block in blocks("runtime")} <= set(listed)
    assert {"zxing-wasm", "weixin-js-sdk"} <= set(listed)
    for component in listed.values():
        [archives] = component["externalReferences"]
        assert archives["hashes"], component["name"]
        assert component["licenses"], component["name"]
    assert document["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")
    assert "://" not in json.dumps(document["components"]), (
        "a bill names packages, not where somebody got them"
    )


def test_no_licence_that_we_refuse(document: Document) -> None:
    strict = set()
    for component in document["components"]:
        words = json.dumps(component["licenses"])
        if "GPL" in words:
            strict.add(component["name"])
            assert component["scope"] == "optional", component["name"]
    assert strict == COPYLEFT_WITH_A_REASON


def test_written_licences_are_needed(bills: ModuleType) -> None:
    written = tomllib.loads((ROOT / "requirements/licences.toml").read_text())["python"]
    listed = {one.name for one in bills.materials()}
    for name in written:
        assert plain(name) in listed, f"{name} is not installed any more"
        assert bills.declared_licence(name) is None, f"{name} declares its licence by now"
