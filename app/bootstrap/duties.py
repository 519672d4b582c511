"""What must run once, whatever the number of processes: binds and switches, deliveries, recall notices, tidying up.

Each is harmless when done twice for a moment, as while one process takes over from another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.core.ports.journal import Journal
from app.core.ports.leadership import Leadership

Work = Callable[[], Awaitable[None]]

STOP_WITHIN_S: Final = 8.0
_AGAIN_S: Final = 5.0
_LOOKS: Final = 5  # at the lease between two renewals, without I/O


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """``works`` that run until cancelled, all in one process at a time: the one that leads ``role``."""

    role: str
    leadership: Leadership
    works: Sequence[Work]


def take_up(duties: Collection[Duty], journal: Journal) -> list[asyncio.Task[None]]:
    """Do each duty while this process leads it; :func:`stop_all` lets go of them, so that another can take over."""
    return [asyncio.create_task(_serve(duty, journal)) for duty in duties if duty.works]


async def _serve(duty: Duty, journal: Journal) -> None:
    under_way: list[asyncio.Task[None]] = []
    leadership, role = duty.leadership, duty.role
    try:
        while True:
            if await leadership.hold(role) and not under_way:
                under_way = [asyncio.create_task(_endure(work, role, journal)) for work in duty.works]
            for _ in range(_LOOKS):
                if under_way and not leadership.leads(role):
                    await stop_all(under_way)
                    under_way = []
                await asyncio.sleep(leadership.renew_s / _LOOKS)
    finally:
        await stop_all(under_way)
        await leadership.resign(role)  # or whoever follows would wait for the lease to end


async def _endure(work: Work, role: str, journal: Journal) -> None:
    """Work until cancelled; what fails is told and begun again."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - one work that fails must not end the others
            journal.failed(f"{role}_failed", error)
        await asyncio.sleep(_AGAIN_S)


async def stop_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel and wait, :data:`STOP_WITHIN_S` at most: what a provider holds up is found again later."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
