"""The synthetic voice itself, in its child process: what it makes, that it makes it twice alike, and how it fails."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from app.adapters.speech import VOICES, Pyttsx3Synthesiser
from app.cli.main import main
from app.core.model.catalogue import Catalogue
from app.core.model.label import LabelSummary
from app.logs import configure_logs
from app.settings import load_settings
from app.speech.catalogue import MANDARIN
from app.speech.inspection import inspect_phonemes
from app.speech.library import CLIPS, ClipLibrary, SpokenName
from app.speech.phrasing import say
from app.speech.ports import ClipFailed, ClipMade, ClipOrder
from app.speech.sound import measure, read_duration_ms, read_samples
from app.speech.spoken import Name
from channels.wording.locales import LOCALES
from channels.wording.reply import Wording
from channels.wording.variants import Variant
from tests.fakes.clips import copy_rendered_clips
from tests.fakes.memory_store import MemoryStore
from tests.unit.issuing.labels import batch
from tests.unit.wording.verdicts import LABEL, verdict_of

pytestmark = [
    pytest.mark.xdist_group("voice"),
    pytest.mark.timeout(400),  # the first waits until the whole catalogue is rendered
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with every clip, made by the command."""
    folder = tmp_path_factory.mktemp("voice")
    copy_rendered_clips(tmp_path_factory, folder)
    return folder


@pytest.fixture
def library(data_dir: Path) -> ClipLibrary:
    from app.bootstrap.speech import clip_library

    library = clip_library(load_settings(flags={"data_dir": str(data_dir)}))
    library.load()
    return library


def order(text: str, path: Path, *, voice: str = MANDARIN) -> ClipOrder:
    return ClipOrder(label=f"key of {text}", voice=voice, text=text, path=path)


async def render(orders: Sequence[ClipOrder], *, jobs: int = 1) -> list[ClipMade | ClipFailed]:
    return [result async for result in Pyttsx3Synthesiser(jobs=jobs).render(orders)]


def test_every_clip_is_made_and_nothing_is_wrong_with_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["--data-dir", str(data_dir), "prompts", "check", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["findings"] == []
    assert checked["clips"] > 800


def test_a_greeting_lasts_five_seconds_at_most(library: ClipLibrary) -> None:
    for locale in LOCALES:
        assert 1_000 < library.duration_ms(say("greeting", "language.offer"), locale) <= 5_000


async def test_no_answer_outlasts_patience(library: ClipLibrary) -> None:
    wording = Wording.load("Asia/Shanghai")
    for locale in LOCALES:
        lasts = {
            variant: library.duration_ms(wording.reply(verdict_of(variant), locale).spoken, locale)
            for variant in Variant
        }
        assert max(lasts.values()) <= 33_000, lasts
        assert lasts[Variant.FIRST] <= 25_000


async def test_mandarin_is_spoken_as_mandarin(library: ClipLibrary) -> None:
    assert await inspect_phonemes(library.books, Pyttsx3Synthesiser()) == []
    marked = await Pyttsx3Synthesiser().phonemes(["防伪码", "fang two", "hai3 an4"], MANDARIN)
    assert ["(en)" in sounds for sounds in marked] == [False, True, False]


async def test_equal_orders_give_equal_bytes_whatever_was_said_before(tmp_path: Path) -> None:
    texts = ["请输入数字。", "八", "十二次", "请再看一下", "二〇二六年"]
    alone = await render([order(text, tmp_path / "a" / f"{text}.wav") for text in texts])
    turned = await render([order(text, tmp_path / "b" / f"{text}.wav") for text in reversed(texts)], jobs=3)
    assert all(isinstance(result, ClipMade) for result in (*alone, *turned))
    for text in texts:
        assert (tmp_path / "a" / f"{text}.wav").read_bytes() == (tmp_path / "b" / f"{text}.wav").read_bytes()


async def test_one_clip_made_by_several_at_once_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "same.wav"
    results = await asyncio.gather(*(render([order("防伪码", path)]) for _ in range(3)))
    assert all(isinstance(result, ClipMade) for made in results for result in made)
    assert [entry.name for entry in tmp_path.iterdir()] == ["same.wav"]


async def test_clips_are_level_and_trimmed(tmp_path: Path) -> None:
    await render([order("防伪码", tmp_path / "a.wav"), order("once", tmp_path / "b.wav", voice="en")])
    for name in ("a", "b"):
        samples = read_samples(tmp_path / f"{name}.wav")
        assert measure(samples).peak_dbfs == pytest.approx(-4.4, abs=0.1)
        assert max(map(abs, samples[:40])) < 2_000
        assert 200 < read_duration_ms(tmp_path / f"{name}.wav") < 1_500


async def test_what_cannot_be_said_fails_alone_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    orders = [
        order("一", tmp_path / "1.wav"),
        order(" ", tmp_path / "2.wav"),
        order("二", tmp_path / "file" / "3.wav"),
        order("三", tmp_path / "4.wav"),
    ]
    made, silent, unwritable, after = await render(orders)
    assert isinstance(made, ClipMade)
    assert isinstance(silent, ClipFailed)
    assert silent.order.label == "key of  "
    assert isinstance(unwritable, ClipFailed)
    assert isinstance(after, ClipMade)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1.wav", "4.wav", "file"]


async def test_a_lost_child_costs_one_clip_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "worker.py"
    program.write_text(
        "import json, pathlib, sys\n"
        "for line in sys.stdin:\n"
        "    order = json.loads(line)\n"
        "    if order['text'] == '二': sys.exit(7)\n"
        "    pathlib.Path(order['path']).write_bytes(b'x')\n"
        "    print('{}', flush=True)\n"
    )
    monkeypatch.setattr("app.adapters.speech._PROGRAM", program)
    results = await render([order(text, tmp_path / f"{text}.wav") for text in "一二三"])
    assert [isinstance(result, ClipMade) for result in results] == [True, False, True]
    assert isinstance(results[1], ClipFailed)
    assert "ended (7)" in results[1].why


async def test_names_are_made_when_they_are_entered(data_dir: Path, tmp_path: Path) -> None:
    from app.bootstrap.speech import clip_library, render_names

    shutil.copytree(data_dir / CLIPS, tmp_path / CLIPS)
    settings = load_settings(flags={"data_dir": str(tmp_path)})
    library = clip_library(settings)
    names = [SpokenName(text="海岸牧场", pronunciation="hǎi àn mù chǎng"), SpokenName(text="Coast")]
    await render_names(settings, names)
    library.set_names(names)
    library.load()
    label = LabelSummary(
        brand="海岸牧场", brand_en="Coast", product="海岸牧场", service_line=LABEL.service_line
    )
    for locale in LOCALES:
        reply = Wording.load("Asia/Shanghai").reply(verdict_of(Variant.FIRST, label=label), locale)
        with_names = library.duration_ms(reply.spoken, locale)
        without = library.duration_ms(tuple(part for part in reply.spoken if hasattr(part, "key")), locale)
        assert with_names > without + 1_000


async def test_a_running_service_knows_the_name_of_a_product_before_anybody_asks(
    data_dir: Path, tmp_path: Path
) -> None:
    from app.bootstrap.speech import clip_library, keep_clips, render_names

    shutil.copytree(data_dir / CLIPS, tmp_path / CLIPS)
    settings = load_settings(flags={"data_dir": str(tmp_path)})
    library = clip_library(settings)
    store = MemoryStore(Catalogue(version=0))
    keeper = asyncio.create_task(
        keep_clips(library, store, configure_logs(log_format="json").logger("test"), look_s=0.01)
    )
    await _until(keeper, lambda: bool(library.known()))
    await render_names(settings, [SpokenName(text="海岸奶粉", pronunciation="hǎi àn nǎi fěn")])
    printed = batch()
    product = replace(printed.product, name="海岸奶粉", spoken_name="hǎi àn nǎi fěn")
    store.catalogue = Catalogue.of(version=1, batches=[replace(printed, product=product)])
    name = Name(text="海岸奶粉")
    await _until(keeper, lambda: (MANDARIN, name) in library.known())
    keeper.cancel()
    await asyncio.wait((keeper,))
    entered = clip_library(settings)
    entered.set_names([SpokenName(text=name.text, pronunciation="hǎi àn nǎi fěn")])
    entered.load()
    assert library.find(name, MANDARIN) == entered.find(name, MANDARIN), "said as it was entered"


async def test_nothing_is_made_for_an_installation_that_does_not_speak(tmp_path: Path) -> None:
    from app.bootstrap.speech import render_names

    await render_names(load_settings(flags={"data_dir": str(tmp_path)}), [SpokenName(text="海岸")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "header"), [("wav", b"RIFF"), ("ulaw", b"")])
def test_the_clips_are_laid_down_for_a_switch(
    data_dir: Path, tmp_path: Path, form: str, header: bytes
) -> None:
    command = [
        "--data-dir",
        str(data_dir),
        "prompts",
        "export",
        "--for",
        "asterisk",
        str(tmp_path),
        "--format",
        form,
    ]
    assert main(command) == 0
    for locale in LOCALES:
        names = [path.name for path in (tmp_path / locale).iterdir()]
        assert f"verdict-first_time.{form}" in names
        assert all(name.isascii() and name.count(".") == 1 and not name.startswith(".") for name in names)
        assert (tmp_path / locale / f"greeting.{form}").read_bytes().startswith(header)


def test_a_prompt_can_be_looked_at(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["--data-dir", str(data_dir), "prompts", "listen", "greeting", "--locale", "en", "--json"]) == 0
    )
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["sentence"].startswith("Welcome")
    assert 500 < facts["duration_ms"] < 4_000
    assert facts["recorded"] is False
    assert main(["--data-dir", str(data_dir), "prompts", "listen", "greetings"]) == 3
    assert main(["--data-dir", str(data_dir), "prompts", "listen", "greeting", "--locale", "fr"]) == 3


def test_clips_that_nothing_plays_are_removed_on_request(data_dir: Path) -> None:
    left = [data_dir / "clips" / name for name in ("0123.wav", ".0123.99.spoken")]
    for path in left:
        path.write_bytes(b"")
    assert main(["--data-dir", str(data_dir), "prompts", "check"]) == 1
    assert main(["--data-dir", str(data_dir), "prompts", "render", "--prune"]) == 0
    assert not any(path.exists() for path in left)
    assert main(["--data-dir", str(data_dir), "prompts", "check"]) == 0


async def test_a_service_that_stops_while_clips_are_made_leaves_no_child(tmp_path: Path) -> None:
    from app.bootstrap.speech import clip_library, keep_clips

    library = clip_library(load_settings(flags={"data_dir": str(tmp_path)}))
    logs = configure_logs(log_format="json", level="error")
    keeper = asyncio.create_task(keep_clips(library, MemoryStore(Catalogue(version=0)), logs.logger("test")))
    greeting = say("greeting")[0]
    await _until(keeper, lambda: (MANDARIN, greeting) in library.known())
    assert "app/adapters/speech" in str(_voices())
    keeper.cancel()
    await asyncio.wait((keeper,))
    assert _voices() == []


async def _until(keeper: asyncio.Task[None], is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            assert not keeper.done()
            await asyncio.sleep(0)


def _voices() -> list[list[str]]:
    """The command lines of voices among our child processes."""
    commands = [child.cmdline() for child in psutil.Process().children()]
    return [command for command in commands if any(part.endswith("worker.py") for part in command)]


def test_every_voice_has_a_locale() -> None:
    assert set(VOICES) == set(LOCALES)
