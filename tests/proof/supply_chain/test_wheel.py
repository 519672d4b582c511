"""The wheel: the same bytes wherever and whenever it is built, all that is served in it, and nothing of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "app", "channels", "voice_prompts")
FETCHED = "app/web/static/vendor"


def tracked() -> list[str]:
    said = subprocess.run(
        ["git", "ls-files", "-z", *NEEDED], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in said.stdout.split("\0") if name and (ROOT / name).is_file()]


def build(folder: Path, *, mode: int, at: int) -> Path:
    """Build from a copy of the files, with other permissions and times."""
    for name in tracked():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
        copy.chmod(mode)
        os.utime(copy, (at, at))
    if (ROOT / FETCHED).is_dir():
        shutil.copytree(ROOT / FETCHED, folder / FETCHED)
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(
        words,
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=100,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
    )
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("another-folder")
    return build(one, mode=0o644, at=1_600_000_000), build(other, mode=0o600, at=1_650_000_000)


def test_the_same_files_give_the_same_bytes(wheels: tuple[Path, Path]) -> None:
    assert wheels[0].name == wheels[1].name
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def test_all_that_is_served_is_in_it_and_no_test(wheels: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(wheels[0]).namelist()
    inside = set(names)
    assert {name for name in tracked() if name.startswith(("app/", "channels/", "voice_prompts/"))} <= inside
    assert {"app/web/static/vendor/zxing-reader.js", "app/web/static/vendor/weixin-js-sdk.js"} <= inside
    assert not [name for name in names if name.startswith(("tests/", "tools/")) or "__pycache__" in name]


def test_it_runs_where_only_its_dependencies_are(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--quiet",
        "--target",
        str(site),
    ]
    subprocess.run([*pip, str(wheels[0])], check=True, capture_output=True, timeout=100)
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import app; print(app.__file__); from app.cli.main import main; main()",
            "--help",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert str(site) in said.stdout
    assert "serve" in said.stdout
