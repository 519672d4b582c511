"""The hotline as a channel: what a dialect brings moves the dialogue one step. One adapter a provider, all ``ivr``.

The state comes back with every turn, sealed for its call, so any machine can answer; nothing is remembered here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.core.errors import Undecodable
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verification import Record, VerificationRequest
from channels.abilities import Listener
from channels.base import (
    ChannelContext,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    Route,
    Spend,
)
from channels.ivr.actions import Action, Transfer, Verify
from channels.ivr.dialect import CallDialect, CallEnded, CallMoment, CallRemark, ClipWanted
from channels.ivr.dialogue import step
from channels.ivr.events import Answered, HungUp, Recorded, Started, TransferFailed
from channels.ivr.providers import make_dialects
from channels.ivr.rules import Rules
from channels.ivr.settings import IvrSettings
from channels.ivr.states import State
from channels.turns import CallNoted, CodeSubmitted, Continue, Ignored, ReportMade, ThrottleSubject, Turn
from channels.wording.locales import DEFAULT_LOCALE, find_locale, reads_chinese
from channels.wording.reply import Reply

_CLIP: Final = "clip"
_TRY_IT: Final = '{yanzhen} simulate call --keys "{code}#"'
_CALL_IT: Final = "call through your switch and press {code}#"  # what is simulated is a provider's webhooks
_TRANSFERS_KEPT: Final = 4_096  # a provider delivers a turn again within seconds
TRANSFERS: Final = "transfer"  # what is spent, by the name of the caps


@dataclass(frozen=True, slots=True)
class _Turned:
    """One step taken: where the call stands, what to do, and what is to be verified first."""

    state: State
    actions: tuple[Action, ...]
    verify: Verify | None


class IvrAdapter:
    """One provider's calls. See ``channels/ivr/README.md``."""

    def __init__(self, dialect: CallDialect, context: ChannelContext, settings: IvrSettings) -> None:
        self.manifest = ChannelManifest(
            name="ivr",
            deadline_ms=5_000,  # of the 6 s that a turn may take
            how_to_ask=_TRY_IT if dialect.routes() else _CALL_IT,
            listens=bool(dialect.listeners()),
        )
        self._dialect = dialect
        self._identities = context.identities
        self._places = context.places
        self._lengths = context.lengths
        self._issued_lengths = context.issued_lengths
        self._wording = context.wording
        self._settings = settings
        self._transfers: OrderedDict[tuple[str, str], bool] = OrderedDict()

    def routes(self) -> tuple[Route, ...]:
        """Return the provider's addresses; none for a switch that is listened to."""
        return self._dialect.routes()

    def listeners(self) -> tuple[Listener, ...]:
        """Return what listens for a switch."""
        return self._dialect.listeners()

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the provider proves itself."""
        self._dialect.authenticate(request)

    def decode(self, request: InboundRequest) -> Turn:
        """Move the dialogue by what came. Raises ``Undecodable``, also for a state that is not of this call."""
        came = self._dialect.decode(request)
        if isinstance(came, ClipWanted):
            return Continue(state=_CLIP)
        if isinstance(came, CallRemark):
            return Ignored(why=f"call_{came.why}")
        account = self._dialect.name
        if isinstance(came, CallEnded):
            return CallNoted(
                account=account,
                call_id=came.call_id,
                how=came.how,
                seconds=came.seconds,
                at=request.received_at,
            )
        caller, number = self._caller(came)
        turned = self._turn(came, number)
        locale = turned.state.locale
        if isinstance(came.event, Started):
            return CallNoted(account=account, call_id=came.call_id, at=request.received_at, locale=locale)
        if isinstance(came.event, Recorded):
            return ReportMade(
                account=account,
                recording=came.recording,
                message_id=_message_id(came.call_id, turned.state.entries, turned.state.digits),
                reporter=caller,
                received_at=request.received_at,
                locale=locale,
            )
        if turned.verify is None:
            return Continue(state=turned.state.name.value, locale=locale)
        return CodeSubmitted(
            request=VerificationRequest(
                code=Code.parse(turned.verify.digits, lengths=self._lengths()),
                caller=caller,
                channel=self.manifest.name,
                account=account,
                message_id=_message_id(came.call_id, turned.verify.entry_number, turned.verify.digits),
                locale=locale,
                received_at=request.received_at,
                place=self._places.locate(number),
            ),
            subjects=(_subject(caller, account),),
        )

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return what the provider is to say and to wait for. The step is taken anew: it is pure, so it is the same."""
        came = self._dialect.decode(request)
        if isinstance(came, ClipWanted):
            return self._clip(came.sha)
        if isinstance(came, CallEnded | CallRemark) or isinstance(came.event, HungUp):
            return self._dialect.acknowledge(request)
        turned = self._turn(came, self._caller(came)[1])
        state, actions = turned.state, turned.actions
        if turned.verify is not None:
            if reply is None:
                raise TypeError("A submitted code has a reply.")
            answered = Answered(verdict=reply.verdict, spoken=reply.spoken)
            state, then = step(state, answered, self._rules())
            actions = (*(action for action in actions if not isinstance(action, Verify)), *then)
        if any(isinstance(action, Transfer) for action in actions) and not self._may_transfer(came):
            state, then = step(state, TransferFailed(), self._rules())
            actions = (*(action for action in actions if not isinstance(action, Transfer)), *then)
        token = self._identities.seal_state(state.to_bytes(), about=self._about(came.call_id))
        return self._dialect.encode(request, actions, token)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the provider's form of a refusal."""
        return self._dialect.refuse(refusal)

    def _turn(self, came: CallMoment, number: str) -> _Turned:
        state = State()
        if came.token:
            plain = self._identities.open_state(came.token, about=self._about(came.call_id))
            if plain is None:
                raise Undecodable("This is not the state of this call.")
            state = State.from_bytes(plain)
        event = came.event
        if isinstance(event, Started):
            by_number = DEFAULT_LOCALE if reads_chinese(number) else "en"
            event = Started(locale=find_locale(came.language) or by_number)
        state, actions = step(state, event, self._rules())
        verify = next((action for action in actions if isinstance(action, Verify)), None)
        return _Turned(state, actions, verify)

    def _may_transfer(self, came: CallMoment) -> bool:
        """Tell whether the day's caps let this caller be put through; a turn that comes twice is counted once."""
        turn = (came.call_id, came.token)
        allowed = self._transfers.get(turn)
        if allowed is None:
            caller = self._caller(came)[0]
            allowed = self._settings.spending.spend(TRANSFERS, caller.token or b"") is Spend.ALLOWED
            self._transfers[turn] = allowed
            if len(self._transfers) > _TRANSFERS_KEPT:
                self._transfers.popitem(last=False)
        return allowed

    def _rules(self) -> Rules:
        settings = self._settings
        return Rules(
            wording=self._wording,
            lengths=self._issued_lengths(),  # an entry ends at the longest that a label can have
            operator=bool(settings.operator),
            recording=settings.record_reports,
            brand_lines=settings.brand_lines,
        )

    def _caller(self, came: CallMoment) -> tuple[Caller, str]:
        """Return the caller and the number in one spelling; nobody, and "", where it is withheld."""
        number = self._places.normalise(came.caller) if came.caller else ""
        return self._identities.caller(CallerKind.PHONE, number), number

    def _about(self, call_id: str) -> str:
        return f"{self._dialect.name}/{call_id}"

    def _clip(self, sha: str) -> OutboundResponse:
        sound = self._settings.clips.sound(sha)
        if sound is None:
            return OutboundResponse(status=404, body=b"There is no such clip.")
        headers = (("Cache-Control", "public, max-age=31536000, immutable"),)
        return OutboundResponse(status=200, body=sound, content_type="audio/wav", headers=headers)


def _message_id(call_id: str, entry: int, digits: str) -> str:
    """Return the id of one entry of a call; with its digits, so that no other code can meet its answer."""
    return f"{call_id}/{entry}/{digits}"


def _subject(caller: Caller, account: str) -> ThrottleSubject:
    """Return whom the limits count: the number, or all withheld numbers together."""
    if caller.token is None:
        return ThrottleSubject("withheld", account)
    return ThrottleSubject(CallerKind.PHONE.value, caller.token)


def make_adapters(context: ChannelContext) -> tuple[IvrAdapter, ...]:
    """Return an adapter for each provider that is set up; the registry names this factory."""
    settings = context.settings.get("ivr")
    if not isinstance(settings, IvrSettings):
        return ()
    return tuple(IvrAdapter(dialect, context, settings) for dialect in make_dialects(context, settings))
