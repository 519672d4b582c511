"""Twilio Voice: one signed webhook a turn, answered in TwiML; clips are fetched by their unguessable names."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from app.core.errors import SettingsInvalid
from app.speech.spoken import Pause, Phrase
from channels.abilities import Listener
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind, Route
from channels.ivr import phrases
from channels.ivr.actions import Action, HangUp, Speak
from channels.ivr.dialect import Came
from channels.ivr.settings import IvrSettings
from channels.ivr.twilio.signing import Signatures
from channels.ivr.twilio.twiml import Twiml
from channels.ivr.twilio.webhooks import CALLS, CLIPS, ROUTES, STATUS, is_broken, read_request
from channels.signatures import SIGNATURE_HEADER, parse_form
from channels.wording.locales import LOCALES, resolve_locale
from channels.wording.spoken import spoken_forms
from channels.wording.variants import Variant

NAME: Final = "twilio"
_TWIML: Final = "text/xml; charset=utf-8"
_REFUSALS: Final = {
    RefusalKind.NOT_AUTHENTIC: (HTTPStatus.FORBIDDEN, "The signature is missing or does not match."),
    RefusalKind.MALFORMED: (HTTPStatus.BAD_REQUEST, "This is not what comes of a call here."),
    RefusalKind.TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large."),
    RefusalKind.NOT_ALLOWED: (HTTPStatus.METHOD_NOT_ALLOWED, "Webhooks are posted, clips are fetched."),
    RefusalKind.UNKNOWN_ADDRESS: (HTTPStatus.NOT_FOUND, "There is nothing at this address."),
}


class TwilioVoiceDialect:
    """Reads what Twilio posts of a call and says what comes next; channels/ivr/twilio/README.md describes both.

    Raises ``SettingsInvalid`` without an auth token, or for an operator that is no telephone number.
    """

    name = NAME

    def __init__(self, settings: IvrSettings, public_url: str) -> None:
        if settings.twilio is None:
            raise SettingsInvalid("ivr.twilio: set its auth_tokens.")
        self._signatures = Signatures(settings.twilio.auth_tokens, public_url)
        self._twiml = Twiml(settings.clips, public_url, settings.operator)
        self._sorry = {locale: _sorry(locale) for locale in LOCALES}

    def routes(self) -> tuple[Route, ...]:
        """Return the addresses of a call's beginning, turns, recordings, transfers and end, and that of clips."""
        return ROUTES

    def authenticate(self, request: InboundRequest) -> None:
        """Refuse what our account did not sign for this very address, clips aside. Raises ``NotAuthentic``."""
        if request.route != CLIPS.path:
            signature = request.headers.get(SIGNATURE_HEADER, "")
            self._signatures.prove(request.path, request.body, signature)

    def decode(self, request: InboundRequest) -> Came:
        """Return what came. Raises ``Undecodable``."""
        return read_request(request)

    def encode(self, request: InboundRequest, actions: tuple[Action, ...], token: str) -> OutboundResponse:
        """Return TwiML for ``actions``; the token stands in the address of the next turn."""
        ours = parse_form(request.body).first("To")
        return _document(self._twiml.write(actions, token, ours=ours))

    def acknowledge(self, request: InboundRequest) -> OutboundResponse:
        """Return nothing for the end of a call, last words for one that broke, and a hang-up after a transfer."""
        if request.route == STATUS.path:
            return OutboundResponse(status=HTTPStatus.NO_CONTENT)
        if request.route == CALLS.path and is_broken(parse_form(request.body)):
            return self._apology("")
        return _document(self._twiml.write((HangUp(),), ""))

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return a short plain text for what is no call of ours.

        Where the call is and we failed it, 200 and last words: for an error Twilio would say in English that there was
        an application error.
        """
        if refusal.kind not in _REFUSALS:
            return self._apology(refusal.locale)
        status, sentence = _REFUSALS[refusal.kind]
        return OutboundResponse(status=status, body=sentence.encode())

    def listeners(self) -> tuple[Listener, ...]:
        """Return none: Twilio calls us."""
        return ()

    def _apology(self, locale: str) -> OutboundResponse:
        return _document(self._twiml.write((self._sorry[resolve_locale(locale)], HangUp()), ""))


def _document(twiml: bytes) -> OutboundResponse:
    return OutboundResponse(status=HTTPStatus.OK, body=twiml, content_type=_TWIML)


def _sorry(locale: str) -> Speak:
    """Return the words for an answer that cannot be given, which hold no facts, and the goodbye."""
    said = spoken_forms().answers[Variant.UNAVAILABLE]
    spoken = tuple(Pause(ms=item) if isinstance(item, int) else Phrase(key=item) for item in said)
    return Speak(spoken=(*spoken, phrases.GOODBYE), locale=locale)
