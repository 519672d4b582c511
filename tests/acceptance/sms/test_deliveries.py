"""An evening of texts through four providers: no message counts twice, none is answered twice, none is forgotten.

Duplicates, delays, things out of order, a store that is slow, a service that is killed, forgeries, and replays of days
ago. The model is that of the telephones: what reached them, message by message.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from app.adapters.places import PhoneNumberPlaces
from app.issuing.key_file import KeyFile
from app.settings import Settings, load_settings
from channels.wording.reply import Wording
from tests.acceptance.cli.shell import Shell
from tests.acceptance.sms.evening import Evening, EveningJournal
from tests.acceptance.sms.ledger import Books, check_facts, check_replies, learn_ids, read_books
from tests.acceptance.sms.mobile_network import Arrival, Message, MobileNetwork, request_of, said_in
from tests.acceptance.sms.service_life import ServiceLife, World
from tests.acceptance.sms.traffic import Codes, make_traffic
from tests.conftest import Budget
from tests.fakes.clock import START, FakeClock

LABELS = 3_000
SEED = 20261121
DAY_S = 86_400.0


@pytest.fixture
def installation(tmp_path: Path) -> tuple[Settings, Codes]:
    """Labels issued by the commands that operators use, and codes that are nobody's."""
    shell = Shell(tmp_path / "data")
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾", "--name-en", "Qinghe", "--short-name", "青禾")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--name-en", "Formula")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", LABELS)
    shell.run("batch", "activate", batch["id"])
    labels = tmp_path / "labels.csv"
    shell.run("batch", "export", batch["id"], "--out", labels)
    with labels.open(newline="") as file:
        known = [(int(row["serial"]), row["code"]) for row in csv.DictReader(file)]
    settings = load_settings(
        flags={"data_dir": str(shell.folder), "sms": {"per_number_per_day": 100, "per_day": 10**9}}
    )
    codebook = KeyFile(settings.key_file).load().codebook()
    strange = batch["first_serial"] + 10**9
    unknown = (codebook.make(strange + number, tag_key_id=1) for number in count())
    return settings, Codes(known=known, unknown=unknown)


@pytest.mark.xdist_group("deliveries")  # a core for itself for a minute
@pytest.mark.timeout(1800)
async def test_nothing_counts_twice_and_nothing_is_answered_twice(
    installation: tuple[Settings, Codes], budget: Budget
) -> None:
    deliveries = 20_000 if budget == "short" else 100_000
    settings, codes = installation
    traffic = make_traffic(SEED, deliveries, codes, START)
    clock, journal, network = FakeClock(), EveningJournal(), MobileNetwork()
    world = World(
        settings=settings,
        clock=clock,
        journal=journal,
        wording=Wording.load(settings.timezone),
        places=PhoneNumberPlaces(),
    )
    evening = Evening(world, network, journal, traffic)
    evening.begin(await ServiceLife.begin(world, settings.database_path, network.ways))
    try:
        await evening.play()
        await evening.settle()
        life = evening.life
        learn_ids(traffic.messages, life.dialects, clock.now())
        books = read_books(life.path)
        check_facts(traffic.messages, books, life, journal.counts)
        check_replies(traffic.messages, journal.counts)
        _check_outbox(books, network)
        assert not network.strays
        assert evening.kills == 3
        assert evening.forged.keys() <= {401, 403}
        assert sum(evening.forged.values()) > deliveries // 25
        for event in ("answer_owed", "silent_throttled", "silent_opted_out", "pushed", "found_sent"):
            assert sum(number for (name, _), number in journal.counts.items() if name == event), event
        await _replay(evening, world, traffic.messages, books, deliveries // 20)
    finally:
        await evening.end()


def _check_outbox(books: Books, network: MobileNetwork) -> None:
    """Nothing is owed, nothing stands sealed that is done with, and what was reported delivered is so noted."""
    for number, _, _, state, sealed, delivery in books.replies:
        assert state in {"sent", "failed"}
        assert sealed is None
        if number in network.reported:
            assert delivery == "delivered"


async def _replay(
    evening: Evening, world: World, messages: list[Message], before: Books, replays: int
) -> None:
    """Bring again, up to a week later, what was settled: the same bytes, and nothing new in the books."""
    dice = Random(SEED)
    settled = [
        one for one in messages if one.provider != "smpp" and one.is_recorded is not None and one.arrived
    ]
    for days in (1.0, 2.0, 3.8):
        world.clock.advance(days * DAY_S)
        while await evening.life.storage.verifications.forget(world.clock.now()):
            pass
        feed: Iterator[Message] = iter(dice.choices(settled, k=replays // 3))

        async def again(feed: Iterator[Message] = feed) -> None:
            for message in feed:
                request = request_of(message.provider, (Arrival(message=message),), world.clock.now())
                response = await evening.life.carry(message.provider, request)
                assert response.status == 200
                text = said_in(message.provider, response)
                assert not message.is_recorded or {text} - {""} <= message.answers | set(message.pushed)

        await asyncio.gather(*(again() for _ in range(32)))
    await evening.settle()
    after = read_books(evening.life.path)
    assert after == before
