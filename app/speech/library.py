"""The clip library: which file is played for a phrase or a name. A studio recording goes before a synthetic clip.

Looking up touches no file: what is there is indexed at ``load`` and as clips are made. A synthetic clip's file name
is the digest of everything that shapes its sound, so a changed sentence or voice can never meet an old clip.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Final

from app.core.model.value import value
from app.speech.catalogue import PromptBook, name_reading, voice_of
from app.speech.held_sounds import HeldSounds
from app.speech.ports import ClipFailed, ClipMade, ClipOrder, Synthesiser
from app.speech.silence import find_silence_ms, silence_sha, silence_sound
from app.speech.sound import NotTelephoneSound, read_duration_ms
from app.speech.spoken import Name, Pause, Phrase, Spoken

CLIPS: Final = "clips"
SUFFIX: Final = ".wav"
_FORMAT: Final = "pcm16-8000-mono-3"  # one more with every change of how clips are cut and levelled
_OURS: Final = frozenset({SUFFIX, ".spoken", ".cut"})  # the last two while a clip is being made
_DIGEST_CHARS: Final = 32
_MOST_WANTED: Final = 10_000
_NAMES_HELD_BYTES: Final = 32 * 1024 * 1024  # some 1,500 names of a second and a half


@value
class SpokenName:
    """A brand's or product's name as answers hold it, and how it is said ("" for as it is written)."""

    text: str
    pronunciation: str = ""


@value
class Clip:
    """A sound file, PCM WAV of 8 kHz, mono, 16 bit. ``sha`` names its content and never another's."""

    path: Path
    sha: str
    duration_ms: int
    recorded: bool = False


@value
class Entry:
    """One place in the library: a phrase or name in a locale, its order for a synthesiser, its recording's path."""

    item: Phrase | Name
    locale: str
    order: ClipOrder
    recording: Path | None = None


class ClipLibrary:
    """All clips of an installation. Without a synthesiser it holds what was recorded or rendered elsewhere."""

    def __init__(
        self,
        books: Mapping[str, PromptBook],
        *,
        folder: Path,
        identities: Mapping[str, str],
        synthesiser: Synthesiser | None,
    ) -> None:
        self.books = books
        self.folder = folder
        self._identities = identities
        self._synthesiser = synthesiser
        self._clips: dict[tuple[str, Phrase | Name], Clip] = {}
        self._by_sha: dict[str, Clip] = {}
        self._sounds: dict[str, bytes] = {}  # prompts
        self._name_sounds = HeldSounds(most_bytes=_NAMES_HELD_BYTES)
        self._names: dict[str, str] = {}
        self._wanted: set[str] = set()
        self._asked = asyncio.Event()
        self._rendering = asyncio.Lock()

    # -- what is played ------------------------------------------------------------------------------------------

    def find(self, item: Phrase | Name, locale: str) -> Clip | None:
        """Return the clip, or None where there is none yet. A name that is missing is remembered for rendering."""
        clip = self._clips.get((locale, item))
        if clip is None and isinstance(item, Name) and len(self._wanted) < _MOST_WANTED:
            self._wanted.add(item.text)
            self._asked.set()
        return clip

    def known(self) -> Mapping[tuple[str, Phrase | Name], Clip]:
        """Return every clip there is, by locale and item."""
        return dict(self._clips)

    def find_file(self, sha: str) -> Clip | None:
        """Return the clip whose content has this digest, for a provider that fetches it."""
        return self._by_sha.get(sha)

    def sound(self, sha: str) -> bytes | None:
        """Return the file of :meth:`find_file` or :meth:`silence`, None also where it is gone.

        Prompts are held in memory, and names up to 32 MiB; beyond them a name's small file is read, and then held.
        """
        held = self._sounds.get(sha) or self._name_sounds.find(sha)
        clip = self._by_sha.get(sha)
        if held is not None:
            return held
        if clip is None:
            length_ms = find_silence_ms(sha)
            return None if length_ms is None else silence_sound(length_ms)
        try:
            sound = clip.path.read_bytes()
        except OSError:
            return None
        self._name_sounds.keep(sha, sound)
        return sound

    def silence(self, pause_ms: int) -> str:
        """Return the name of a clip that is silent as long as a pause, to ten milliseconds and at most two seconds."""
        return silence_sha(pause_ms)

    def switch_name(self, item: Phrase | Name, locale: str) -> str | None:
        """Return the name under which `prompts export` lays the clip down for a telephone switch, without ending.

        ``zh-CN/verdict-first`` for a phrase, ``zh-CN/name-<digest>`` for a name; None where there is no clip.
        """
        clip = self.find(item, locale)
        return None if clip is None else switch_name(item, locale, clip)

    def clips(self, spoken: Spoken, locale: str) -> tuple[Clip | Pause, ...]:
        """Return what is played. What has no clip is left out, and a name's pause with it."""
        played: list[Clip | Pause] = []
        for item in spoken:
            if isinstance(item, Pause):
                played.append(item)
            elif clip := self.find(item, locale):
                played.append(clip)
            elif isinstance(item, Name) and played and isinstance(played[-1], Pause):
                played.pop()
        return tuple(played)

    def duration_ms(self, spoken: Spoken, locale: str) -> int:
        """Return how long it plays, pauses included; what has no clip counts nothing."""
        parts = self.clips(spoken, locale)
        return sum(part.ms if isinstance(part, Pause) else part.duration_ms for part in parts)

    def lacks(self, spoken: Spoken, locale: str) -> tuple[str, ...]:
        """Return the keys of phrases that have no clip yet; a provider's own voice may say :meth:`sentence`."""
        return tuple(
            item.key for item in spoken if isinstance(item, Phrase) and (locale, item) not in self._clips
        )

    def sentence(self, key: str, locale: str) -> str:
        """Return the words of a phrase. Raises ``KeyError`` for a key that is not in the catalogue."""
        return self.books[locale].prompts[key].sentence

    # -- what is there -------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Index every clip on disk. Blocking: call it off the event loop."""
        clips: dict[tuple[str, Phrase | Name], Clip] = {}
        for entry in self.entries():
            if clip := self._look(entry):
                clips[entry.locale, entry.item] = clip
        self._clips, self._by_sha = clips, {clip.sha: clip for clip in clips.values()}
        prompts = {clip.sha: clip.path for (_, item), clip in clips.items() if isinstance(item, Phrase)}
        self._sounds = {sha: path.read_bytes() for sha, path in prompts.items()}
        for (_, item), clip in clips.items():
            self._hold_name(item, clip)

    def set_names(self, names: Iterable[SpokenName]) -> None:
        """Add names and how they are said."""
        added = {name.text: name.pronunciation for name in names if name.text}
        self._names = {**self._names, **added}  # another thread may be reading the old ones

    def entries(self) -> tuple[Entry, ...]:
        """Return everything the library should hold: every prompt and every name in every locale.

        Languages take turns and the first prompts of a catalogue come first, so that a first call is greeted early.
        """
        prompts = (
            Entry(
                item=Phrase(key=prompt.key),
                locale=book.locale,
                order=self._order(prompt.key, prompt.voice, prompt.reading),
                recording=book.folder / CLIPS / f"{prompt.key}{SUFFIX}",
            )
            for row in zip_longest(*(book.prompts.values() for book in self.books.values()))
            for book, prompt in zip(self.books.values(), row, strict=True)
            if prompt is not None
        )
        return (*prompts, *self._name_entries())

    def missing(self) -> tuple[ClipOrder, ...]:
        """Return the orders of clips that are not there, each once."""
        orders = {
            entry.order.path: entry.order
            for entry in self.entries()
            if (entry.locale, entry.item) not in self._clips
        }
        return tuple(orders.values())

    async def name_wanted(self) -> None:
        """Wait until an answer held a name that has no clip; its order is in :meth:`missing` from then on."""
        await self._asked.wait()
        self._asked.clear()
        self.set_names(SpokenName(text=text) for text in self._wanted if text not in self._names)
        self._wanted.clear()

    # -- making clips --------------------------------------------------------------------------------------------

    async def render(self, *, names_only: bool = False) -> AsyncGenerator[ClipMade | ClipFailed, None]:
        """Make what is missing and yield each result; without a synthesiser nothing is made."""
        if self._synthesiser is None:
            return
        async with self._rendering:
            missing = [entry for entry in self.entries() if isinstance(entry.item, Name) or not names_only]
            missing = [entry for entry in missing if (entry.locale, entry.item) not in self._clips]
            await asyncio.to_thread(self._add, missing)  # another process may have made some
            waiting: dict[Path, list[Entry]] = {}
            for entry in missing:
                if (entry.locale, entry.item) not in self._clips:
                    waiting.setdefault(entry.order.path, []).append(entry)
            orders = [entries[0].order for entries in waiting.values()]
            async with aclosing(self._synthesiser.render(orders)) as results:  # also when we are cancelled
                async for result in results:
                    if isinstance(result, ClipMade):
                        await asyncio.to_thread(self._add, waiting[result.order.path])
                    yield result

    async def render_missing(self, *, names_only: bool = False) -> tuple[ClipFailed, ...]:
        """Make what is missing and return what could not be made."""
        async with aclosing(self.render(names_only=names_only)) as results:
            return tuple([result async for result in results if isinstance(result, ClipFailed)])

    def stale(self) -> tuple[Path, ...]:
        """Return what nothing plays: clips of earlier words, and what a killed renderer left. Blocking."""
        wanted = {entry.order.path for entry in self.entries()}
        return tuple(
            path for path in sorted(self.folder.glob("*")) if path.suffix in _OURS and path not in wanted
        )

    def _order(self, label: str, voice: str, text: str) -> ClipOrder:
        shape = json.dumps([_FORMAT, self._identities[voice], text], ensure_ascii=False)
        digest = hashlib.sha256(shape.encode()).hexdigest()[:_DIGEST_CHARS]
        return ClipOrder(label=label, voice=voice, text=text, path=self.folder / f"{digest}{SUFFIX}")

    def _name_entries(self) -> Iterable[Entry]:
        for text, pronunciation in self._names.items():
            for locale in self.books:
                voice = voice_of(text + pronunciation, locale)
                said = name_reading(pronunciation or text, voice, self.books)
                yield Entry(item=Name(text=text), locale=locale, order=self._order(text, voice, said))

    def _look(self, entry: Entry) -> Clip | None:
        if entry.recording is not None and (clip := _recorded(entry.recording)):
            return clip
        path = entry.order.path
        try:
            return Clip(path=path, sha=path.stem, duration_ms=read_duration_ms(path))
        except (OSError, NotTelephoneSound):  # also one that a power loss cut short: it is made again
            return None

    def _add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if clip := self._look(entry):
                if isinstance(entry.item, Phrase):
                    self._sounds[clip.sha] = clip.path.read_bytes()
                self._hold_name(entry.item, clip)
                self._by_sha[clip.sha] = clip
                self._clips[entry.locale, entry.item] = clip

    def _hold_name(self, item: Phrase | Name, clip: Clip) -> None:
        if isinstance(item, Name) and self._name_sounds.has_room:
            with suppress(OSError):  # looked at a moment ago; a fetch says so if it is gone
                self._name_sounds.keep(clip.sha, clip.path.read_bytes())


def switch_name(item: Phrase | Name, locale: str, clip: Clip) -> str:
    """Return where a clip lies for a telephone switch, below the folder of the export and without ending."""
    return f"{locale}/" + (
        item.key.replace(".", "-") if isinstance(item, Phrase) else f"name-{clip.sha[:16]}"
    )


def _recorded(path: Path) -> Clip | None:
    try:
        duration_ms = read_duration_ms(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGEST_CHARS]
    except (OSError, NotTelephoneSound):  # `prompts check` names it
        return None
    return Clip(path=path, sha=digest, duration_ms=duration_ms, recorded=True)
