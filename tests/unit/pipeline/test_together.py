"""Requests that are alike share one piece of work, done by the first of them, whatever becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from channels.once import Together


class Work:
    """Counts who began it, and ends with the number of the try once ``opened`` is set."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.begun = asyncio.Event()
        self.tasks: list[asyncio.Task[object] | None] = []
        self.fails = False

    async def __call__(self) -> int:
        self.tasks.append(asyncio.current_task())
        number = len(self.tasks)
        self.begun.set()
        await self.opened.wait()
        if self.fails and number == 1:
            raise ValueError
        return number


async def start(together: Together[int], work: Work, number: int) -> list[asyncio.Task[tuple[int, bool]]]:
    work.begun.clear()
    tasks = [asyncio.create_task(together.share("message", work)) for _ in range(number)]
    await work.begun.wait()  # tasks begin in order, so by then all of them wait
    return tasks


async def test_the_first_does_the_work_itself_and_the_others_wait_for_it() -> None:
    together, work = Together[int](), Work()
    tasks = await start(together, work, 3)
    work.opened.set()
    assert await asyncio.gather(*tasks) == [(1, False), (1, True), (1, True)]
    assert work.tasks == tasks[:1]


async def test_what_is_over_is_not_shared() -> None:
    together, work = Together[int](), Work()
    work.opened.set()
    assert await together.share("message", work) == (1, False)
    assert await together.share("message", work) == (2, False)


async def test_other_messages_do_not_wait() -> None:
    together, work = Together[int](), Work()
    (waiting,) = await start(together, work, 1)
    quick = Work()
    quick.opened.set()
    assert await together.share("another", quick) == (1, False)
    work.opened.set()
    assert await waiting == (1, False)


async def test_who_waits_does_the_work_when_the_first_is_cancelled() -> None:
    together, work = Together[int](), Work()
    tasks = await start(together, work, 3)
    work.begun.clear()
    tasks[0].cancel()
    await work.begun.wait()
    work.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert await asyncio.gather(*tasks[1:]) == [(2, False), (2, True)]


async def test_who_waits_does_the_work_when_the_first_fails() -> None:
    together, work = Together[int](), Work()
    work.fails = True
    tasks = await start(together, work, 2)
    work.opened.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1] == (2, False)


async def test_who_gives_up_waiting_ends_it_for_nobody() -> None:
    together, work = Together[int](), Work()
    tasks = await start(together, work, 3)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    work.opened.set()
    assert await tasks[0] == (1, False)
    assert await tasks[2] == (1, True)
    assert tasks[1].cancelled()
