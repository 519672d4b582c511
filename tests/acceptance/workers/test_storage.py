"""The store that the settings name: where it is, for people, and what a command says of one that is not there."""

from pathlib import Path

import pytest

from app.bootstrap.storage import is_shared, storage_place
from app.cli.exits import Exit
from app.settings import load_settings
from tests.acceptance.cli.shell import Shell
from tests.acceptance.workers.conftest import Stock


@pytest.mark.parametrize(
    ("url", "place", "shared"),
    [
        ("sqlite:////srv/yanzhen.db", "/srv/yanzhen.db", False),
        ("postgresql://yanzhen:hunter2@db.example:5432/labels", "postgresql://db.example:5432/labels", True),
        ("postgresql:///labels?host=/run/pg&user=yanzhen", "postgresql:///run/pg/labels", True),
    ],
)
def test_a_place_names_no_password(url: str, place: str, shared: bool) -> None:
    settings = load_settings(flags={"database_url": url})
    assert storage_place(settings) == place
    assert is_shared(settings) is shared


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    away = ("--set", "database_url=postgresql://nobody:hunter2@127.0.0.1:9/none")
    for command in (("init",), ("brand", "list"), ("db", "upgrade")):
        said = shell.run(*command, *away, expect=Exit.UNAVAILABLE).stderr
        assert "PostgreSQL server" in said
        assert "hunter2" not in said
    assert "database    failed" in shell.run("doctor", *away, expect=Exit.REFUSED).stdout


def test_commands_work_on_a_server(stock: Stock) -> None:
    shell = stock.shell
    made = shell.json("init")
    assert (made["database_made"], made["key_file_made"]) == (False, False)
    assert made["database"].startswith("postgresql://127.0.0.1:")
    assert shell.json("db", "upgrade") == {"applied": []}
    (code,) = stock.take(1)
    assert shell.json("verify", code)["outcome"] == "first"
    assert shell.json("verify", code)["ordinal"] == 2
    doctor = shell.run("doctor").stdout
    assert "synchronous_commit" in doctor
    assert "hunter2" not in doctor
