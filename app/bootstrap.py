"""The composition root: settings in, a running service or an open workshop out. The only module that knows everyone.

Parts start in the order in which they stand in :func:`serve` and stop in reverse. What `serve` alone needs is
imported there, so that short commands stay quick.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.identities import KeyedIdentities
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.engine import VerificationEngine
from app.core.errors import KeyFileInvalid, KeyMissing, StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import PRESET_LENGTHS, Entry, read_codes
from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.clock import Clock
from app.core.ports.verifications import CatalogueStore
from app.issuing.batches import BatchIssuing
from app.issuing.imports import CodeImport
from app.issuing.key_file import KeyFile
from app.issuing.keyring import Keyring
from app.issuing.life_cycle import LabelLifeCycle
from app.issuing.ports import LabelRegistry
from app.issuing.recogniser import CodebookRecogniser
from app.settings import Settings
from channels.base import ChannelContext, Ignored, InboundRequest
from channels.registry import load_channels
from channels.wording.reply import Reply, Wording

if TYPE_CHECKING:
    from app.adapters.storage.sqlite.examine import Examination


# -- preparing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What :func:`prepare` made: ``migrations`` applied (none where the database was there), and whether the keys."""

    migrations: tuple[str, ...]
    key_file: bool


async def prepare(settings: Settings) -> Preparation:
    """Make the data folder, keys and database where they are missing; what is there is left alone.

    Raises ``KeyMissing`` rather than make new keys beside a database whose labels need the old ones, and
    ``SchemaOutdated`` for a database of another release.
    """
    path, key_file = settings.database_path, KeyFile(settings.key_file)
    _make_folder(settings.data_dir)
    _make_folder(path.parent)
    if path.exists():
        await _refuse_new_keys_for_old_labels(path, key_file)
    made_keys = not key_file.exists()
    # keys first: a database without keys is one whose keys were lost
    ring = key_file.create(now=SystemClock().now()) if made_keys else key_file.load()
    applied = () if path.exists() else upgrade_sqlite(path)
    storage = await open_sqlite(path)
    try:
        await storage.registry.put_key_checks(ring.checks())
    finally:
        await storage.close()
    return Preparation(migrations=tuple(applied), key_file=made_keys)


async def _refuse_new_keys_for_old_labels(path: Path, key_file: KeyFile) -> None:
    storage = await open_sqlite(path)
    try:
        catalogue = await storage.catalogues.load()
    finally:
        await storage.close()
    if catalogue.key_checks:
        _require_fit(key_file.load(), catalogue, key_file)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"The folder {path} cannot be made ({error.strerror}). Set YANZHEN_DATA_DIR to one that can be written."
        ) from error


def upgrade_database(settings: Settings) -> Sequence[str]:
    """Apply every pending migration and return their names. Raises ``StoreUnavailable`` where there is no database."""
    _require_database(settings)
    return upgrade_sqlite(settings.database_path)


def examine_database(settings: Settings) -> Examination:
    """Return how the database file is set up and whether it is sound."""
    from app.adapters.storage.sqlite.examine import examine

    return examine(settings.database_path)


def present_moment() -> datetime:
    """Return the present moment by the service's clock."""
    return SystemClock().now()


# -- the workshop: issuing and life cycle ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What commands that issue and administer work with; it can be open while a server runs on the same data."""

    settings: Settings
    clock: Clock
    registry: LabelRegistry
    catalogues: CatalogueStore
    storage: SqliteStorage
    key_file: KeyFile

    async def keyring(self) -> Keyring:
        """Return the keys. Raises ``KeyMissing`` or ``KeyFileInvalid`` where they do not fit the database."""
        ring = self.key_file.load()
        _require_fit(ring, await self.catalogues.load(), self.key_file)
        return ring

    @property
    def url_prefix(self) -> str:
        """What stands before the digits in the QR codes of batches issued now."""
        return f"{self.settings.public_url}/q/"

    async def issuing(self) -> BatchIssuing:
        """Return the issuing of batches. Raises as :meth:`keyring`."""
        await self.keyring()
        return BatchIssuing(self.registry, load_keys=self.key_file.load, clock=self.clock)

    def life_cycle(self) -> LabelLifeCycle:
        """Return the life cycle of labels; only lists of codes need the keys."""
        recogniser = CodebookRecogniser(self.key_file.load)
        return LabelLifeCycle(
            self.registry, catalogues=self.catalogues, recogniser=recogniser, clock=self.clock
        )

    def code_import(self) -> CodeImport:
        """Return the import of codes that another system made."""
        recogniser = CodebookRecogniser(self.key_file.load)
        return CodeImport(self.registry, catalogues=self.catalogues, recogniser=recogniser, clock=self.clock)


@asynccontextmanager
async def open_workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """Open the database for issuing. Raises ``StoreUnavailable`` or ``SchemaOutdated`` with the remedy."""
    _require_database(settings)
    storage = await open_sqlite(settings.database_path)
    try:
        yield Workshop(
            settings=settings,
            clock=SystemClock(),
            registry=storage.registry,
            catalogues=storage.catalogues,
            storage=storage,
            key_file=KeyFile(settings.key_file),
        )
    finally:
        await storage.close()


def _require_database(settings: Settings) -> None:
    if not settings.database_path.exists():
        raise StoreUnavailable(
            f"There is no database at {settings.database_path}. Run `yanzhen init` first, or set YANZHEN_DATA_DIR to "
            "the folder it is in."
        )


def _require_fit(ring: Keyring, catalogue: Catalogue, key_file: KeyFile) -> None:
    own = ring.checks()
    missing = sorted(name for name in catalogue.key_checks if name not in own)
    if missing:
        raise KeyMissing(
            f"The key file {key_file.path} lacks {', '.join(missing)}, which this database needs. Restore the newest "
            "backup of the key file."
        )
    if not ring.fits(catalogue.key_checks):
        raise KeyFileInvalid(
            f"The key file {key_file.path} belongs to another database. Restore the right one from its backup, or set "
            "YANZHEN_KEY_FILE."
        )


# -- one answer: the command line's own channel ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OneAnswer:
    """A reply, the same as the API would send it (JSON), and what failed where there is no verdict."""

    reply: Reply
    document: bytes
    failure: str = ""


class _Failures:
    """The ``Journal`` of a short command: keeps what failed, writes nothing."""

    def __init__(self) -> None:
        self.last = ""

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        """Keep nothing: the answer is printed."""

    def refused(self, channel: str, reason: str) -> None:
        """Keep nothing: nobody refuses here."""

    def committed(self, drafts: int, took_ms: float) -> None:
        """Keep nothing: there are no metrics here."""

    def failed(self, event: str, error: BaseException) -> None:
        """Keep the sentence."""
        self.last = str(error)


async def verify_once(settings: Settings, text: str, *, entry: Entry, locale: str) -> OneAnswer:
    """Answer one code in this process on the service's database; recorded, channel ``cli``, a caller without token."""
    _require_database(settings)
    clock, failures = SystemClock(), _Failures()
    storage = await open_sqlite(settings.database_path)
    recogniser = CodebookRecogniser(KeyFile(settings.key_file).load)
    engine = VerificationEngine(
        recogniser=recogniser,
        store=storage.verifications,
        catalogues=storage.catalogues,
        cache=MemoryCache(clock, entries=1),
        clock=clock,
        journal=failures,
    )
    try:
        await engine.start()
        reading = read_codes(text, entry=entry, lengths=engine.catalogue.lengths)
        verdict = await engine.verify(
            VerificationRequest(
                code=reading.code,
                other_readings=reading.others,
                caller=Caller(kind=CallerKind.OPERATOR),
                channel="cli",
                locale=locale,
                received_at=clock.now(),
            )
        )
        reply = Wording.load(settings.timezone).reply(verdict, locale, more_codes=reading.more_codes)
        return OneAnswer(
            reply=reply,
            document=_api_document(settings, reply, clock),
            failure=failures.last or str(recogniser.failure or ""),
        )
    finally:
        await engine.close()
        await storage.close()


def _api_document(settings: Settings, reply: Reply, clock: Clock) -> bytes:
    context = ChannelContext(
        wording=Wording.load(settings.timezone),
        identities=_passing_identities(),
        clock=clock,
        public_url=settings.public_url,
        timezone=settings.timezone,
        lengths=lambda: PRESET_LENGTHS,
    )
    (api,) = load_channels(("api",), context)
    inbound = InboundRequest(method="POST", route="", path="", received_at=clock.now())
    return api.encode(inbound, Ignored(why="asked on the command line"), reply).body


def _passing_identities() -> KeyedIdentities:
    """Return identities under keys that nobody keeps, for a process that has no keys or needs none."""
    return KeyedIdentities(caller_key=token_bytes(32), result_key=token_bytes(32))
