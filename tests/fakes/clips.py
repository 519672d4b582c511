"""Clips for tests of the hotline: real ones, rendered once a run, or a moment of silence where each belongs."""

from __future__ import annotations

import fcntl
import os
import shutil
import wave
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from app.bootstrap.speech import clip_library
from app.cli.main import main
from app.settings import load_settings
from app.speech.library import CLIPS, SpokenName
from app.speech.spoken import Phrase


def copy_rendered_clips(factory: pytest.TempPathFactory, folder: Path) -> None:
    """Put every clip of the catalogue into a data folder, as the command renders them.

    Whichever process of the run comes first renders, and the others wait for it: it has all cores meanwhile.
    """
    of_the_run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_the_run = of_the_run.parent
    rendered, whole = of_the_run / "voice", of_the_run / "voice-is-whole"
    with (of_the_run / "voice.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            rendered.mkdir(exist_ok=True)
            with redirect_stdout(StringIO()) as said:
                status = main(["--data-dir", str(rendered), "prompts", "render"])
            assert status == 0, said.getvalue()
            whole.touch()
    shutil.copytree(rendered / CLIPS, folder / CLIPS)


def lay_silent_clips(folder: Path, names: Iterable[str] = ()) -> dict[str, str]:
    """Put a moment of silence where each clip belongs, so that nothing is rendered beside a test of something else.

    Returns the sentence that each of them stands for, by its file's name.
    """
    library = clip_library(load_settings(flags={"data_dir": str(folder)}))
    library.set_names(SpokenName(text=text) for text in names)
    library.folder.mkdir(parents=True, exist_ok=True)
    sentences = {}
    for entry in library.entries():
        item = entry.item
        said = library.sentence(item.key, entry.locale) if isinstance(item, Phrase) else item.text
        sentences[entry.order.path.stem] = said
        with wave.open(str(entry.order.path), "wb") as clip:
            clip.setnchannels(1)
            clip.setsampwidth(2)
            clip.setframerate(8000)
            clip.writeframes(bytes(320))
    return sentences
