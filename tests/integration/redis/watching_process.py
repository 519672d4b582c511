"""One process of a service: reads answers from its standard input, shares its watch, prints what it announces.

Each line is JSON: ``[channel, digits, ordinal or null]``. An empty line shares once and is answered by one.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys

from app.adapters.bursts import Burst
from app.adapters.cache.addresses import RedisAddress
from app.adapters.cache.connection import RedisConnection, RedisPatience
from app.adapters.clock import SystemClock
from app.adapters.journal import ServiceJournal
from app.adapters.sealing import AesGcmSealing
from app.adapters.wrong_codes import CloseOnset
from app.adapters.wrong_codes_redis import Announcements, RedisWrongCodes
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.logs import configure_logs

_KEY = bytes(range(32))


def say(*words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def answer(journal: ServiceJournal, channel: str, digits: str, ordinal: int | None) -> None:
    found = Outcome.FIRST if ordinal else Outcome.NOT_FOUND
    request = VerificationRequest(
        code=Code.parse(digits),
        caller=Caller(kind=CallerKind.WEB, token=None),
        channel=channel,
        message_id=None,
        locale="en",
        received_at=SystemClock().now(),
    )
    verdict = Verdict(outcome=found, ordinal=ordinal, recorded_at=SystemClock().now())
    journal.answered(request, verdict, duplicate=False, took_ms=1)


async def main(url: str) -> None:
    logs = configure_logs(log_format="json", stream=io.BytesIO())
    journal = ServiceJournal(logs)

    def burst(channel: str, found: Burst) -> None:
        say("burst", channel, found.recent)
        journal.burst_began(channel, found)

    def close(found: CloseOnset) -> None:
        say("close", found.closeness, found.code.channel)
        journal.close_codes_began(found)

    patience = RedisPatience(answer_s=10, slow_s=10, connect_s=20)
    connection = RedisConnection(RedisAddress.parse(url), logs.logger("redis"), patience=patience)
    await connection.start()
    sharing = RedisWrongCodes(
        connection,
        journal.watch,
        Announcements(burst=burst, close=close),
        clock=SystemClock(),
        sealing=AesGcmSealing({1: _KEY}),
        digest_key=_KEY,
    )
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            answer(journal, *json.loads(line))
            continue
        await sharing.share_once()
        say("shared", {name: found.on for name, found in journal.bursts().items()})
    await connection.aclose()


asyncio.run(main(sys.argv[1]))
