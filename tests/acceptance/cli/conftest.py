"""A prepared folder with a brand, a product and an activated batch of ten labels."""

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.acceptance.cli.shell import Shell


@dataclass(frozen=True)
class Stock:
    """What the shell's folder holds: one batch, its serials and its codes."""

    shell: Shell
    brand: int
    product: int
    batch: int
    serials: list[int]
    codes: list[str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


@pytest.fixture(scope="session")
def first_stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Made once by commands; a test gets a copy of the folder."""
    shell = Shell(tmp_path_factory.mktemp("stock") / "data")
    shell.run("init")
    brand = shell.json(
        *("brand", "add", "--name", "青禾", "--name-en", "Qinghe", "--short-name", "青禾"),
        *("--service-line", "400-800-1234"),
    )["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--thresholds", "1,4")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", 10)
    serials, codes = export(shell, batch["id"])
    assert (serials[0], serials[-1]) == (batch["first_serial"], batch["last_serial"])
    shell.run("batch", "activate", batch["id"])
    return Stock(shell=shell, brand=brand, product=product, batch=batch["id"], serials=serials, codes=codes)


@pytest.fixture
def stock(first_stock: Stock, shell: Shell) -> Stock:
    shutil.copytree(first_stock.shell.folder, shell.folder)
    return replace(first_stock, shell=shell)


def export(shell: Shell, batch: int) -> tuple[list[int], list[str]]:
    path = shell.folder / f"labels-{batch}.csv"
    shell.run("batch", "export", batch, "--out", path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["serial", "code", "url"]
    assert all(row["url"] == f"http://127.0.0.1:8315/q/{row['code']}" for row in rows)
    return [int(row["serial"]) for row in rows], [row["code"] for row in rows]
