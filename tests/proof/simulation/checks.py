"""What must hold of every schedule once it is over, whatever happened in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from app.core.model.verdict import Outcome, Verdict
from channels.wording.forms import TextForm
from tests.contract.store.history import Answer, faults
from tests.proof.simulation.machines import ground
from tests.proof.simulation.messages import Message, Wish

if TYPE_CHECKING:
    from tests.proof.simulation.schedule import Play

_NO_RECORD = frozenset({Outcome.MISTYPED, Outcome.THROTTLED, Outcome.UNAVAILABLE})
_QUESTIONS = frozenset({Wish.CODE, Wish.UNKNOWN, Wish.SLIP})


def check(play: Play) -> None:
    """Note every broken promise of a schedule that is over."""
    recorded = 0
    told: list[Answer] = []
    for message in play.messages:
        verdict = play.books.answer(message.key)
        recorded += verdict is not None
        _check_words(play, message, verdict)
        _check_pushes(play, message)
        _check_limits(play, message)
        if message.wish in _QUESTIONS:
            _check_answered(play, message)
            _check_opt_out(play, message)
        if verdict is not None and verdict.ordinal is not None and (heard := _first_heard(message, verdict)):
            told.append(heard)
    if (facts := play.books.facts()) != recorded:
        play.world.breach(f"{facts} facts are recorded for {recorded} messages")
    for fault in faults(told, play.books.ordinals()):
        play.world.breach(fault)


def _first_heard(message: Message, verdict: Verdict) -> Answer | None:
    """Return when the recorded verdict was first said to anybody."""
    moments = [said.at_s for said in message.said if said.text and _says(message, verdict, said.text)]
    if not moments or verdict.ordinal is None:
        return None
    return Answer(
        label=message.label,
        message=message.number,
        ordinal=verdict.ordinal,
        told_first=verdict.outcome is Outcome.FIRST,
        started_ns=round(message.deliveries[0].sent_s * 1e9),
        ended_ns=round(min(moments) * 1e9),
    )


def _says(message: Message, verdict: Verdict, text: str) -> bool:
    """Tell whether a text says a verdict."""
    if message.channel == "api":
        document = json.loads(text)
        return (document["outcome"], document["ordinal"]) == (verdict.outcome, verdict.ordinal)
    words = message.words.get(verdict)
    if words is None:
        form = TextForm.CHAT if message.channel == "wechat" else TextForm.SHORT
        words = message.words[verdict] = ground().wording.reply(verdict, "zh-CN").text(form)
    return words == text


def _check_words(play: Play, message: Message, recorded: Verdict | None) -> None:
    """Whatever was said of a code is what was recorded, or an answer that leaves no record; equal each time."""
    if message.wish not in _QUESTIONS:
        return
    without = [verdict for _, verdict in message.verdicts if verdict.outcome in _NO_RECORD]
    final = set()
    for said in message.said:
        if recorded is not None and _says(message, recorded, said.text):
            final.add(said.text)
            continue
        fitting = [verdict for verdict in without if _says(message, verdict, said.text)]
        if not fitting:
            play.world.breach(f"{_name(message)} was told what nobody recorded: {said.text!r}")
        elif fitting[0].outcome is Outcome.MISTYPED:
            final.add(said.text)
    if len(final) > 1:
        play.world.breach(f"{_name(message)} was told {len(final)} things: {sorted(final)}")


def _check_pushes(play: Play, message: Message) -> None:
    """A person gets one text a message, and a second one only where a push was in doubt."""
    heard = [said for said in message.said if said.heard]
    pushes = [said for said in heard if said.pushed]
    if len({said.reply for said in pushes}) > 1:
        play.world.breach(f"{_name(message)} was owed two replies")
    if len(pushes) > 2 or (len(pushes) == 2 and not play.doubted(message)):
        play.world.breach(f"{_name(message)} was pushed {len(pushes)} times without a doubt")
    play.world.counts["doubled_pushes"] += len(pushes) == 2
    responses = [said for said in heard if not said.pushed]
    answers = [said for said in responses if not _is_apology(message, said.text)]
    play.world.counts["apologies_before_answers"] += bool(pushes) and len(answers) < len(responses)
    if pushes and answers:
        play.world.breach(f"{_name(message)} was answered in the response and pushed as well")


def _is_apology(message: Message, text: str) -> bool:
    """Tell whether a text says that there is no answer now: where nobody can tell whether the question was kept."""
    return any(
        verdict.outcome is Outcome.UNAVAILABLE and _says(message, verdict, text)
        for _, verdict in message.verdicts
    )


def _check_limits(play: Play, message: Message) -> None:
    for delivery in message.deliveries:
        for problem in delivery.problems:
            play.world.breach(problem)


def _check_answered(play: Play, message: Message) -> None:
    """What was accepted was answered, unless it was to be silent."""
    if message.gone or message.accepted_s is None:
        play.world.counts["given_up_by_provider"] += 1
        if message.channel != "wechat":
            play.world.breach(f"{_name(message)} was never accepted")
        return
    if any(said.heard for said in message.said) or message.throttled:
        return
    fate = play.books.fate(message.key)
    if fate is not None and fate.why == "unknown_twice":
        play.world.counts["doubted_twice"] += 1
        return
    if any(out for _, out in play.opted.get(message.token, ())):
        return
    play.world.breach(f"{_name(message)} was accepted and never answered: {fate}")


def _check_opt_out(play: Play, message: Message) -> None:
    """Nobody is answered who had opted out before they wrote."""
    changes = [
        change for change in play.opted.get(message.token, ()) if change[0] < message.deliveries[0].sent_s
    ]
    if message.channel not in ("twilio", "gateway") or not changes or not changes[-1][1]:
        return
    starts = [
        other.deliveries[0].sent_s
        for other in play.messages
        if other.wish is Wish.START and other.token == message.token and other.deliveries
    ]
    for said in message.said:
        if not _is_apology(message, said.text) and not any(start < said.at_s for start in starts):
            play.world.breach(f"{_name(message)} was answered after its writer had opted out")


def _name(message: Message) -> str:
    return f"{message.channel}/{message.number}"
