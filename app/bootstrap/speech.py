"""The hotline's voice at start-up: the clip library of an installation, and the making of clips beside the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.speech import VOICES, Pyttsx3Synthesiser, identity
from app.bootstrap.workshop import open_workshop
from app.core.errors import SpeechUnavailable, StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.core.model.label import Brand, Product
from app.core.ports.verifications import CatalogueStore
from app.logs import Logger
from app.settings import Settings
from app.speech.catalogue import load_books
from app.speech.inspection import Finding, inspect_clips, inspect_phonemes
from app.speech.library import CLIPS, ClipLibrary, SpokenName
from app.speech.ports import ClipFailed

PROMPTS: Final = Path(__file__).resolve().parents[2] / "voice_prompts"
_NAMES_AT_ONCE_S: Final = 2.0
_LOOK_S: Final = 2.0  # a look is one row that is read
_NO_VERSION: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceState:
    """How many clips the hotline should have, how many of them are not there, and whether they can be made here."""

    clips: int
    missing: int
    synthesises: bool


def clip_library(settings: Settings, *, jobs: int = 1) -> ClipLibrary:
    """Return the library, not yet loaded. Raises ``SettingsInvalid`` for prompts that cannot be read. Blocking."""
    return ClipLibrary(
        load_books(PROMPTS),
        folder=settings.data_dir / CLIPS,
        identities={voice: identity(voice) for voice in VOICES},
        synthesiser=Pyttsx3Synthesiser(jobs=jobs) if Pyttsx3Synthesiser.installed() else None,
    )


def all_cores() -> int:
    """Return how many clips a command may render at once; a service renders one, beside its calls."""
    return max(1, os.cpu_count() or 1)


def require_synthesiser() -> None:
    """Raise ``SpeechUnavailable`` where the extra is not installed."""
    if not Pyttsx3Synthesiser.installed():
        raise SpeechUnavailable


async def keep_clips(
    library: ClipLibrary, catalogues: CatalogueStore, log: Logger, *, look_s: float = _LOOK_S
) -> None:
    """Index what is there, make what is missing, and learn new names; runs until cancelled.

    It renders in a child process at low priority, so the service neither waits for it nor slows down. Whether the
    catalogue has changed is looked at every ``look_s`` seconds, so that the first answer about a new product names it.
    """
    known = await _learn_names(library, catalogues, _NO_VERSION)
    await asyncio.to_thread(library.load)
    while True:
        wanted = len(library.missing())
        try:
            failed = await library.render_missing()
        except SpeechUnavailable as error:
            log.error("clips_not_rendered", error=str(error))  # noqa: TRY400 - a traceback says nothing here
            failed = ()
        for failure in failed:
            log.error("clip_failed", key=failure.order.label, why=failure.why)
        if wanted:
            log.info("clips_rendered", wanted=wanted, missing=len(library.missing()))
        known = await _wait_for_names(library, catalogues, known, look_s)


async def _wait_for_names(library: ClipLibrary, catalogues: CatalogueStore, known: int, look_s: float) -> int:
    """Wait until an answer lacked a name or the catalogue has changed; return the version whose names are known."""
    while True:
        try:
            async with asyncio.timeout(look_s):
                await library.name_wanted()
        except TimeoutError:
            now = await _learn_names(library, catalogues, known)
            if now != known:
                return now
        else:
            # a brand and its product, or a first morning's brands, are one run
            await asyncio.sleep(_NAMES_AT_ONCE_S)
            return await _learn_names(library, catalogues, known)


async def _learn_names(library: ClipLibrary, catalogues: CatalogueStore, known: int) -> int:
    """Tell the library the catalogue's names unless its version is ``known``; return the version it knows then."""
    try:
        if await catalogues.version() == known:
            return known
        catalogue = await catalogues.load()
    except StoreUnavailable:  # who asks for an answer meanwhile is told, and so is the log
        return known
    library.set_names(spoken_names(catalogue))
    return catalogue.version


def spoken_names(catalogue: Catalogue) -> tuple[SpokenName, ...]:
    """Return the names that answers about the catalogue's labels can hold, and how each is said."""
    products = {batch.product.id: batch.product for batch in catalogue.batches}
    return tuple(name for product in products.values() for name in names_of(product, product.brand))


def names_of(*owners: Brand | Product) -> tuple[SpokenName, ...]:
    """Return the names of brands and products; the spoken form is that of the name, not of its English one."""
    return tuple(
        SpokenName(text=text, pronunciation=said)
        for owner in owners
        for text, said in ((owner.name, owner.spoken_name), (owner.name_en, ""))
        if text
    )


async def render_names(settings: Settings, names: Iterable[SpokenName]) -> tuple[ClipFailed, ...]:
    """Make the clips of names just entered, where this installation speaks at all; return those that failed."""
    if not (settings.data_dir / CLIPS).is_dir() or not Pyttsx3Synthesiser.installed():
        return ()
    library = clip_library(settings)
    library.set_names(names)
    await asyncio.to_thread(library.load)
    try:
        return await library.render_missing(names_only=True)
    except SpeechUnavailable:  # the service makes them once an answer holds them, and says why it cannot
        return ()


async def open_library(settings: Settings, *, jobs: int = 1) -> ClipLibrary:
    """Return the library loaded, with the names of the database where there is one."""
    library = clip_library(settings, jobs=jobs)
    path = settings.database_path
    if path is None or path.exists():
        async with open_workshop(settings) as workshop:
            registry = workshop.registry
            library.set_names(names_of(*await registry.brands(), *await registry.products()))
    await asyncio.to_thread(library.load)
    return library


async def examine_voice(settings: Settings) -> VoiceState:
    """Count the clips of this installation. Raises ``SettingsInvalid`` for prompts that cannot be read."""
    library = await open_library(settings)
    return VoiceState(
        clips=len({entry.order.path for entry in library.entries()}),
        missing=len(library.missing()),
        synthesises=Pyttsx3Synthesiser.installed(),
    )


async def inspect(library: ClipLibrary) -> tuple[Finding, ...]:
    """Return everything that is wrong with clips and prompts; how they sound only where there is a synthesiser."""
    found = await asyncio.to_thread(lambda: tuple(inspect_clips(library)))
    if Pyttsx3Synthesiser.installed():
        found = (*found, *await inspect_phonemes(library.books, Pyttsx3Synthesiser()))
    return found
