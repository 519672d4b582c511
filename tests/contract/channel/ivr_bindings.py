"""How calls look from each telephony provider, for the contract suite of channels.

What is asked are keys at the state in which a call waits for a code; what is shown are the phrases it plays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from app.adapters.identities import KeyedIdentities
from app.issuing.keyring import SecretName
from app.speech.phrasing import waiting
from app.speech.spoken import Pause, Phrase
from channels.base import ChannelAdapter, ChannelContext, InboundRequest
from channels.ivr.adapter import IvrAdapter
from channels.ivr.settings import IvrSettings, TwilioVoiceOptions
from channels.ivr.states import State, StateName
from channels.ivr.twilio.dialect import TwilioVoiceDialect
from channels.ivr.twilio.simulate import signed_webhook
from channels.ivr.twilio.webhooks import CALLS, CLIPS, DIALLED, STATUS, TURNS
from channels.turns import Turn
from channels.wording.reply import Reply
from tests.contract.channel.suite import Traits
from tests.fakes.clock import START
from tests.fakes.fake_clips import FakeClips, clip_sha, words_of
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.sample_service import PUBLIC_URL, fixed_keyring

NUMBER = "+8613912345678"
OURS = "+8610690000001"
TOKEN = "0123456789abcdef0123456789abcdef"
LENGTH = 20
_PLAYED = re.compile(r"/channels/ivr/clips/([0-9a-f]+)\.wav")


def call_sid(message: str) -> str:
    """Return the id of the call that stands for a message."""
    return "CA" + sha256(message.encode()).hexdigest()[:32]


def sealed(state: State, about: str) -> str:
    """Return a state as it travels, under the keys of the sample service."""
    keyring = fixed_keyring()
    identities = KeyedIdentities(
        caller_key=keyring.secret(SecretName.CALLER).key, result_key=keyring.secret(SecretName.RESULT).key
    )
    return identities.seal_state(state.to_bytes(), about=about)


def played(words: str, locale: str) -> str:
    """Return the verb that plays a key or a name."""
    return f"<Play>{PUBLIC_URL}/channels/ivr/clips/{clip_sha(words, locale)}.wav</Play>"


class TwilioVoiceBinding:
    """Signed webhooks of one call; the answer is TwiML that plays clips."""

    secrets: tuple[str, ...] = (NUMBER, NUMBER.removeprefix("+86"), TOKEN)
    traits = Traits(
        telephone=True,
        apology=played("verdict.unavailable", "en"),
        in_two_minutes="".join(
            played(item.key, "en") for item in waiting(90, "en") if isinstance(item, Phrase)
        ),
    )
    options = TwilioVoiceOptions(auth_tokens=(TOKEN, "f" * 32))

    def __init__(self) -> None:
        self._clips = FakeClips()

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        settings = IvrSettings(
            spending=FakeSpending(), clips=self._clips, twilio=self.options, operator="+8675588880000"
        )
        return IvrAdapter(TwilioVoiceDialect(settings, context.public_url), context, settings)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._keyed(text, self._token(message, locale), message=message)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        token = self._token("message-1", "zh-CN")
        unsigned = {name: value for name, value in good.headers.items() if name != "x-twilio-signature"}
        return (
            self._keyed(text, token, options=TwilioVoiceOptions(auth_tokens=("0" * 32,))),
            self._keyed(text, token, public_url="https://elsewhere.example"),
            replace(good, headers=unsigned),
            replace(good, headers={**good.headers, "x-twilio-signature": ""}),
            replace(good, body=good.body + b"&Digits=1"),
            replace(good, path=good.path + "/"),
            replace(good, path=CALLS.path, route=CALLS.path, parts={}),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        token = self._token("message-1", "zh-CN")
        return (
            self._keyed(text, token, fields={"CallSid": "not-an-id"}),
            self._keyed(text, token, fields={"CallSid": call_sid("message-1").upper()}),
            self._keyed(text, self._token("another call", "zh-CN")),
            self._keyed(text, token[:-1] + ("A" if token[-1] != "A" else "B")),
            self._keyed(text, token, fields={"Digits": f"{text}x"}),
            replace(good, headers={**good.headers, "content-type": "application/json"}),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        token = self._token("message-1", "zh-CN")
        clip = InboundRequest(
            method="GET",
            route=CLIPS.path,
            path=CLIPS.path.format(sha="0" * 32),
            parts={"sha": "0" * 32},
            query={"Digits": text},
            received_at=START,
        )
        ended = {"Digits": text, "CallStatus": "completed", "DialCallStatus": "completed"}
        return (
            self._posted(CALLS.path, CALLS.path, {}, {"Digits": text}),
            self._posted(STATUS.path, STATUS.path, {}, ended),
            self._posted(DIALLED.path, DIALLED.path.format(state=token), {"state": token}, ended),
            clip,
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        answer = adapter.encode(self.ask("1" * LENGTH, locale=reply.locale), turn, reply)
        return " ".join(self._clips.words(sha) for sha in _PLAYED.findall(answer.body.decode()))

    def meaning(self, reply: Reply) -> str:
        words = " ".join(
            f"{item.ms} ms" if isinstance(item, Pause) else words_of(item) for item in reply.spoken
        )
        return words.replace(
            "verdict.no_digits", "verdict.wrong_length"
        )  # nothing is sent in without a digit

    def _token(self, message: str, locale: str) -> str:
        state = State(name=StateName.ENTRY, locale=locale)
        return sealed(state, f"twilio/{call_sid(message)}")

    def _keyed(
        self,
        keys: str,
        token: str,
        *,
        message: str = "message-1",
        options: TwilioVoiceOptions | None = None,
        public_url: str = PUBLIC_URL,
        fields: Mapping[str, str] | None = None,
    ) -> InboundRequest:
        path = TURNS.path.format(most=LENGTH, state=token)
        return self._posted(
            TURNS.path,
            path,
            {"most": str(LENGTH), "state": token},
            {"Digits": keys, "FinishedOnKey": "", **(fields or {})},
            message=message,
            options=options,
            public_url=public_url,
        )

    def _posted(
        self,
        route: str,
        path: str,
        parts: Mapping[str, str],
        fields: Mapping[str, str],
        *,
        message: str = "message-1",
        options: TwilioVoiceOptions | None = None,
        public_url: str = PUBLIC_URL,
    ) -> InboundRequest:
        _, headers, body = signed_webhook(
            options or self.options,
            public_url,
            path,
            call_sid=call_sid(message),
            caller=NUMBER,
            ours=OURS,
            fields=fields,
        )
        return InboundRequest(
            method="POST",
            route=route,
            path=path,
            parts=parts,
            headers=headers,
            body=body,
            remote="127.0.0.1",
            received_at=START,
        )
