"""One answer in this process, without a server: the command line's own channel."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.adapters.identities import KeyedIdentities
from app.adapters.places import PhoneNumberPlaces
from app.bootstrap.requirements import require_database, require_fit
from app.bootstrap.storage import open_storage
from app.bootstrap.texting import load_wording
from app.core.engine import VerificationEngine
from app.core.errors import KeyFileInvalid, KeyMissing
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import PRESET_LENGTHS, Entry, read_codes
from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.clock import Clock
from app.issuing.key_file import KeyFile
from app.issuing.recogniser import CodebookRecogniser
from app.settings import Settings
from channels.base import ChannelContext, InboundRequest
from channels.registry import load_channels
from channels.turns import Ignored
from channels.wording.reply import Reply


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

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        """Keep nothing: there are no metrics here."""

    def failed(self, event: str, error: BaseException) -> None:
        """Keep the sentence."""
        self.last = str(error)


async def verify_once(settings: Settings, text: str, *, entry: Entry, locale: str) -> OneAnswer:
    """Answer one code in this process on the service's database; recorded, channel ``cli``, a caller without token."""
    require_database(settings)
    clock, failures = SystemClock(), _Failures()
    storage = await open_storage(settings)
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
        reply = load_wording(settings).reply(verdict, locale, more_codes=reading.more_codes)
        return OneAnswer(
            reply=reply,
            document=_api_document(settings, reply, clock),
            failure=failures.last or _key_trouble(KeyFile(settings.key_file), engine.catalogue),
        )
    finally:
        await engine.close()
        await storage.close()


def _key_trouble(key_file: KeyFile, catalogue: Catalogue) -> str:
    """Return what is wrong with the keys and what to do, or nothing."""
    try:
        require_fit(key_file.load(), catalogue, key_file)
    except (KeyMissing, KeyFileInvalid) as error:
        return str(error)
    return ""


def _api_document(settings: Settings, reply: Reply, clock: Clock) -> bytes:
    context = ChannelContext(
        wording=load_wording(settings),
        identities=KeyedIdentities(
            caller_key=token_bytes(32), result_key=token_bytes(32)
        ),  # seals nothing here
        clock=clock,
        public_url=settings.public_url,
        timezone=settings.timezone,
        lengths=lambda: PRESET_LENGTHS,
        issued_lengths=lambda: PRESET_LENGTHS,
        places=PhoneNumberPlaces(),
        calls=AiohttpCalls(),
        cache=MemoryCache(clock),
    )
    (api,) = load_channels(("api",), context)
    inbound = InboundRequest(method="POST", route="", path="", received_at=clock.now())
    return api.encode(inbound, Ignored(why="asked on the command line"), reply).body
