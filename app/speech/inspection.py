"""Looking over the clips: what is missing, silent, clipped, too long, stale, or not what a telephone plays."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from app.core.model.value import value
from app.speech.catalogue import MANDARIN, Prompt, PromptBook, flat
from app.speech.library import CLIPS, SUFFIX, ClipLibrary, Entry
from app.speech.ports import Synthesiser
from app.speech.sound import NotTelephoneSound, measure, read_duration_ms, read_samples
from app.speech.spoken import Phrase

READ_FROM: Final = "sentences.toml"  # beside the recordings: which sentence each was read from
_QUIETEST_PEAK_DBFS: Final = -20.0
_QUIETEST_RMS_DBFS: Final = -40.0
_GREETING: Final = ("greeting", "language.offer")
_GREETING_MS: Final = 5_000  # service rules, section 3
_WORD_TABLES: Final = frozenset(
    {
        "digit",
        "number",
        "tail",
        "hundred",
        "thousand",
        "count",
        "position",
        "year",
        "month",
        "day",
        "hour",
        "minute",
    }
)
_WORD_MS: Final = 3_000
_SENTENCE_MS: Final = 12_000


class Fault(StrEnum):
    """What can be wrong with a clip."""

    MISSING = "missing"
    FORMAT = "wrong format"
    SILENT = "silent"
    CLIPPED = "clipped"
    LONG = "too long"
    STALE = "stale"
    FOREIGN = "foreign sounds"


@value
class Finding:
    """One fault: ``key`` of the prompt or the name's text, and what an operator can do about it."""

    fault: Fault
    locale: str
    key: str
    advice: str


def inspect_clips(library: ClipLibrary) -> Iterator[Finding]:
    """Yield what is wrong with clips on disk. Blocking; the library must be loaded."""
    clips = library.known()
    for entry in library.entries():
        key = entry.item.key if isinstance(entry.item, Phrase) else entry.item.text
        yield from _inspect_recording(entry, key)
        clip = clips.get((entry.locale, entry.item))
        if clip is None:
            advice = "run `yanzhen prompts render`, or record it"
            yield Finding(fault=Fault.MISSING, locale=entry.locale, key=key, advice=advice)
            continue
        yield from _inspect_sound(clip.path, entry.locale, key, clip.duration_ms)
    yield from _inspect_greetings(library)
    yield from _inspect_recordings(library.books.values())
    for path in library.stale():
        yield Finding(
            fault=Fault.STALE, locale="", key=path.name, advice="nothing plays it: `prompts render --prune`"
        )


async def inspect_phonemes(books: Mapping[str, PromptBook], synthesiser: Synthesiser) -> Sequence[Finding]:
    """Return Mandarin prompts that the voice would read as another language, which no duration shows."""
    prompts = [
        (book.locale, prompt)
        for book in books.values()
        for prompt in book.prompts.values()
        if prompt.voice == MANDARIN
    ]
    spoken = await synthesiser.phonemes([prompt.reading for _, prompt in prompts], MANDARIN)
    return [
        _foreign(locale, prompt, sounds)
        for (locale, prompt), sounds in zip(prompts, spoken, strict=True)
        if "(en)" in sounds or not sounds.strip()
    ]


def _foreign(locale: str, prompt: Prompt, sounds: str) -> Finding:
    advice = f"the voice says {sounds}; reword it, or give [read_as] a reading"
    return Finding(fault=Fault.FOREIGN, locale=locale, key=prompt.key, advice=advice)


def _inspect_recording(entry: Entry, key: str) -> Iterator[Finding]:
    if entry.recording is None or not entry.recording.exists():
        return
    try:
        read_duration_ms(entry.recording)
    except (OSError, NotTelephoneSound) as error:
        advice = f"{entry.recording}: {error}; it is not played"
        yield Finding(fault=Fault.FORMAT, locale=entry.locale, key=key, advice=advice)


def _inspect_sound(path: Path, locale: str, key: str, duration_ms: int) -> Iterator[Finding]:
    level = measure(read_samples(path))
    if level.peak_dbfs < _QUIETEST_PEAK_DBFS or level.rms_dbfs < _QUIETEST_RMS_DBFS:
        advice = (
            f"{path} peaks at {level.peak_dbfs:.0f} dBFS, {level.rms_dbfs:.0f} on average; record it louder"
        )
        yield Finding(fault=Fault.SILENT, locale=locale, key=key, advice=advice)
    if level.clipped:
        yield Finding(
            fault=Fault.CLIPPED, locale=locale, key=key, advice=f"{path} is overdriven; record it lower"
        )
    longest = _WORD_MS if key.partition(".")[0] in _WORD_TABLES else _SENTENCE_MS
    if duration_ms > longest:
        advice = f"{path} lasts {duration_ms} ms, at most {longest}; shorten the sentence"
        yield Finding(fault=Fault.LONG, locale=locale, key=key, advice=advice)


def _inspect_greetings(library: ClipLibrary) -> Iterator[Finding]:
    for locale in library.books:
        spoken = tuple(Phrase(key=key) for key in _GREETING)
        lasts = library.duration_ms(spoken, locale)
        if lasts > _GREETING_MS:
            advice = f"with the offer of the other language it lasts {lasts} ms, at most {_GREETING_MS}"
            yield Finding(fault=Fault.LONG, locale=locale, key=_GREETING[0], advice=advice)


def _inspect_recordings(books: Iterable[PromptBook]) -> Iterator[Finding]:
    """Yield recordings of nothing in the catalogue, and those that were read from other words than it has now."""
    for book in books:
        folder = book.folder / CLIPS
        sentences = _read_sentences(folder / READ_FROM)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            prompt = book.prompts.get(path.stem)
            if prompt is None:
                advice = f"{path} is no prompt's key; rename it or take it out"
            elif path.stem not in sentences:
                advice = f"write what was read into {READ_FROM} beside {path.name}"
            elif sentences[path.stem] != prompt.sentence:
                advice = f"{path} was read from other words; record it again, or correct {READ_FROM}"
            else:
                continue
            yield Finding(fault=Fault.STALE, locale=book.locale, key=path.stem, advice=advice)


def _read_sentences(path: Path) -> Mapping[str, object]:
    try:
        return dict(flat(tomllib.loads(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
