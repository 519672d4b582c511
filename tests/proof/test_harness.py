"""The lines of proof themselves: told once a harness, summed, and a failure where nothing or too little was counted."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROVEN = """
def test_one(prove):
    prove("power loss", breaches={"lost": 0}, crashes=5)
def test_two(prove):
    prove("power loss", breaches={"lost": 0}, crashes=2000)
"""


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(test)
    (folder / "conftest.py").write_text(
        "from tests.proof.harness import prove, pytest_addoption, pytest_configure\n"
    )
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(folder),
            *options,
            str(folder),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take seconds to load
    )


def test_counts_are_summed_over_tests_and_processes(tmp_path: Path) -> None:
    ended = run(tmp_path, PROVEN, "-p", "xdist", "-n", "2")
    assert ended.returncode == 0, ended.stdout
    assert "power loss: 2,005 crashes, 0 lost" in ended.stdout


def test_a_harness_that_was_not_run_is_a_failure_where_all_are_wanted(tmp_path: Path) -> None:
    ended = run(tmp_path, PROVEN, "--all-harnesses")
    assert ended.returncode == 1
    assert "canaries: NOTHING COUNTED" in ended.stdout
    assert "power loss: ONLY 2,005 crashes, AND NOT 5,000" in ended.stdout


def test_a_count_of_nothing_fails(tmp_path: Path) -> None:
    assert run(tmp_path, "def test_it(prove):\n    prove('fuzz', examples=0)\n").returncode == 1


def test_a_breach_fails(tmp_path: Path) -> None:
    ended = run(tmp_path, "def test_it(prove):\n    prove('fuzz', breaches={'errors': 1}, examples=7)\n")
    assert ended.returncode == 1
    assert "fuzz: 7 examples, 1 errors" in ended.stdout
