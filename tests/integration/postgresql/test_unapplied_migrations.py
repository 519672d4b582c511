"""No start on another schema: `yanzhen serve` says what to do, with nothing applied and with the last one missing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from app.adapters.storage.postgresql import upgrade_postgresql
from app.adapters.storage.postgresql.migrations import migrations
from app.adapters.storage.sqlite import upgrade_sqlite
from app.cli.exits import Exit
from tests.acceptance.cli.shell import Shell
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import create


@dataclass(frozen=True)
class DatabaseShell(Shell):
    """`yanzhen` on a database of its own."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"YANZHEN_DATABASE_URL": self.url}


def refusal(shell: Shell) -> str:
    """Return what `yanzhen serve` says as it refuses to start."""
    run = shell.spawn("serve")
    assert run.returncode == Exit.UNAVAILABLE, run.stderr
    return run.stderr


def test_serve_refuses_a_postgresql_database_without_the_last_migrations(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.url(asyncio.run(create(server)))
    shell = DatabaseShell(tmp_path / "data", url=url)
    assert "yanzhen db upgrade" in refusal(shell)
    asyncio.run(upgrade_postgresql(url, to=len(migrations()) - 1))
    said = refusal(shell)
    assert "yanzhen db upgrade" in said
    assert f"lacks the migrations {migrations()[-1].number:04d}." in said


def test_serve_refuses_a_sqlite_file_without_the_last_migration(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "yanzhen.db"
    *_, last = upgrade_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)")
        connection.commit()
    said = refusal(Shell(folder))
    assert "yanzhen db upgrade" in said
    assert f"lacks the migrations {last.split()[0]}." in said
