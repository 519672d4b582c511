"""How a call looks that a telephone switch brings by FastAGI, for the contract suite of channels."""

from __future__ import annotations

import json
from dataclasses import replace

from app.speech.library import switch_name
from app.speech.phrasing import waiting
from app.speech.spoken import Pause, Spoken
from channels.base import ChannelAdapter, ChannelContext, InboundRequest
from channels.ivr.adapter import IvrAdapter
from channels.ivr.fastagi.dialect import FastAgiDialect
from channels.ivr.settings import FastAgiOptions, IvrSettings
from channels.ivr.states import State, StateName
from channels.turns import Turn
from channels.wording.reply import Reply
from tests.contract.channel.ivr_bindings import LENGTH, NUMBER, sealed
from tests.contract.channel.suite import Traits
from tests.fakes.clock import START
from tests.fakes.fake_clips import FakeClips
from tests.fakes.fake_spending import FakeSpending

TOKEN = "a-token-of-this-process"


def _sounds(spoken: Spoken, locale: str) -> list[str | int]:
    """What a switch plays of an answer, pauses in milliseconds."""
    clips = FakeClips()
    return [
        item.ms if isinstance(item, Pause) else switch_name(item, locale, clips.find(item, locale))
        for item in spoken
    ]


class FastAgiBinding:
    """What the listener of this process makes of keys; the answer names sounds."""

    secrets: tuple[str, ...] = (NUMBER, NUMBER.removeprefix("+86"), TOKEN)
    traits = Traits(
        telephone=True,
        apology='"en/verdict-unavailable"',
        in_two_minutes=json.dumps(_sounds(waiting(90, "en"), "en"), separators=(",", ":"))[1:-1],
    )
    options = FastAgiOptions(listen="127.0.0.1:4573")

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        settings = IvrSettings(
            spending=FakeSpending(), clips=FakeClips(), fastagi=self.options, operator="+8675588880000"
        )
        dialect = FastAgiDialect(settings, clock=context.clock, token=TOKEN)
        return IvrAdapter(dialect, context, settings)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        call = f"1795241128.0-{message}"
        state = sealed(State(name=StateName.ENTRY, locale=locale), f"fastagi/{call}")
        return InboundRequest(
            method="CALL",
            route="fastagi",
            path="fastagi",
            headers={
                "link": TOKEN,
                "call": call,
                "caller": NUMBER,
                "withheld": "",
                "dialled": "95001",
                "state": state,
                "event": "keys",
                "ended": "hash" if len(text) < LENGTH else "length",
            },
            body=text.encode(),
            remote="127.0.0.1",
            received_at=START,
        )

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        return tuple(
            replace(good, headers={**good.headers, "link": link}) for link in ("", "another", TOKEN[:-1], "é")
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        wrong = (
            {"event": "sang"},
            {"ended": "never"},
            {"call": ""},
            {"call": "1795241128.0-another"},
            {"state": good.headers["state"][:-2]},
        )
        return (
            replace(good, body=f"{text}x".encode()),
            replace(good, body="１２３".encode()),
            *(replace(good, headers={**good.headers, **headers}) for headers in wrong),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        events = ("hung_up", "silence", "transfer_failed", "started")
        refused = {"event": "refused", "why": "busy"}
        return (
            *(replace(good, headers={**good.headers, "event": event}) for event in events),
            replace(good, headers={"link": TOKEN, **refused}),
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        answer = adapter.encode(self.ask("1" * LENGTH, locale=reply.locale), turn, reply)
        return " ".join(item for item in json.loads(answer.body)["say"] if isinstance(item, str))

    def meaning(self, reply: Reply) -> str:
        sounds = [item for item in _sounds(reply.spoken, reply.locale) if isinstance(item, str)]
        # nothing is sent in without a digit
        return " ".join(sounds).replace("verdict-no_digits", "verdict-wrong_length")
