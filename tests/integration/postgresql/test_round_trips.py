"""A batch is one round trip, however many queries it has: counted on the wire between the store and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from app.core.model.verification import Draft
from tests.contract.store.stage import KNOWN, OTHER, Asking
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage


@dataclass
class Line:
    """Carries bytes to the server. ``turns`` counts how often the near side spoke after it had heard an answer."""

    port: int
    turns: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        heard = True

        async def ask() -> None:
            nonlocal heard
            while piece := await reader.read(65536):
                self.turns += heard
                heard = False
                far_writer.write(piece)

        async def answer() -> None:
            nonlocal heard
            while piece := await far_reader.read(65536):
                heard = True
                writer.write(piece)

        with suppress(OSError):
            await asyncio.wait(
                [asyncio.create_task(ask()), asyncio.create_task(answer())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.close()
        far_writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """Yield a line to the server of ``url``, and the address at its near end."""
    before, _, rest = url.partition("@127.0.0.1:")
    port, _, name = rest.partition("/")
    line = Line(int(port))
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    try:
        yield line, f"{before}@127.0.0.1:{server.sockets[0].getsockname()[1]}/{name}"
    finally:
        server.close()


async def batch_of(asking: Asking, size: int, *, messages: bool) -> Sequence[Draft]:
    """Return drafts of labels and of codes of no label, by callers known and unknown."""
    catalogue = await asking.stage.catalogues.load()
    return [
        await asking.draft(
            None if number % 10 == 9 else number % 70,
            catalogue=catalogue,
            token=(None, KNOWN, OTHER)[number % 3] if messages else None,
            message=number.to_bytes(16, "big") if messages and number % 2 else None,
            place="杭州市",
        )
        for number in range(size)
    ]


@pytest.mark.parametrize("messages", [False, True], ids=["nobody known", "callers and messages"])
async def test_a_batch_of_any_size_is_one_round_trip(plain: Prepared, messages: bool) -> None:
    await plain.empty()
    async with line_to(plain.url) as (line, near):
        stage = await PostgresqlStage.open(near)
        asking = Asking(stage)
        catalogue = await stage.catalogues.load()
        await stage.store.record(await batch_of(asking, 1, messages=messages), catalogue)  # is prepared then
        for size in (1, 2, 40, 256):
            drafts = await batch_of(asking, size, messages=messages)
            for _ in range(2):  # the second time the messages among them are retries
                before = line.turns
                assert len(await stage.store.record(drafts, catalogue)) == size
                assert line.turns - before == 1, size
        before = line.turns
        await stage.store.check()
        await stage.store.check()
        assert line.turns - before >= 2, "the line does count"
        await stage.close()
