"""One service with texts switched on, and one Kannel in front of it, for all tests of a module."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.cli.shell import Server, Shell
from tests.acceptance.sms.kannel_gateway import (
    REMEDY,
    Kannel,
    Relay,
    is_installed,
    relaying,
    running_kannel,
)

SECRET = "secret-of-the-acceptance-test"
_LABELS = 100


@dataclass
class KannelSite:
    """Kannel, the relay and the service behind it; every test takes codes of its own."""

    folder: Path
    gateway: Kannel
    relay: Relay
    server: Server
    codes: list[str] = field(default_factory=list)

    def next_code(self) -> str:
        return self.codes.pop()


@dataclass(frozen=True)
class _TextingShell(Shell):
    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "YANZHEN_DATA_DIR": str(self.folder),
            "YANZHEN_LOG_LEVEL": "warning",
            "YANZHEN_CHANNELS": "web,api,sms",
            "YANZHEN_THROTTLE__ENABLED": "false",
            "YANZHEN_SMS__KANNEL__SECRET": SECRET,
            "YANZHEN_SMS__PER_NUMBER_PER_DAY": "100000",
            "YANZHEN_SMS__PER_DAY": "100000",
        }


@pytest.fixture(scope="module")
def kannel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KannelSite]:
    if not is_installed():
        pytest.fail(REMEDY)
    folder = tmp_path_factory.mktemp("kannel")
    shell = _TextingShell(folder / "data")
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾", "--name-en", "Qinghe")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--name-en", "Formula")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", _LABELS)["id"]
    shell.run("batch", "activate", batch)
    labels = folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    with labels.open(newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    with shell.serving() as server:
        port = int(server.url.rpartition(":")[2])
        with relaying(port) as relay, running_kannel(folder, relay, SECRET) as gateway:
            yield KannelSite(folder=folder, gateway=gateway, relay=relay, server=server, codes=codes)
