"""The entry point: finding commands, one-sentence errors, exit codes, and what `--help` may import."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.exits import EXIT_MEANINGS, Exit, exit_for
from app.cli.main import main
from app.cli.registry import COMMANDS, GROUPS
from app.core import errors

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {
    *("aiohttp", "aiosqlite", "asyncio", "cryptography", "jinja2", "numpy", "orjson", "prometheus_client"),
    *(
        "pydantic",
        "pydantic_settings",
        "pyrage",
        "reportlab",
        "segno",
        "shutil",
        "sqlite3",
        "structlog",
        "uvloop",
    ),
}


def test_help_imports_next_to_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in run.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & HEAVY, "a heavy module is imported for --help"
    ours = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "| " in line}
    assert {name for name in ours if name.split(".")[0] in {"app", "channels"}} <= {
        "app",
        "app.cli",
        "app.cli.main",
        "app.cli.registry",
    }


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([*command.name.split(), "--help"])
        assert left.value.code == 0
        assert "usage: yanzhen " + command.name in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["nope"], ["batch"], ["batch", "nope"], ["brand", "add"], ["serve", "--port", "x"]]
)
def test_a_wrong_command_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == Exit.USAGE
    said = capsys.readouterr().err
    assert said.startswith("yanzhen")
    assert said.count("\n") == 1
    assert "--help`" in said


def test_groups_and_commands_belong_together() -> None:
    assert {command.name.split()[0] for command in COMMANDS if " " in command.name} == GROUPS.keys()
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


@pytest.mark.parametrize("name", ["init", "brand list", "verify 1", "doctor", "serve"])
def test_wrong_settings_end_a_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YANZHEN_PORT", "eighty")
    assert main(name.split()) == Exit.USAGE
    said = capsys.readouterr().err
    assert "port:" in said
    assert "Traceback" not in said


def test_a_flag_before_or_after_the_command_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["--data-dir", str(tmp_path), "brand", "list"],
        ["brand", "list", "--data-dir", str(tmp_path)],
    ):
        assert main(words) == Exit.UNAVAILABLE
        assert f"no database at {tmp_path}" in capsys.readouterr().err
    assert main(["brand", "list", "--set", "nothing"]) == Exit.USAGE
    assert "NAME=VALUE" in capsys.readouterr().err
    assert main(["brand", "list", "--set", "throttle.ip_per_minute=0"]) == Exit.USAGE
    assert "throttle.ip_per_minute" in capsys.readouterr().err


def test_each_error_ends_in_its_exit_code() -> None:
    assert exit_for(errors.RuleBroken()) is Exit.REFUSED
    assert exit_for(errors.SettingsInvalid()) is Exit.USAGE
    assert exit_for(errors.NotFound()) is Exit.NOT_FOUND
    assert exit_for(errors.KeyMissing()) is Exit.UNAVAILABLE
    assert exit_for(errors.StoreUnavailable()) is Exit.UNAVAILABLE
    assert set(EXIT_MEANINGS) == set(Exit)
