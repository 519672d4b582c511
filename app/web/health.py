"""Whether the process lives and whether it can record; asked by machines every second, so a check is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from app.core.errors import YanzhenError
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from channels.base import InboundRequest, OutboundResponse

Check = Callable[[], Awaitable[None]]

_JSON: Final = "application/json"
_RETRY_AFTER: Final = (("Retry-After", "5"),)


@dataclass(slots=True)
class _State:
    check: Check
    task: asyncio.Task[str] | None = None
    code: str = ""
    checked_at_s: float = -1e9
    took_ms: float = 0.0
    reported: str = field(default="")


class Health:
    """Runs named checks, each at most once at a time and at most once a second, with a deadline.

    A check passes by returning. One that outlives ``deadline_s`` is reported as late and left to end on its own,
    because cancelling it might cancel a commit.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        clock: Clock,
        journal: Journal,
        deadline_s: float = 1.0,
        fresh_s: float = 1.0,
    ) -> None:
        self._states = {name: _State(check) for name, check in checks.items()}
        self._clock = clock
        self._journal = journal
        self._deadline_s = deadline_s
        self._fresh_s = fresh_s
        self._draining = False

    def drain(self) -> None:
        """Report not ready from now on: the service is about to stop."""
        self._draining = True

    async def live(self, _inbound: InboundRequest) -> OutboundResponse:
        """Answer 200 as long as the event loop turns."""
        return OutboundResponse(status=200, body=b'{"live":true}', content_type=_JSON)

    async def ready(self, _inbound: InboundRequest) -> OutboundResponse:
        """Answer 200 where every check passes, else 503; names each check, tells strangers no more than a code."""
        codes = await asyncio.gather(*(self._ask(state) for state in self._states.values()))
        checks = {
            name: {"ok": not code, "took_ms": round(state.took_ms, 1)} | ({"code": code} if code else {})
            for (name, state), code in zip(self._states.items(), codes, strict=True)
        }
        ready = not any(codes) and not self._draining
        document = {"ready": ready, "draining": self._draining, "checks": checks}
        return OutboundResponse(
            status=200 if ready else 503,
            body=orjson.dumps(document),
            content_type=_JSON,
            headers=() if ready else _RETRY_AFTER,
        )

    async def _ask(self, state: _State) -> str:
        """Return "" where the check passes, else why it does not."""
        if state.task is None:
            if self._clock.monotonic_s() - state.checked_at_s < self._fresh_s:
                return state.code
            state.task = asyncio.get_running_loop().create_task(self._run(state))
        task = state.task
        await asyncio.wait((task,), timeout=self._deadline_s)
        return task.result() if task.done() else "late"

    async def _run(self, state: _State) -> str:
        started = self._clock.monotonic_s()
        error: Exception | None = None
        try:
            await state.check()
        except YanzhenError as failure:
            code, error = failure.code, failure
        except Exception as failure:  # noqa: BLE001 - whatever fails, the answer is "not ready"
            code, error = "error", failure
        else:
            code = ""
        if error is not None and code != state.reported:
            self._journal.failed("not_ready", error)  # once a change, not once a second
        state.reported = state.code = code
        state.checked_at_s = self._clock.monotonic_s()
        state.took_ms = (state.checked_at_s - started) * 1000
        state.task = None
        return code
