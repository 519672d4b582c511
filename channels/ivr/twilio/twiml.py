"""What a call is to do next, as TwiML: our own clips played, the provider's voice only where one is missing.

A pause is a silent clip, because TwiML's own are whole seconds, which nobody means between two phrases.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, cast

from twilio.twiml.voice_response import VoiceResponse

from app.core.errors import SettingsInvalid
from app.speech.library import Clip
from app.speech.spoken import Name, Pause
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer
from channels.ivr.settings import Clips
from channels.ivr.twilio.webhooks import CLIPS, DIALLED, RECORDED, TURNS

_LANGUAGES: Final = {"zh-CN": "zh-CN", "en": "en-US"}
_RINGS_S: Final = 25
_LONGEST_TRANSFER_S: Final = 1800  # what a forgotten receiver may cost
_QUIET_S: Final = 5
_HOME: Final = "+86"
_OURS: Final = re.compile(r"\+[0-9]{7,15}")
_OPERATOR: Final = re.compile(r"\+?[0-9]{5,20}")
_MARKS: Final = re.compile(r"[\s\-().]")


class Speaking(Protocol):
    """A document, or a verb of it, that something can be said in."""

    def say(self, message: str, *, language: str) -> object:
        """Add words for the provider's voice."""
        ...

    def play(self, url: str) -> object:
        """Add a clip."""
        ...


class Twiml:
    """Writes documents whose addresses stand on ``public_url``. Deterministic: equal input, equal bytes.

    Raises ``SettingsInvalid`` for an operator that is no telephone number.
    """

    def __init__(self, clips: Clips, public_url: str, operator: str = "") -> None:
        self._clips = clips
        self._base = public_url.rstrip("/")
        self._operator = _MARKS.sub("", operator)
        if self._operator and not _OPERATOR.fullmatch(self._operator):
            raise SettingsInvalid(
                "ivr.operator: Twilio needs the whole telephone number, such as +8610..., or nothing."
            )

    def write(self, actions: tuple[Action, ...], token: str, *, ours: str = "") -> bytes:
        """Return the document for ``actions``, which end in what to wait for; ``ours`` is the number that was called.

        Speech that no key may stop goes before the gathering of keys, where keys are dropped; the other goes into it.
        """
        response = VoiceResponse()
        spoken = [action for action in actions if isinstance(action, Speak)]
        wait = actions[-1]
        deaf = len(spoken)
        if isinstance(wait, Gather):
            deaf = max((at for at, speak in enumerate(spoken, start=1) if not speak.interruptible), default=0)
        for speak in spoken[:deaf]:
            self._speak(response, speak)
        match wait:
            case Gather():
                gathering = self._gather(response, wait, token)
                for speak in spoken[deaf:]:
                    self._speak(gathering, speak)
            case Record():
                self._record(response, wait, token)
            case Transfer():
                self._dial(response, wait, token, ours)
            case HangUp():
                response.hangup()
            case _:
                raise TypeError("The last action of a step is what to wait for.")
        return str(response).encode()

    def _speak(self, verb: Speaking, speak: Speak) -> None:
        """Add what is said to ``verb``. A name without a clip is left out, with the pause before it."""
        parts: list[Clip | Pause | str] = []
        for item in speak.spoken:
            if isinstance(item, Pause):
                parts.append(item)
            elif clip := self._clips.find(item, speak.locale):
                parts.append(clip)
            elif not isinstance(item, Name):
                parts.append(self._clips.sentence(item.key, speak.locale))
            elif parts and isinstance(parts[-1], Pause):
                parts.pop()
        for part in parts:
            if isinstance(part, str):
                verb.say(part, language=_LANGUAGES[speak.locale])
            elif isinstance(part, Clip):
                verb.play(self._address(part.sha))
            else:
                verb.play(self._address(self._clips.silence(part.ms)))

    def _address(self, sha: str) -> str:
        return self._base + CLIPS.path.format(sha=f"{sha}.wav")

    def _gather(self, response: VoiceResponse, wait: Gather, token: str) -> Speaking:
        """Gather keys; silence comes to the same address without keys, so that no second verb can say otherwise."""
        gathering = response.gather(
            input="dtmf",
            num_digits=wait.max_digits,
            finish_on_key="#" if wait.finish_on_hash else "",
            timeout=wait.first_digit_s,
            action=self._base + TURNS.path.format(most=wait.max_digits, state=token),
            method="POST",
            action_on_empty_result=True,
        )
        return cast(Speaking, gathering)

    def _record(self, response: VoiceResponse, wait: Record, token: str) -> None:
        """Record; an empty recording is not told, but the call goes on with the next verb, to the same address."""
        action = self._base + RECORDED.path.format(state=token)
        response.record(
            action=action,
            method="POST",
            max_length=wait.max_s,
            timeout=_QUIET_S,
            finish_on_key="#",
            play_beep=True,
        )
        response.redirect(action, method="POST")

    def _dial(self, response: VoiceResponse, wait: Transfer, token: str, ours: str) -> None:
        """Put the caller through from our number: theirs is not for others to see, and a withheld one is refused."""
        dial = response.dial(
            action=self._base + DIALLED.path.format(state=token),
            method="POST",
            timeout=_RINGS_S,
            time_limit=_LONGEST_TRANSFER_S,
            caller_id=ours if _OURS.fullmatch(ours) else None,
        )
        dial.number(dialled(self._operator if wait.to == "operator" else wait.number))


def dialled(number: str) -> str:
    """Return a number as E.164 says it. One without a country code is the mainland's.

    Twilio would take 4008001234 for a North American number, and a stranger's telephone would ring.
    """
    plain = _MARKS.sub("", number)
    if plain.startswith("+"):
        return plain
    if plain.startswith("00"):
        return "+" + plain[2:]
    return _HOME + plain.removeprefix("0")
