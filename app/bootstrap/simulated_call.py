"""A call as Twilio would bring it to a running server, and its ear: to try the hotline without an account.

It is driven turn by turn, so that whoever calls may think as long as they like between two.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, assert_never
from urllib.parse import urljoin

from app.adapters.http import AiohttpCalls
from app.bootstrap.call_sound import LONGEST_CLIP_BYTES, CallSound
from app.bootstrap.call_words import Transcript, Words, clip_words, ends_sentence
from app.bootstrap.speech import open_library
from app.bootstrap.texting import with_demo_provider
from app.core.errors import NotAuthentic, RuleBroken, StoreUnavailable, Undecodable, YanzhenError
from app.core.model.value import value
from app.core.ports.http_calls import HttpAnswer, HttpCall
from app.settings import Settings
from app.speech.silence import find_silence_ms
from channels.ivr.settings import TwilioVoiceOptions
from channels.ivr.twilio import documents as twiml
from channels.ivr.twilio.simulate import new_call_sid, signed_webhook
from channels.ivr.twilio.webhooks import CALLS, CLIPS, STATUS, read_caller

MOST_TURNS: Final = 60
TRANSFERS: Final = ("no-answer", "busy", "completed")
_DEADLINE_S: Final = 15.0  # Twilio's, after which it gives the call up
_OK: Final = 200
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CLIP_HEAD: Final = CLIPS.path.partition("{")[0]


@value
class Waiting:
    """What may be done now: press up to ``most`` keys, or, where ``records``, speak. Nothing for ``silence_s`` seconds
    is silence; ``ends_on_hash``: the hash key ends what is pressed and is no key itself.
    """

    most: int
    silence_s: int
    ends_on_hash: bool
    records: bool = False


@value
class Heard:
    """One turn: what was said, in lines, and what is waited for; None where the call is over."""

    lines: tuple[str, ...]
    waiting: Waiting | None


class SimulatedCall:
    """One call. Make it with :func:`open_call`; :meth:`dial`, then :meth:`press` until nothing is waited for, and
    :meth:`close` whatever happened. ``sound`` is everything that was said, as if nobody cut it short.

    Each step raises ``StoreUnavailable`` where nobody answers in 15 s, ``NotAuthentic`` where the server has other
    secrets and ``Undecodable`` for an answer that no telephone could act on.
    """

    def __init__(
        self,
        options: TwilioVoiceOptions,
        *,
        caller: str,
        ours: str,
        transfers: str,
        url: str,
        public_url: str,
        words: Mapping[str, Words],
    ) -> None:
        self.call_id = new_call_sid()
        self.turns = 0
        self.ended = ""
        self.sound = CallSound()
        self._options = options
        self._caller = twiml.caller_field(caller)
        self._ours = ours
        self._transfers = transfers
        self._url = url
        self._public_url = public_url
        self._words = words
        self._calls = AiohttpCalls(most_body_bytes=LONGEST_CLIP_BYTES)
        self._clips: dict[str, array[int]] = {}
        self._wait: twiml.Gather | twiml.Record | None = None
        self._rest: tuple[twiml.Verb, ...] = ()
        self._transcript = Transcript()
        self._told_end = True

    async def dial(self) -> Heard:
        """Ring, and listen to the first turn."""
        self._told_end = False
        return await self._follow(CALLS.path, twiml.call_status("ringing"))

    async def press(self, keys: str) -> Heard:
        """Press keys of 0-9, * and # in one go, nothing for silence, and listen to the next turn.

        While a report is recorded any key means that something was said, and nothing that nothing was.
        """
        match self._wait:
            case twiml.Gather() as wait:
                digits, finish, late = twiml.keys_heard(wait, keys)
                if late.strip("#"):
                    self._transcript.add_remark(f"nobody listened any more to {late}")
                if digits or finish or wait.on_empty:
                    return await self._follow(self._path(wait.action), twiml.gathered(digits, finish))
            case twiml.Record() as wait:
                if keys:
                    return await self._follow(self._path(wait.action), twiml.recorded(self._public_url))
            case None:
                raise RuleBroken("The call is over. Call again.")
        return await self._act(self._rest)

    async def close(self) -> None:
        """Hang up where the call is not over, tell its end, and let go of the connection."""
        with suppress(YanzhenError):  # whoever is asked to hang up wants to go
            await self._end("caller")
        await self._calls.close()

    # -- turns ----------------------------------------------------------------------------------------------------

    async def _follow(self, path: str, fields: Mapping[str, str]) -> Heard:
        """Ask for the document at ``path`` and those it leads to, until the caller's turn or the end."""
        while self.turns < MOST_TURNS:
            self.turns += 1
            verbs = twiml.read_document(await self._post(path, fields))
            following = await self._perform(verbs)
            if following is None:
                return await self._turn()
            path, fields = following
        self._wait = None
        self._transcript.add_remark(f"hung up: more than {MOST_TURNS} turns")
        await self._end("turns")
        return await self._turn()

    async def _act(self, verbs: tuple[twiml.Verb, ...]) -> Heard:
        """Go on in the present document, where nothing was pressed and nobody is told."""
        following = await self._perform(verbs)
        return await self._turn() if following is None else await self._follow(*following)

    async def _perform(self, verbs: tuple[twiml.Verb, ...]) -> tuple[str, Mapping[str, str]] | None:
        """Act on ``verbs`` and return what is asked for next, None at the caller's turn and at the end."""
        self._wait = None
        for at, verb in enumerate(verbs, start=1):
            match verb:
                case twiml.Gather():
                    for sound in verb.said:
                        await self._listen(sound)
                    self._wait, self._rest = verb, verbs[at:]
                    return None
                case twiml.Record():
                    self._wait, self._rest = verb, verbs[at:]
                    return None
                case twiml.Dial():
                    self._transcript.add_remark(f"rings {verb.number}: {self._transfers}")
                    return self._path(verb.action), twiml.dialled(self._transfers)
                case twiml.Redirect():
                    return self._path(verb.url), {}
                case twiml.Hangup():
                    return None
                case twiml.Say() | twiml.Play():
                    await self._listen(verb)
                case _:
                    assert_never(verb)
        return None

    async def _turn(self) -> Heard:
        """Return what was heard, and end the call where nothing is waited for."""
        if self._wait is None:
            await self._end("service")
        return Heard(lines=self._transcript.take(), waiting=_waiting(self._wait))

    async def _end(self, how: str) -> None:
        """Tell that the call is over, once."""
        if self._told_end:
            return
        self._told_end, self.ended = True, how
        await self._post(STATUS.path, twiml.call_status("completed"))

    # -- hearing --------------------------------------------------------------------------------------------------

    async def _listen(self, sound: twiml.Sound) -> None:
        match sound:
            case twiml.Play():
                sha = sound.url.rpartition("/")[2].removesuffix(".wav")
                if find_silence_ms(sha) is None:
                    self._transcript.add(self._words.get(sha) or Words(text=f"[clip {sha}]"))
                else:
                    self._transcript.add_pause()
                self.sound.add_clip(await self._clip(self._path(sound.url)))
            case twiml.Say():
                self._transcript.add(Words(text=f"[{sound.text}]", opens=ends_sentence(sound.text)))
                self.sound.add_tone()

    async def _clip(self, path: str) -> array[int]:
        if path not in self._clips:
            if not path.startswith(_CLIP_HEAD):
                raise Undecodable("The answer plays a clip that is not this server's.")
            body = await self._call(HttpCall(method="GET", url=self._url + path))
            self._clips[path] = CallSound.read_clip(body)
        return self._clips[path]

    # -- the wire -------------------------------------------------------------------------------------------------

    def _path(self, address: str) -> str:
        """Return the path of an address in the answer. Raises ``NotAuthentic`` for one of another server."""
        whole = urljoin(f"{self._public_url}/", address)
        if not whole.startswith(f"{self._public_url}/"):
            raise NotAuthentic(
                "The server gives another public URL in its answers. Give this command the same: --public-url."
            )
        return whole.removeprefix(self._public_url)

    async def _post(self, path: str, fields: Mapping[str, str]) -> bytes:
        _, headers, body = signed_webhook(
            self._options,
            self._public_url,
            path,
            call_sid=self.call_id,
            caller=self._caller,
            ours=self._ours,
            fields=fields,
        )
        return await self._call(
            HttpCall(method="POST", url=self._url + path, headers=tuple(headers.items()), body=body)
        )

    async def _call(self, call: HttpCall) -> bytes:
        answer = await self._calls.call(call, deadline_s=_DEADLINE_S)
        if not isinstance(answer, HttpAnswer):
            raise StoreUnavailable(
                f"The server does not answer ({answer.why}). Start it, or give its address: --url."
            )
        if answer.status == _FORBIDDEN:
            raise NotAuthentic(
                "The server refused the signature. Give this command the settings and the public URL the server has."
            )
        if answer.status == _NOT_FOUND:
            raise StoreUnavailable(
                "The server has no hotline there, or lost a clip. Set YANZHEN_IVR__TWILIO__AUTH_TOKENS for it, keep "
                "ivr among its channels, and see its log."
            )
        if answer.status // 100 != _OK // 100:
            raise StoreUnavailable(f"The server answered with status {answer.status}; its log says why.")
        return answer.body


async def open_call(
    settings: Settings, *, caller: str, ours: str, url: str, transfers: str = TRANSFERS[0]
) -> SimulatedCall:
    """Return a call from ``caller`` ("" withholds the number) to the server at ``url``; nothing rings yet.

    ``transfers`` is how it ends when the call is put through: one of ``TRANSFERS``. Clips are known as sentences by
    the clip library of the settings' data folder. Raises ``RuleBroken`` where Twilio is not set up for calls, or for
    a caller that is no telephone number.
    """
    settings = with_demo_provider(settings)
    tokens = tuple(token.get_secret_value() for token in settings.ivr.twilio.auth_tokens)
    if not tokens:
        raise RuleBroken(
            "No provider is set up that can be played here. Set YANZHEN_IVR__TWILIO__AUTH_TOKENS to what the server "
            "has, or run the demonstration with the same --data-dir."
        )
    if caller and not read_caller(caller):
        raise RuleBroken(
            "The caller is no telephone number. Write --from as +8613800138000, or give --withheld."
        )
    return SimulatedCall(
        TwilioVoiceOptions(auth_tokens=tokens),
        caller=caller,
        ours=ours,
        transfers=transfers,
        url=url,
        public_url=settings.public_url.rstrip("/"),
        words=clip_words(await open_library(settings)),
    )


def _waiting(wait: twiml.Gather | twiml.Record | None) -> Waiting | None:
    match wait:
        case twiml.Gather():
            return Waiting(most=wait.most, silence_s=wait.timeout_s, ends_on_hash=wait.ends_on_hash)
        case twiml.Record():
            return Waiting(most=1, silence_s=wait.max_s, ends_on_hash=True, records=True)
        case None:
            return None
