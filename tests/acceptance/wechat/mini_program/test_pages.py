"""The mini-program's files fit together: pages, pictures and words are there, and the scripts are scripts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from channels.web.looks import LOOKS

PROGRAM: Final = Path(__file__).parents[4] / "channels" / "wechat" / "mini_program"
_ALL_WORDS: Final = (
    "process.stdout.write(JSON.stringify({zh: require('./words/zh-CN'), en: require('./words/en')}))"
)
_ALL_LOOKS: Final = "process.stdout.write(JSON.stringify(require('./lib/looks').LOOKS))"

_COMPILE: Final = """
for (const path of process.argv.slice(1)) new vm.Script(fs.readFileSync(path, "utf8"), { filename: path });
"""


def node(*words: str) -> str:
    """Run Node in the mini-program's folder and return what it printed."""
    path = shutil.which("node")
    if path is None:
        pytest.fail("Node is not installed: install Node and npm, then run `make clean setup`.")
    run = subprocess.run([path, *words], cwd=PROGRAM, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@cache
def words() -> dict[str, Any]:
    """Return the words of every language."""
    read: dict[str, Any] = json.loads(node("-e", _ALL_WORDS))
    return read


def read_json(name: str) -> Any:
    return json.loads((PROGRAM / name).read_text(encoding="utf-8"))


def markup() -> Iterator[tuple[str, str]]:
    for path in sorted(PROGRAM.rglob("*.wxml")):
        yield path.relative_to(PROGRAM).as_posix(), path.read_text(encoding="utf-8")


def test_every_page_has_its_four_files() -> None:
    pages = read_json("app.json")["pages"]
    assert pages[0] == "pages/check/check"
    missing = [
        f"{page}.{ending}"
        for page in pages
        for ending in ("js", "json", "wxml", "wxss")
        if not (PROGRAM / f"{page}.{ending}").is_file()
    ]
    assert missing == []
    assert sorted(f"{name.removesuffix('.wxml')}" for name, _ in markup()) == sorted(pages)


def test_every_script_is_one() -> None:
    scripts = sorted(map(str, PROGRAM.rglob("*.js")))
    assert len(scripts) > 10
    node("-e", _COMPILE, *scripts)


def test_every_json_file_is_one() -> None:
    assert len([read_json(path.relative_to(PROGRAM).as_posix()) for path in PROGRAM.rglob("*.json")]) > 5


def test_every_picture_that_is_named_is_there() -> None:
    named = {name for _, text in markup() for name in re.findall(r'src="(/images/[a-z-]+\.\w+)"', text)}
    looks = json.loads(node("-e", _ALL_LOOKS))
    named |= {f"/images/{look['icon']}.svg" for look in looks.values()}
    named |= {f"/images/{look.icon}.svg" for look in LOOKS.values()}
    named |= {"/images/share.png", "/images/page.svg"}
    there = {f"/images/{path.name}" for path in (PROGRAM / "images").iterdir()}
    assert named == there


def test_every_word_in_the_markup_is_in_every_language() -> None:
    used = {name for _, text in markup() for name in re.findall(r"\bw\.([a-z_.]+)", text)}
    assert len(used) > 40
    for locale, book in words().items():
        for name in used:
            found: Any = book
            for part in name.split("."):
                found = found[part]
            assert isinstance(found, str), f"{locale}: {name}"
            assert found, f"{locale}: {name}"


def test_what_a_shopper_reads_is_a_word_of_a_language() -> None:
    """No sentence stands in the markup itself."""
    for name, text in markup():
        bare = re.sub(r"<[^>]*>", "", re.sub(r"\{\{.*?\}\}", "", text))
        assert not bare.strip(), f"{name}: {bare.strip()[:60]}"


def test_every_answer_looks_as_it_does_on_the_website() -> None:
    looks = json.loads(node("-e", _ALL_LOOKS))
    plain = {variant.value: look for variant, look in LOOKS.items() if variant.value in looks}
    assert len(plain) == len(looks) - 1  # `mistyped` has five wordings there, all of one look
    for outcome, look in plain.items():
        here = looks[outcome]
        assert (here["tone"], here["icon"], here.get("urgent", False)) == (look.tone, look.icon, look.urgent)


def test_every_tap_can_be_hit_and_is_announced() -> None:
    """Buttons are buttons, at least 48 px high, and pictures are silent or named."""
    for name, text in markup():
        assert not re.findall(r"<(?!button)\w+[^>]*bindtap", text), name
        for image in re.findall(r"<image[^>]*>", text):
            assert "aria-hidden" in image or "aria-label" in image, f"{name}: {image}"
    styles = "\n".join(path.read_text(encoding="utf-8") for path in PROGRAM.rglob("*.wxss"))
    heights = [int(height) for height in re.findall(r"min-height: (\d+)px", styles)]
    assert heights
    assert min(heights) >= 48


def test_no_text_is_smaller_than_it_should_be() -> None:
    for path in PROGRAM.rglob("*.wxss"):
        for size in re.findall(r"font-size: ([\d.]+)rem", path.read_text(encoding="utf-8")):
            assert float(size) >= 0.9, path.name


def test_the_server_is_a_placeholder_and_no_secret_is_shipped() -> None:
    config = (PROGRAM / "config.js").read_text(encoding="utf-8")
    assert 'server: "https://verify.example.cn"' in config
    assert read_json("project.config.json")["appid"] == "touristappid"
