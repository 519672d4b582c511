"""The catalogue of prompts: every sentence the hotline can speak, by key, read from ``voice_prompts/<locale>``.

The words are data, so that a translator or a studio needs no program; a locale is a folder.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.core.errors import SettingsInvalid
from app.core.model.value import value
from app.speech.pinyin import number_tones

FILE_NAME: Final = "prompts.toml"
MANDARIN: Final = "zh-CN"
_KEY: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_HANZI: Final = re.compile(r"[\u3007\u3400-\u9fff\U00020000-\U0003ffff]")


@value
class Prompt:
    """One sentence. ``voice`` is the locale whose voice says it; ``reading`` is what a synthetic voice is given."""

    key: str
    sentence: str
    voice: str
    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBook:
    """One locale's prompts by key, the important ones first. ``read_as`` maps words to how they are read out."""

    locale: str
    folder: Path
    prompts: Mapping[str, Prompt]
    read_as: Mapping[str, str]

    def reading(self, text: str) -> str:
        """Return ``text`` with the words replaced that a synthetic voice gets wrong."""
        for word, read in self.read_as.items():
            text = text.replace(word, read)
        return text


def load_books(folder: Path) -> Mapping[str, PromptBook]:
    """Read every locale. Raises ``SettingsInvalid`` that names the file, for one that is not what it should be."""
    files = sorted(folder.glob(f"*/{FILE_NAME}"))
    if not files:
        raise SettingsInvalid(f"There are no prompts in {folder}. Restore voice_prompts from the release.")
    data = {file.parent.name: _read(file) for file in files}
    lexicons: dict[str, Mapping[str, str]] = {
        locale: part.get("read_as", {}) for locale, part in data.items()
    }
    books = {}
    for locale, part in data.items():
        place = folder / locale / FILE_NAME
        books[locale] = PromptBook(
            locale=locale,
            folder=folder / locale,
            prompts=_prompts(locale, part, lexicons, place),
            read_as=lexicons[locale],
        )
    return books


def voice_of(text: str, locale: str) -> str:
    """Return the locale whose voice can say a name: Mandarin for hanzi, otherwise that of the conversation."""
    return MANDARIN if _HANZI.search(text) else locale


def name_reading(text: str, voice: str, books: Mapping[str, PromptBook]) -> str:
    """Return what a synthetic voice is given for a name; marked pinyin (hǎi àn) becomes numbered (hai3 an4)."""
    text = books[voice].reading(text)
    return number_tones(text) if voice == MANDARIN else text


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"The prompts in {file} cannot be read: {error}. Correct the file.") from None


def _prompts(
    locale: str, part: Mapping[str, Any], lexicons: Mapping[str, Mapping[str, str]], file: Path
) -> dict[str, Prompt]:
    voices: Mapping[str, str] = part.get("spoken_by", {})
    prompts = {}
    for key, sentence in flat(part.get("prompts", {})):
        voice = voices.get(key, locale)
        if not _KEY.fullmatch(key) or not isinstance(sentence, str) or not sentence.strip():
            raise SettingsInvalid(
                f"{file}: {key!r} is no prompt; write key = sentence, keys of a-z, 0-9 and _."
            )
        if voice not in lexicons:
            raise SettingsInvalid(f"{file}: {key!r} is to be spoken by {voice!r}, which is no locale here.")
        reading = sentence
        for word, read in lexicons[voice].items():
            reading = reading.replace(word, read)
        prompts[key] = Prompt(key=key, sentence=sentence, voice=voice, reading=reading)
    if unknown := sorted(voices.keys() - prompts.keys()):
        raise SettingsInvalid(f"{file}: [spoken_by] names {unknown[0]!r}, which is no prompt.")
    return prompts


def flat(table: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, object]]:
    """Yield the entries of nested tables by their dotted keys."""
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from flat(entry, f"{parent}{name}.")
        else:
            yield f"{parent}{name}", entry
