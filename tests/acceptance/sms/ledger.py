"""What must be true afterwards, read from the file itself and compared with what the telephones showed."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from channels.sms.dialect import Dialect, IncomingText
from channels.wording.segments import segments_of
from tests.acceptance.sms.mobile_network import Arrival, Expected, Fate, Message, Variant, request_of
from tests.acceptance.sms.service_life import ServiceLife


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row of the record."""

    serial: int | None
    ordinal: int | None
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The tables that a proof needs. ``numbers`` finds the fact of a message by its 16 bytes."""

    facts: Mapping[int, Fact]
    numbers: Mapping[bytes, int]
    replies: tuple[tuple[object, ...], ...]
    correspondents: frozenset[tuple[object, ...]]


def read_books(path: Path) -> Books:
    with closing(sqlite3.connect(path)) as db:
        facts = {
            number: Fact(serial=serial, ordinal=ordinal, channel=channel)
            for number, serial, ordinal, channel in db.execute(
                "SELECT id, serial, ordinal, channel FROM verification"
            )
        }
        numbers = {
            key: orjson.loads(verdict)["verification_id"]
            for key, verdict in db.execute("SELECT key, verdict FROM message")
        }
        replies = tuple(db.execute("SELECT id, key, sender, state, sealed, delivery FROM reply ORDER BY id"))
        correspondents = frozenset(db.execute("SELECT token, locale, opted_out FROM correspondent"))
    return Books(facts=facts, numbers=numbers, replies=replies, correspondents=correspondents)


def learn_ids(messages: Iterable[Message], dialects: Mapping[str, Dialect], now: datetime) -> None:
    """Note under which ids each message may be known; those of the link were noted when they came."""
    for message in messages:
        if message.provider == "smpp":
            continue
        for variant in (Variant.SAME, Variant.OTHER_ID):
            request = request_of(message.provider, (Arrival(message=message, variant=variant),), now)
            for text in dialects[message.provider].decode(request):
                if isinstance(text, IncomingText):
                    message.ids |= {text.message_id, text.alias_id} - {""}


def check_facts(
    messages: Iterable[Message], books: Books, life: ServiceLife, counts: Mapping[tuple[str, str], int]
) -> int:
    """One fact a message and one message a fact; ordinals without a gap. Returns how many facts there are.

    Who opts out before a late answer is asked for gets none, and the label keeps its first check; that was counted.
    """
    owner: dict[int, Message] = {}
    never_asked = 0
    for message in messages:
        keys = (life.recogniser.message_key("sms", message.provider, one) for one in message.ids)
        facts = {books.numbers[key] for key in keys if key in books.numbers}
        assert len(facts) <= 1, f"counted {len(facts)} times: {message}"
        if message.is_recorded and not facts and not message.arrived:
            never_asked += 1
        elif message.is_recorded is not None:
            assert bool(facts) is message.is_recorded, message
        for number in facts:
            assert owner.setdefault(number, message) is message, f"one fact for two: {message}"
            fact = books.facts[number]
            assert fact.serial in message.serials, (fact, message)
            assert fact.channel == "sms"
    opted_out = sum(number for (event, _), number in counts.items() if event == "given_up_opted_out")
    assert never_asked <= opted_out, (never_asked, counts)
    assert owner.keys() == books.facts.keys(), "a fact that no message explains"
    ordinals: dict[int, list[int]] = defaultdict(list)
    for fact in books.facts.values():
        if fact.serial is not None:
            assert fact.ordinal is not None
            ordinals[fact.serial].append(fact.ordinal)
    for serial, given in ordinals.items():
        assert sorted(given) == list(range(1, len(given) + 1)), serial
    return len(owner)


def check_replies(messages: Iterable[Message], counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    """One reply each, and a second one only where the provider could not be asked, which was counted."""
    found: Counter[str] = Counter()
    for message in messages:
        arrived = message.arrived
        found["in_band" if message.in_band else "pushed" if arrived else "none"] += 1
        assert len(message.answers) <= 1, f"two wordings: {message}"
        for text in arrived:
            assert segments_of(text).segments == 1, text
            assert message.is_english is False or text.isascii(), message
        if message.expected is Expected.NONE:
            assert not arrived, f"somebody who opted out was written to: {message}"
        elif not arrived and message.expected is Expected.ONE:
            found["missing"] += 1
        if len(arrived) > 1:
            assert len(arrived) == 2, message
            if (
                message.in_band
            ):  # said, killed, brought again all the same, and too slow to know: nobody could tell
                assert len(message.lives) > 1, f"said and pushed: {message}"
                found["across_a_kill"] += 1
                continue
            assert len(set(arrived)) == 1, message
            assert message.provider != "twilio" or message.fate is Fate.TAKEN_UNLISTED, message
            found["second"] += 1
    resent = sum(number for (event, _), number in counts.items() if event == "resent_unknown")
    given_up = sum(number for (event, _), number in counts.items() if event.startswith("given_up"))
    assert found["across_a_kill"] <= 2, found
    assert found["second"] <= resent, (found, counts)
    assert found["missing"] <= given_up, (found, counts)
    return found
