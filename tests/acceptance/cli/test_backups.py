"""Backup and restore as an operator drills them: beside a running service, and against every way a file can be bad."""

import json
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.storage.backups import Census, Manifest, seal
from app.cli.exits import Exit
from tests.acceptance.cli.conftest import Stock
from tests.acceptance.cli.shell import Shell

DATABASE = "database.sqlite"


@pytest.fixture
def backup(stock: Stock, tmp_path: Path) -> Path:
    """A backup of a record with several labels checked several times, folded."""
    for place in (0, 0, 0, 1, 1, 2):
        stock.shell.run("verify", stock.codes[place])
    path = tmp_path / "first.zip"
    stock.shell.run("backup", "--out", path)
    return path


def elsewhere(stock: Stock) -> Shell:
    """Return a shell on another machine that got the key file and nothing else."""
    shell = Shell(stock.shell.folder.parent / "elsewhere")
    shell.folder.mkdir(mode=0o700)
    shutil.copy2(stock.shell.folder / "keys.json", shell.folder)
    return shell


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("keys.json"))


def altered(backup: Path, change: Callable[[sqlite3.Connection], object]) -> Path:
    """Return a backup whose database was changed before it was sealed, with the first one's manifest."""
    folder = backup.parent / "altered"
    folder.mkdir()
    with zipfile.ZipFile(backup) as archive:
        archive.extract(DATABASE, folder)
        said = json.loads(archive.read("manifest.json"))
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        change(connection)
        connection.commit()
    census = Census(schema=tuple(said["schema"]), rows=said["rows"])
    manifest = Manifest(store=said["store"], created_at=said["created_at"], program="1", census=census)
    seal(folder, manifest, backup.with_name("altered.zip"))
    return backup.with_name("altered.zip")


def test_what_was_recorded_comes_back(stock: Stock, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    other = elsewhere(stock)
    done = other.json("restore", backup, "--verify")
    assert (done["ok"], done["restored"]) == (True, True)
    assert [check["check"] for check in done["checks"]] == [
        *("file", "schema", "soundness", "counts", "ordinals", "states", "keys")
    ]
    assert left_behind(other.folder) == ["yanzhen.db"]
    assert stat.S_IMODE((other.folder / "yanzhen.db").stat().st_mode) == 0o600
    answer = other.json("verify", stock.codes[0])
    assert (answer["outcome"], answer["ordinal"]) == ("repeat", 4)
    assert other.json("verify", stock.codes[5])["outcome"] == "first"


def test_no_key_is_in_it_and_that_is_said(stock: Stock, backup: Path) -> None:
    keys = json.loads((stock.shell.folder / "keys.json").read_text())
    secrets = [*keys["permutation"].values(), *(kept["key"] for kept in keys["tag"])]
    secrets += [kept["key"] for kind in keys["secrets"].values() for kept in kind]
    with zipfile.ZipFile(backup) as archive:
        assert sorted(archive.namelist()) == [DATABASE, "manifest.json"]
        held = b"".join(archive.read(name) for name in archive.namelist())
    assert len(secrets) > 5
    assert not [key for key in secrets if key.encode() in held or bytes.fromhex(key) in held]
    said = stock.shell.run("backup", "--out", backup.with_name("second.zip")).stdout
    assert f"The keys are not in it: back up {stock.shell.folder / 'keys.json'}" in said


def test_beside_a_service_that_records(stock: Stock, tmp_path: Path) -> None:
    with (
        stock.shell.serving("serve", "--set", "throttle.enabled=false") as server,
        ThreadPoolExecutor(4) as crowd,
    ):
        asked = [crowd.submit(server.verify, stock.codes[number % 3]) for number in range(240)]
        for answer in asked[:21]:
            answer.result()
        paths = [tmp_path / f"{number}.zip" for number in range(3)]
        sizes = [stock.shell.json("backup", "--out", path)["rows"]["verification"] for path in paths]
        assert [answer.result()[0] for answer in asked] == [200] * 240
    assert 20 < sizes[0] <= sizes[1] <= sizes[2] <= 240
    for path in paths:
        assert stock.shell.json("restore", path, "--verify-only")["ok"]


def test_nothing_is_written_over(stock: Stock, backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    said = stock.shell.run("backup", "--out", backup, expect=Exit.REFUSED)
    assert "left alone" in said.stderr
    assert backup.read_bytes() == before
    database = (stock.shell.folder / "yanzhen.db").read_bytes()
    said = stock.shell.run("restore", backup, expect=Exit.REFUSED)
    assert "left alone" in said.stderr
    assert (stock.shell.folder / "yanzhen.db").read_bytes() == database
    other = elsewhere(stock)
    (other.folder / "yanzhen.db-wal").write_bytes(b"left by a kill")  # would be played into the restored file
    other.run("restore", backup, expect=Exit.REFUSED)
    assert left_behind(other.folder) == ["yanzhen.db-wal"]
    stock.shell.run("backup", "--out", tmp_path / "no such folder" / "b.zip", expect=Exit.UNAVAILABLE)


def test_every_damage_is_noticed(stock: Stock, backup: Path) -> None:
    whole, other = backup.read_bytes(), elsewhere(stock)
    bad = backup.with_name("bad.zip")
    places = [*range(0, len(whole), len(whole) // 40), *range(len(whole) - 70, len(whole), 9)]
    damages = [whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :] for place in places]
    damages += [b"", whole[:64], whole[:-1], whole[: len(whole) // 2], whole + b"\n", b"x" * 5000]
    for damaged in damages:
        bad.write_bytes(damaged)
        said = other.run("restore", bad, expect=Exit.UNAVAILABLE)
        assert "cannot be used" in said.stderr
        assert "Traceback" not in said.stderr
    other.run("restore", backup.with_name("none.zip"), expect=Exit.UNAVAILABLE)
    assert left_behind(other.folder) == []


FAULTS = {
    "an ordinal twice": ("ordinals", "UPDATE verification SET ordinal = 2 WHERE ordinal = 3"),
    "a gap": ("ordinals", "UPDATE verification SET ordinal = 4 WHERE ordinal = 3"),
    "no first": ("ordinals", "UPDATE verification SET ordinal = ordinal + 1"),
    "out of order": (
        "ordinals",
        (
            "UPDATE verification SET ordinal = 4 - ordinal WHERE serial IN (SELECT serial FROM verification"
            " WHERE ordinal = 3)"
        ),
    ),
    "a fact lost": ("counts", "DELETE FROM verification WHERE id = (SELECT max(id) FROM verification)"),
    "a batch lost": ("soundness", "DELETE FROM batch"),
    "a state ahead": ("states", "UPDATE label_history SET count = count + 1"),
    "a state lost": ("states", "DELETE FROM label_history"),
    "a state of nothing": ("states", "UPDATE label_history SET serial = serial + 500"),
    "a key of others": ("keys", "UPDATE key_check SET value = 'x'"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_verify_finds_what_a_checksum_cannot(stock: Stock, backup: Path, fault: str) -> None:
    check, sql = FAULTS[fault]
    bad, other = altered(backup, lambda connection: connection.execute(sql)), elsewhere(stock)
    run = other.run("restore", bad, "--verify", "--json", expect=Exit.REFUSED)
    done = json.loads(run.stdout)
    assert (done["ok"], done["restored"]) == (False, False)
    assert check in [seen["check"] for seen in done["checks"] if not seen["ok"]]
    assert left_behind(other.folder) == []


def test_a_backup_of_another_release_is_refused(stock: Stock, backup: Path) -> None:
    newer = altered(
        backup, lambda connection: connection.execute("INSERT INTO migration VALUES (9999, 'x', 'x')")
    )
    other = elsewhere(stock)
    said = other.run("restore", newer, expect=Exit.UNAVAILABLE)
    assert "newer program" in said.stderr
    assert left_behind(other.folder) == []


def test_the_key_file_is_looked_at_with_and_without_restoring(stock: Stock, backup: Path) -> None:
    other = elsewhere(stock)
    (other.folder / "keys.json").unlink()
    assert "There is no key file" in other.run("restore", backup, "--verify", expect=Exit.REFUSED).stdout
    assert left_behind(other.folder) == []
    other.run("restore", backup)  # without --verify the keys may follow
    shutil.copy2(stock.shell.folder / "keys.json", other.folder)
    assert other.json("verify", stock.codes[1])["ordinal"] == 3
