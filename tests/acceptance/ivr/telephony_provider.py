"""The telephony provider as a process: answers one SIP call and executes the TwiML of signed webhooks, as Twilio does.

Its first order is its configuration; every step it takes is a line of JSON with milliseconds since the answer.
Keys pressed while no Gather listens are lost, and a finish key alone ends no Gather (Twilio's page on Gather).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
import numpy as np
from baresip import BaresipError, Event
from baresip.call import Call
from baresip.events import StackEvent

from tests.acceptance.ivr import twiml
from tests.acceptance.ivr.sip_line import LONGEST_LIFE_S, Voice, arrives, orders, report, sip_line
from tests.acceptance.ivr.sound import RATE, Samples, read_clip, tone
from tests.acceptance.ivr.telephony import WITHHELD_USER
from tests.acceptance.ivr.webhooks import NoAnswer, Webhooks

ACCOUNT: Final = "AC" + "0123456789abcdef" * 2
WITHHELD_NUMBER: Final = "+266696687"  # what Twilio says for it: ANONYMOUS on a keypad
MOST_DOCUMENTS: Final = 100
_LAST_PACKETS_S: Final = 0.5  # what was said last is still in buffers, and the goodbye must not overtake it
_SETTLE_S: Final = 2.0
_FIRST_SILENCE_MS: Final = 300
_AUDIBLE: Final = 200.0  # root mean square of 16-bit samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Which document comes next, and what is told when it is asked for."""

    url: str
    method: str
    form: Mapping[str, str]


class Hung(Exception):
    """The provider ended the call; the document said so, or came to its end."""


class Conversation:
    """One call from its ringing to its status callback."""

    def __init__(self, call: Call, session: aiohttp.ClientSession, config: Mapping[str, Any]) -> None:
        self._call = call
        self._config = config
        self._webhooks = Webhooks(
            session=session,
            token=config["token"],
            reach=config["reach"],
            repeat=config["repeat"],
            emit=self._emit,
        )
        self._sid = "CA" + secrets.token_hex(16)
        user = (call.peer or "").removeprefix("sip:").partition("@")[0]
        self._from = WITHHELD_NUMBER if user == WITHHELD_USER else user
        self._answered_at: float | None = None
        self._voice = Voice(call)
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._pressed = asyncio.Event()
        self._flowing = asyncio.Event()
        self._url = str(config["voice_url"])
        self._asking: asyncio.Task[bytes] | None = None
        self._recording: twiml.Record | None = None
        call.on(self._on_event)

    # ------------------------------------------------------------------------------ the life of the call

    async def run(self) -> None:
        """Live through the call; returns when it is over and its end has been told."""
        self._emit("ringing", caller=self._from, call_sid=self._sid)
        talk = asyncio.create_task(self._talk())
        listening = asyncio.create_task(self._voice.listen())
        closed = asyncio.create_task(self._voice.over.wait())
        await asyncio.wait({talk, closed}, return_when=asyncio.FIRST_COMPLETED)
        if closed.done():
            self._emit("caller_gone")
            talk.cancel()
        with suppress(asyncio.CancelledError):
            await talk
        if not closed.done():
            await arrives(self._voice.over, _LAST_PACKETS_S)
            with suppress(BaresipError):
                await self._call.hangup()
            await closed
        await listening
        if self._asking is not None:
            await asyncio.wait({self._asking})
        await self._tell_the_end()

    async def _talk(self) -> None:
        upcoming = Next(url=self._url, method="POST", form={})
        try:
            for _ in range(MOST_DOCUMENTS):
                following = await self._execute(await self._ask(upcoming))
                if following is None:
                    self._emit("document_over")
                    return
                upcoming = following
            self._emit("fault", why=f"more than {MOST_DOCUMENTS} documents")
        except Hung:
            return
        except (twiml.FaultyTwiml, NoAnswer, ValueError) as error:
            self._emit("fault", why=str(error))

    async def _ask(self, upcoming: Next) -> tuple[twiml.Verb, ...]:
        self._url = upcoming.url
        form = self._form("ringing" if self._answered_at is None else "in-progress") | dict(upcoming.form)
        # A caller who hangs up does not take the question back: the other side sees it whole.
        self._asking = asyncio.create_task(self._webhooks.ask(upcoming.url, form, method=upcoming.method))
        verbs = twiml.read_twiml(await asyncio.shield(self._asking))
        self._emit("document", verbs=[type(verb).__name__ for verb in verbs])
        return verbs

    async def _answer(self) -> None:
        if self._answered_at is None:
            await self._call.answer()
            await self._call.wait_established()
            await arrives(self._flowing, _SETTLE_S)  # what is said before both ends are set up is lost
            self._answered_at = time.monotonic()
            self._emit("answered")
            await self._voice.play(np.zeros(_FIRST_SILENCE_MS * RATE // 1000, dtype=np.int16))

    async def _tell_the_end(self) -> None:
        lasted = 0 if self._answered_at is None else time.monotonic() - self._answered_at
        self._emit("ended", seconds=round(lasted, 3))
        ending = self._form("busy" if self._answered_at is None else "completed")
        with suppress(NoAnswer):
            if self._recording is not None and self._recording.action and _is_audible(self._collected()):
                form = ending | self._recorded(self._recording) | {"Digits": "hangup"}
                await self._webhooks.send(urljoin(self._url, self._recording.action), form)
        status_url = self._config["status_url"]
        if status_url is None:
            return
        form = ending | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
            "Timestamp": formatdate(usegmt=False),
            "CallDuration": str(math.ceil(lasted)),
            "Duration": str(math.ceil(lasted / 60)),
        }
        try:
            answer = await self._webhooks.send(status_url, form)
        except NoAnswer as error:
            self._emit("fault", why=f"status callback: {error}")
        else:
            self._emit("status_told", status=answer.status)
            if answer.status >= 300:
                self._emit("fault", why=f"the status callback was answered with {answer.status}")

    # ------------------------------------------------------------------------------------- the verbs

    async def _execute(self, verbs: tuple[twiml.Verb, ...]) -> Next | None:
        """Execute a document; return which comes next, or None at its end. Raises Hung, NoAnswer."""
        if verbs and isinstance(verbs[0], twiml.Reject) and self._answered_at is None:
            self._emit("reject", reason=verbs[0].reason)
            await self._call.reject()
            raise Hung
        await self._answer()
        for verb in verbs:
            upcoming = await self._execute_verb(verb)
            if upcoming is not None:
                return upcoming
        return None

    async def _execute_verb(self, verb: twiml.Verb) -> Next | None:
        match verb:
            case twiml.Gather():
                return await self._gather(verb)
            case twiml.Redirect():
                self._emit("redirect", url=verb.url)
                return self._next(verb.url, verb.method, {})
            case twiml.Record():
                return await self._record(verb)
            case twiml.Dial():
                self._emit("dial", number=verb.number, outcome="busy")
                if verb.action is None:
                    return None
                return self._next(
                    verb.action, verb.method, {"DialCallStatus": "busy", "DialBridged": "false"}
                )
            case twiml.Hangup():
                self._emit("hangup")
                raise Hung
            case twiml.Reject():
                raise twiml.FaultyTwiml("<Reject> of a call that has been answered")
            case _:
                await self._prompt(verb, stop=None)
                return None

    async def _gather(self, verb: twiml.Gather) -> Next | None:
        while not self._keys.empty():
            self._emit("key_lost", key=self._keys.get_nowait())
        self._pressed.clear()
        self._emit("gather_begins", timeout_s=verb.timeout_s, digits_wanted=verb.digits_wanted)
        for prompt in verb.prompts:
            if not self._pressed.is_set():
                await self._prompt(prompt, stop=self._pressed)
        self._emit("gather_waits", interrupted=self._pressed.is_set())
        digits, finished_by, why = await self._collect(verb)
        self._emit("gather_ends", digits=digits, why=why)
        if not digits and not verb.action_on_empty:
            return None
        form = {"Digits": digits, "FinishedOnKey": finished_by, "msg": "Gather End"}
        return self._next(verb.action or self._url, verb.method, form)

    async def _collect(self, verb: twiml.Gather) -> tuple[str, str, str]:
        digits = ""
        while True:
            try:
                key = await asyncio.wait_for(self._keys.get(), verb.timeout_s)
            except TimeoutError:
                return digits, "", "timeout"
            if verb.finish_on_key and key in verb.finish_on_key:
                if digits:
                    return digits, key, "finish_key"
                self._emit("key_lost", key=key)
                continue
            digits += key
            if len(digits) == verb.digits_wanted:
                return digits, "", "full"

    async def _record(self, verb: twiml.Record) -> Next | None:
        if verb.beep:
            await self._voice.play(tone(1000, 300))
        while not self._keys.empty():
            self._emit("key_lost", key=self._keys.get_nowait())
        self._voice.heard = []
        self._recording = verb
        self._emit("record_begins")
        key, why = await self._wait_for_the_end_of_speech(verb)
        form = self._recorded(verb) | {"Digits": key}
        samples = self._collected()
        self._voice.heard, self._recording = None, None
        audible = _is_audible(samples)
        self._emit("record_ends", why=why, seconds=round(len(samples) / RATE, 2), audible=audible)
        if not audible:  # an empty recording is none: the document goes on
            return None
        if verb.status_callback is not None:
            said = self._form("in-progress") | form | {"RecordingStatus": "completed"}
            await self._webhooks.send(urljoin(self._url, verb.status_callback), said)
        return self._next(verb.action or self._url, verb.method, form)

    async def _wait_for_the_end_of_speech(self, verb: twiml.Record) -> tuple[str, str]:
        begun = last_sound = time.monotonic()
        while True:
            with suppress(TimeoutError):
                key = await asyncio.wait_for(self._keys.get(), 0.1)
                if key in verb.finish_on_key:
                    return key, "finish_key"
            now = time.monotonic()
            if _is_audible(self._collected()[-RATE // 10 :]):
                last_sound = now
            if now - last_sound >= verb.timeout_s:
                return "", "silence"
            if now - begun >= verb.longest_s:
                return "", "longest"

    async def _prompt(self, prompt: twiml.Prompt, stop: asyncio.Event | None) -> None:
        match prompt:
            case twiml.Pause():
                self._emit("pause", seconds=prompt.length_s)
                await self._voice.play(np.zeros(prompt.length_s * RATE, dtype=np.int16), stop)
            case twiml.Say():
                # No speech engine: a tone as long as the sentence takes, so that it is seen to have been spoken.
                sound = tone(400, min(80 * len(prompt.text), 3000), level=0.03)
                await self._play("say", sound, prompt.loop, stop, text=prompt.text, language=prompt.language)
            case twiml.Play():
                url = urljoin(self._url, prompt.url)
                content, media_type = await self._webhooks.fetch_clip(url)
                await self._play("play", read_clip(content, media_type), prompt.loop, stop, url=url)

    async def _play(
        self, step: str, sound: Samples, loop: int, stop: asyncio.Event | None, **facts: object
    ) -> None:
        for _ in range(loop or 1000):
            self._emit(f"{step}_begins", length_ms=len(sound) * 1000 // RATE, **facts)
            played_ms = await self._voice.play(sound, stop)
            cut = stop is not None and stop.is_set()
            self._emit(f"{step}_ends", played_ms=played_ms, cut=cut, **facts)
            if cut:
                return

    # ------------------------------------------------------------------------------------ small things

    def _next(self, url: str, method: str, form: Mapping[str, str]) -> Next:
        return Next(url=urljoin(self._url, url), method=method, form=form)

    def _form(self, status: str) -> dict[str, str]:
        called = str(self._config["called"])
        return {
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            "CallSid": self._sid,
            "CallStatus": status,
            "Called": called,
            "Caller": self._from,
            "Direction": "inbound",
            "From": self._from,
            "To": called,
        }

    def _recorded(self, verb: twiml.Record) -> dict[str, str]:
        sid = "RE" + secrets.token_hex(16)
        return {
            "RecordingSid": sid,
            "RecordingUrl": f"https://provider.invalid/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}",
            "RecordingDuration": str(math.ceil(len(self._collected()) / RATE)),
        }

    def _collected(self) -> Samples:
        return np.frombuffer(b"".join(self._voice.heard or []), dtype=np.int16)

    def _on_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_RTPESTAB:
            self._flowing.set()
        elif event.event is Event.CALL_DTMF_START and event.text:
            self._emit("key", key=event.text)
            self._keys.put_nowait(event.text)
            self._pressed.set()

    def _emit(self, step: str, /, **facts: object) -> None:
        since = self._answered_at
        at_ms = None if since is None else round((time.monotonic() - since) * 1000)
        report(step, at_ms=at_ms, **facts)


def _is_audible(samples: Samples) -> bool:
    return len(samples) > 0 and float(np.sqrt(np.mean(np.square(samples.astype(np.float64))))) > _AUDIBLE


async def main() -> None:
    """Serve one call."""
    config = await anext(aiter(orders()))
    called: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    def take(call: Call) -> None:
        if not called.done():
            called.set_result(call)

    async with (
        asyncio.timeout(LONGEST_LIFE_S),
        aiohttp.ClientSession() as session,
        sip_line(config["called"]) as (agent, port),
    ):
        agent.on_incoming(take)
        report("listening", port=port)
        await Conversation(await called, session, config).run()
    report("done")


if __name__ == "__main__":
    asyncio.run(main())
