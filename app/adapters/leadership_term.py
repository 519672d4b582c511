"""Terms of a leader: what one process of many does, begun when it takes a role and ended before its lease does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from app.core.ports.leadership import Leadership
from app.logs import Logger

_LOOKS: Final = 5  # at the lease between two renewals, without I/O
_FAREWELL_S: Final = 5.0


async def while_leading(
    leadership: Leadership, role: str, term: Callable[[], Awaitable[None]], log: Logger
) -> None:
    """Run ``term`` whenever this process leads ``role``, until cancelled; then end it and give the role up.

    ``term`` runs until it is cancelled, as a listener does. Losing the role cancels it; one that ends or fails by
    itself is logged and begun again at the next renewal.
    """
    running: asyncio.Task[None] | None = None
    try:
        while True:
            if await leadership.hold(role):
                if running is not None and running.done():
                    _note_end(running, role, log)
                    running = None
                if running is None:
                    log.info("term_begun", role=role)
                    running = asyncio.create_task(_run(term))
            for _ in range(_LOOKS):
                if running is not None and not leadership.leads(role):
                    await _end(running)
                    running = None
                    log.info("term_ended", role=role)
                await asyncio.sleep(leadership.renew_s / _LOOKS)
    finally:
        if running is not None:
            await _end(running)
        # cancelled or not, the next process need not wait for the lease to end
        await leadership.resign(role)


async def _run(term: Callable[[], Awaitable[None]]) -> None:
    await term()


async def _end(running: asyncio.Task[None]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait((running,), timeout=_FAREWELL_S)


def _note_end(ended: asyncio.Task[None], role: str, log: Logger) -> None:
    error = None if ended.cancelled() else ended.exception()
    log.error("term_broke_off", role=role, error=type(error).__name__ if error else "", exc_info=error)
