"""The mini-program in WeChat's own simulator, against a running service whose platform is played on loopback."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app.core.model.check_digits import check_digits_for
from tests.acceptance.cli.shell import ROOT, Server, Shell
from tests.fakes.wechat_platform import WechatPlatform

pytestmark = pytest.mark.xdist_group("mini-program")

RECALL_TEMPLATE: Final = "recall-template-of-the-test"
PRODUCT: Final = "婴儿配方奶粉"
PRODUCT_EN: Final = "Infant formula"
BRAND: Final = "青禾"
BRAND_EN: Final = "Qinghe"
SERVICE_LINE: Final = "4008001234"
SHOPPERS: Final = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jon", "kim", "lou")
_LABELS: Final = 160
_SIGN_INS: Final = 80
_PATIENCE_S: Final = 100
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class MiniProgramShell(Shell):
    """A service with a mini-program whose platform is at ``api_base``."""

    app_id: str
    app_secret: str
    api_base: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "YANZHEN_DATA_DIR": str(self.folder),
            "YANZHEN_LOG_FORMAT": "json",
            "YANZHEN_CHANNELS": "api,wechat",
            "YANZHEN_WECHAT__API_BASE": self.api_base,
            "YANZHEN_WECHAT__MINI_PROGRAM__TOKEN": "token-of-the-console",
            "YANZHEN_WECHAT__MINI_PROGRAM__APP_ID": self.app_id,
            "YANZHEN_WECHAT__MINI_PROGRAM__APP_SECRET": self.app_secret,
            "YANZHEN_WECHAT__MINI_PROGRAM__RECALL_TEMPLATE": RECALL_TEMPLATE,
            # every phone of the test has one address; the limits of each shopper stay as they are
            "YANZHEN_THROTTLE__IP_PER_MINUTE": "10000",
            "YANZHEN_THROTTLE__IP_WRONG_PER_10_MINUTES": "10000",
        }


def _issue(shell: Shell) -> list[str]:
    shell.run("init")
    names = ("--name", BRAND, "--name-en", BRAND_EN)
    brand = shell.json("brand", "add", *names, "--service-line", SERVICE_LINE)["id"]
    names = ("--name", PRODUCT, "--name-en", PRODUCT_EN)
    product = shell.json("product", "add", "--brand", brand, *names)["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", _LABELS)["id"]
    shell.run("batch", "activate", batch)
    labels = shell.folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    with labels.open(newline="") as lines:
        return [row[1] for row in csv.reader(lines)][1:]


def _world(server: Server, platform: WechatPlatform, codes: list[str]) -> dict[str, Any]:
    """Return what the phones of the test know: where the service is, codes, and a supply of login codes."""
    slipped, *firsts = codes
    position = 7
    wrong_digit = str((int(slipped[position - 1]) + 1) % 10)
    bodies = [f"{code[:-9]}{(int(code[-9:-2]) + 1) % 10**7:07d}" for code in firsts]
    logins = {shopper: [f"{shopper}-{n}" for n in range(_SIGN_INS)] for shopper in SHOPPERS}
    for shopper, js_codes in logins.items():
        for js_code in js_codes:
            platform.account.sign_in(f"openid-of-{shopper}", js_code)
    return {
        "server": server.url,
        "appId": platform.account.app_id,
        "recallTemplate": RECALL_TEMPLATE,
        "product": PRODUCT,
        "productEn": PRODUCT_EN,
        "brand": BRAND,
        "serviceLine": SERVICE_LINE,
        "codes": {"first": firsts, "not_found": [body + check_digits_for(body) for body in bodies]},
        "slip": {
            "digits": slipped[: position - 1] + wrong_digit + slipped[position:],
            "position": position,
        },
        "logins": logins | {"stranger": [f"nobody-{n}" for n in range(_SIGN_INS)]},
    }


def _run_jest(world: dict[str, Any], folder: Path) -> dict[str, Any]:
    node = shutil.which("node")
    jest = ROOT / "node_modules" / "jest" / "bin" / "jest.js"
    if node is None or not jest.exists():
        pytest.fail("Jest is not installed: install Node and npm, then run `make clean setup`.")
    report = folder / "jest.json"
    run = subprocess.run(
        [
            *(node, str(jest), "--config", str(_HERE / "jest.config.js"), "--ci", "--runInBand"),
            *("--cacheDirectory", str(folder / "cache"), "--json", "--outputFile", str(report)),
        ],
        cwd=ROOT,
        env={**os.environ, "YANZHEN_TEST_MINI_PROGRAM": json.dumps(world), "TZ": "Asia/Shanghai"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-20_000:]
    counted: dict[str, Any] = json.loads(report.read_text())
    return counted


async def test_the_mini_program_works_with_the_service(tmp_path: Path) -> None:
    platform = WechatPlatform()
    async with platform.running():
        account = platform.account
        shell = MiniProgramShell(tmp_path / "data", account.app_id, account.app_secret, platform.url)
        codes = await asyncio.to_thread(_issue, shell)
        serving = shell.serving()
        server = await asyncio.to_thread(serving.__enter__)
        try:
            report = await asyncio.to_thread(_run_jest, _world(server, platform, codes), tmp_path)
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)
        log = server.log.read_text()
    files = sorted(path.name for path in _HERE.glob("*.test.js"))
    assert sorted(Path(one["name"]).name for one in report["testResults"]) == files
    assert report["numPassedTests"] == report["numTotalTests"] > 30
    assert set(platform.calls) == {"/sns/jscode2session"}, "asking calls the platform for nothing but sign-in"
    assert "openid-of-" not in log
    assert not any(code in log for code in codes)
