"""One turn at the switch: speak, and take the keys that answer, losing none that can be kept.

A key pressed while no command runs is lost, and the key that stops a prompt is taken by it. So the first key comes
from whatever command was running, and the rest is collected at once by GET DATA.
"""

from __future__ import annotations

from typing import Final

from app.core.model.value import value
from channels.ivr.fastagi.commands import KEYS, LETTERS
from channels.ivr.fastagi.script import GatherKeys, Script
from channels.ivr.fastagi.switch import Switch

_NOISE: Final = 3  # keys without a meaning (A to D) that are waited past
_MOST_EXTRA: Final = 40  # keys beyond the most that are still taken, so that they hit nothing else
_HASH_WITHIN_S: Final = 1.5


@value
class Keyed:
    """What was keyed; ``ended`` is ``hash``, ``length`` or ``pause``. No keys and ``pause`` is a silence."""

    digits: str
    ended: str


async def speak(switch: Switch, script: Script, longest_s: float) -> None:
    """Speak a script that gathers no keys: nothing stops it, so that no stray key costs the caller the verdict.

    ``longest_s`` is for sounds whose length is not told.
    """
    await _say(switch, script, script.say, "", longest_s)


async def speak_and_gather(switch: Switch, script: Script, gather: GatherKeys, longest_s: float) -> Keyed:
    """Speak, then take keys; one pressed meanwhile stops the speech and counts."""
    await _say(switch, script, script.say[: script.deaf], "", longest_s)
    items = script.say[script.deaf :]
    last = items[-1] if items else 0
    if isinstance(last, str):
        items = items[:-1]
    key = await _say(switch, script, items, KEYS, longest_s)
    if not key and isinstance(last, str):
        length_s = _length_s(script, last, longest_s)
        key = await switch.play_and_wait(last, wait_s=gather.first_digit_s, length_s=length_s)
    elif not key:
        key = await _first_key(switch, gather.first_digit_s)
    if key in LETTERS and gather.max_digits == 1:
        key = await _first_key(switch, gather.first_digit_s)
    if not key:
        return Keyed(digits="", ended="pause")
    if key == "#":
        return Keyed(digits="", ended="hash")
    return await _rest(switch, key, gather)


async def _say(
    switch: Switch, script: Script, items: tuple[str | int, ...], keys: str, longest_s: float
) -> str:
    """Play sounds and pauses in their order; return the key of ``keys`` that stopped them, or ""."""
    for item in items:
        if isinstance(item, str):
            key = await switch.play(item, keys, length_s=_length_s(script, item, longest_s))
        else:
            key = await switch.wait(item / 1000)
        if key and key in keys:
            return key
    return ""


def _length_s(script: Script, sound: str, longest_s: float) -> float:
    return script.lengths_ms[sound] / 1000 if sound in script.lengths_ms else longest_s


async def _first_key(switch: Switch, seconds: float) -> str:
    for _ in range(_NOISE):
        key = await switch.wait(seconds)
        if not key or key in KEYS:
            return key
    return ""


async def _rest(switch: Switch, first: str, gather: GatherKeys) -> Keyed:
    """Collect what follows the first key.

    GET DATA answers at the last digit allowed, and the ``#`` behind it would then stop the next prompt. So one key more
    is waited for; any other than ``#`` shows that there are too many, and those are collected too.
    """
    if gather.max_digits == 1:
        return Keyed(digits=first, ended="length")
    got = await switch.collect(gather.between_s, gather.max_digits - 1)
    digits = first + got.digits
    if got.paused or len(digits) < gather.max_digits:
        return Keyed(digits=_known(digits), ended="pause" if got.paused else "hash")
    key = await switch.wait(min(_HASH_WITHIN_S, gather.between_s))
    if not key or key == "#":
        return Keyed(digits=_known(digits), ended="hash" if key else "length")
    more = await switch.collect(gather.between_s, _MOST_EXTRA)
    return Keyed(digits=_known(digits + key + more.digits), ended="pause" if more.paused else "hash")


def _known(keys: str) -> str:
    """Return the keys without A to D, which no telephone of a shopper has."""
    return "".join(key for key in keys if key in KEYS)
