"""What a request turns out to be; the one pipeline tells them apart, and only codes are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.core.model.call import CallEnd
from app.core.model.caller import Caller
from app.core.model.reply import Delivery, ReplyAddress, ReplyId
from app.core.model.value import value
from app.core.model.verdict import VerificationId
from app.core.model.verification import VerificationRequest
from app.core.ports.throttle import ThrottleSubject as ThrottleSubject  # noqa: PLC0414 - for the channels


@value
class Envelope:
    """A message as such, for channels that talk by messages: who wrote it and how a reply gets back.

    ``alias_id`` is a second id of the same message; a retry may bring either.

    ``address`` is None where no reply can be pushed. Without ``in_band`` the provider takes no text in its response,
    so every reply is pushed. ``quiet``: the provider has answered by itself, say nothing.
    """

    caller: Caller
    account: str
    message_id: str
    alias_id: str | None = None
    address: ReplyAddress | None = None
    in_band: bool = True
    quiet: bool = False
    subjects: tuple[ThrottleSubject, ...] = ()
    received_at: datetime


@value
class CodeSubmitted:
    """Somebody asks about a code: the only turn that reaches the engine. ``more_codes``: a second one stood there.

    ``subjects`` are whom the limits count this query for; ``chosen_locale`` is the language asked for in the same text.
    Where they refuse, each of ``vouchers`` is tried in turn: subjects that count instead, because the caller brought
    something for it that the channel has proved, such as work or a wait.
    """

    request: VerificationRequest
    subjects: tuple[ThrottleSubject, ...] = ()
    vouchers: tuple[tuple[ThrottleSubject, ...], ...] = ()
    more_codes: bool = False
    chosen_locale: str = ""
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGiven:
    """Anything else the caller wants: open a page, help, language, opt-out, welcome, place, report.

    In an envelope that is ``quiet`` it is obeyed without a word: the caller did not write anything.
    """

    kind: str
    argument: str = ""
    locale: str = "zh-CN"
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOpened:
    """A result page is read: never a query. ``verification_id`` is None where the address is not one of ours."""

    verification_id: VerificationId | None
    reader: Caller
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOpened:
    """A caller reads their own checks on ``channel``, the newest first, ``limit`` at most. Never a query."""

    reader: Caller
    channel: str
    limit: int = 20
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallWatched:
    """A caller wants to be told, once, if the batch of a label they checked is recalled. ``address`` is where to."""

    verification_id: VerificationId | None
    watcher: Caller
    address: ReplyAddress
    received_at: datetime
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Before it can answer, the channel must ask its platform: what ``argument`` stands for, of the sort ``kind``.

    Counted against the limits for ``subjects``, because each costs a call to somebody else's server.
    """

    kind: str
    argument: str
    account: str
    subjects: tuple[ThrottleSubject, ...] = ()
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """A turn of a dialogue that does not yet hold a code; the adapter answers from the turn alone."""

    state: str
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The provider proves that the address is ours; answered without the engine."""

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """The provider tells what became of a reply we pushed: by its own id, by ours, or by both."""

    sender: str
    provider_id: str = ""
    reply_id: ReplyId | None = None
    state: Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing to answer; ``why`` goes to the log."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMade:
    """Somebody told of something suspicious: ``recording`` names what they said, or ``words`` is what they wrote.

    It is about the query ``message_id``, or about the recorded verification where that is known.
    """

    account: str
    recording: str = ""
    words: str = ""
    message_id: str = ""
    verification_id: VerificationId | None = None
    reporter: Caller | None = None
    received_at: datetime
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNoted:
    """A call begins (``how`` None; the adapter answers from the request alone) or is over.

    ``seconds`` is how long it lasted, None where the provider does not tell.
    """

    account: str
    call_id: str
    how: CallEnd | None = None
    seconds: int | None = None
    at: datetime
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """Several turns in one request. Each is carried by itself; if one cannot be kept, the whole is asked for again."""

    turns: tuple[CodeSubmitted | CommandGiven | DeliveryReport | Ignored, ...]


Turn = (
    CodeSubmitted
    | CommandGiven
    | RecordOpened
    | HistoryOpened
    | RecallWatched
    | Errand
    | Continue
    | Handshake
    | DeliveryReport
    | Ignored
    | Several
    | ReportMade
    | CallNoted
)
