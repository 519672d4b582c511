"""A switch by FastAGI as a dialect of calls: what its listener brings becomes moments, what comes next a script."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.call import CallEnd
from app.speech.library import switch_name
from app.speech.spoken import Pause, Phrase
from channels.abilities import Listener
from channels.base import Clock, InboundRequest, OutboundResponse, Refusal, RefusalKind, Route
from channels.ivr import phrases
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer
from channels.ivr.dialect import CallEnded, CallMoment, CallRemark, Came
from channels.ivr.events import Event, Keys, Recorded, Silence, Started, TransferFailed
from channels.ivr.fastagi.call import ENDS, PATH
from channels.ivr.fastagi.pace import Pace
from channels.ivr.fastagi.script import (
    EndCall,
    GatherKeys,
    PutThrough,
    RecordReport,
    Script,
    Wait,
    write_script,
)
from channels.ivr.fastagi.server import FastAgiListener
from channels.ivr.settings import IvrSettings
from channels.wording.locales import resolve_locale
from channels.wording.spoken import spoken_forms
from channels.wording.variants import Variant

_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
_MARKS: Final = re.compile(r"[\s\-().]")
_WHY: Final = re.compile(r"[a-z_]{1,40}")
_LONGEST_PAUSE_MS: Final = 10_000
_CALL: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_KEYS: Final = re.compile(r"[0-9*]{0,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_OUR_FAILURE: Final = frozenset({RefusalKind.UNAVAILABLE, RefusalKind.INTERNAL})
_EVENTS: Final[Mapping[str, Event]] = {
    "started": Started(),
    "silence": Silence(),
    "recorded": Recorded(),
    "transfer_failed": TransferFailed(),
}


class FastAgiDialect:
    """One listener for switches. Raises ``SettingsInvalid`` for options that cannot be used."""

    name: str = PATH

    def __init__(
        self, settings: IvrSettings, *, clock: Clock, pace: Pace | None = None, token: str | None = None
    ) -> None:
        options = settings.fastagi
        if options is None:
            raise SettingsInvalid("ivr.fastagi: set listen, for example 127.0.0.1:4573.")
        if settings.record_reports and not options.recordings:
            raise SettingsInvalid(
                "ivr.fastagi.recordings: name the folder that the switch writes reports to."
            )
        self._operator = _MARKS.sub("", settings.operator)
        if self._operator and not _NUMBER.fullmatch(self._operator):
            raise SettingsInvalid("ivr.operator: the dialplan needs a telephone number, or nothing.")
        self._clips = settings.clips
        self._token = token or secrets.token_hex(32)
        self._listener = FastAgiListener(options, clock=clock, token=self._token, pace=pace)

    def routes(self) -> tuple[Route, ...]:
        """Return nothing: a switch talks to the listener."""
        return ()

    def listeners(self) -> tuple[Listener, ...]:
        """Return the listener."""
        return (self._listener,)

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the request was made by our own listener in this process."""
        shown = request.headers.get("link", "")
        if not compare_digest(shown.encode("utf-8", "replace"), self._token.encode()):
            raise NotAuthentic

    def decode(self, request: InboundRequest) -> Came:
        """Return the moment, the end, or a connection that never became a call. Raises ``Undecodable``."""
        headers = request.headers
        kind, why = headers.get("event", ""), headers.get("why", "")
        if kind == "refused" and _WHY.fullmatch(why):
            return CallRemark(why=why)
        call_id = headers.get("call", "")
        try:
            body = request.body.decode("ascii")
        except UnicodeDecodeError as broken:
            raise Undecodable from broken
        if not _CALL.fullmatch(call_id):
            raise Undecodable
        if kind in ENDS:
            lasted = headers.get("seconds", "")
            seconds = int(lasted) if _SECONDS.fullmatch(lasted) else None
            return CallEnded(call_id=call_id, how=CallEnd(kind), seconds=seconds)
        event = _keys(headers.get("ended", ""), body) if kind == "keys" else _EVENTS.get(kind)
        if event is None:
            raise Undecodable
        return CallMoment(
            call_id=call_id,
            event=event,
            caller=headers.get("caller", ""),
            token=headers.get("state", ""),
            recording=body if kind == "recorded" else "",
            language=headers.get("language", ""),
        )

    def encode(self, request: InboundRequest, actions: tuple[Action, ...], token: str) -> OutboundResponse:
        """Return the script for the listener; the token stands in it and comes back with the next turn."""
        return self._answer(actions, call_id=request.headers.get("call", ""), token=token)

    def acknowledge(self, request: InboundRequest) -> OutboundResponse:
        """Return the response that nobody reads."""
        return OutboundResponse(status=HTTPStatus.OK)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return last words where we failed the caller; a status for what is no call of ours, which just ends."""
        if refusal.kind not in _OUR_FAILURE:
            forged = refusal.kind is RefusalKind.NOT_AUTHENTIC
            status = HTTPStatus.FORBIDDEN if forged else HTTPStatus.BAD_REQUEST
            return OutboundResponse(status=status, body=refusal.kind.value.encode())
        return self._answer((_sorry(resolve_locale(refusal.locale)), HangUp()), call_id="", token="")

    def _answer(self, actions: tuple[Action, ...], *, call_id: str, token: str) -> OutboundResponse:
        say: list[str | int] = []
        lengths: dict[str, int] = {}
        deaf = 0
        for action in actions[:-1]:
            if isinstance(action, Speak):
                self._speak(action, say, lengths)
                deaf = deaf if action.interruptible else len(say)
        wait = self._wait(actions[-1], call_id, token)
        script = Script(say=tuple(say), deaf=deaf, lengths_ms=lengths, wait=wait, state=token)
        return OutboundResponse(
            status=HTTPStatus.OK, body=write_script(script), content_type="application/json"
        )

    def _speak(self, speech: Speak, say: list[str | int], lengths: dict[str, int]) -> None:
        """Add the sounds of one speech. A name without a clip is left out, and the pause before it."""
        for item in speech.spoken:
            if isinstance(item, Pause):
                say.append(max(1, min(item.ms, _LONGEST_PAUSE_MS)))
                continue
            clip = self._clips.find(item, speech.locale)
            if clip is not None:
                sound = switch_name(item, speech.locale, clip)
                say.append(sound)
                if clip.duration_ms > 0:
                    lengths[sound] = clip.duration_ms
            elif isinstance(item, Phrase):
                # the switch may have it all the same; if not, the listener says that prompts are missing
                say.append(f"{speech.locale}/{item.key.replace('.', '-')}")
            elif say and isinstance(say[-1], int):
                say.pop()

    def _wait(self, action: Action, call_id: str, token: str) -> Wait:
        match action:
            case Gather():
                return GatherKeys(
                    max_digits=action.max_digits,
                    first_digit_s=action.first_digit_s,
                    between_s=action.between_s,
                )
            case Record():
                mark = hashlib.sha256(token.encode()).hexdigest()[:8]  # a call may hold several reports
                return RecordReport(max_s=action.max_s, name=f"{call_id}-{mark}")
            case Transfer():
                return PutThrough(number=self._operator if action.to == "operator" else action.number)
            case HangUp():
                return EndCall()
            case _:
                raise TypeError("The last action of a step is what to wait for.")


def _sorry(locale: str) -> Speak:
    """Return the words for an answer that cannot be given, which hold no facts, and the goodbye."""
    said = spoken_forms().answers[Variant.UNAVAILABLE]
    spoken = tuple(Pause(ms=item) if isinstance(item, int) else Phrase(key=item) for item in said)
    return Speak(spoken=(*spoken, phrases.GOODBYE), locale=locale)


def _keys(ended: str, digits: str) -> Event | None:
    match ended:
        case "hash" | "length" | "pause" if _KEYS.fullmatch(digits):
            return Keys(digits=digits, ended=ended)
        case _:
            return None
