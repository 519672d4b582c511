"""The baseline of the HTTP rows: aiohttp on uvloop, one POST handler that reads JSON and answers a small document.

`python -m tests.bench.bare_server PORT`. No access log, no middleware, no store: what aiohttp itself costs.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Answer about as the service does, with nothing looked up."""
    body = await request.json()
    return web.json_response(
        {
            "outcome": "first",
            "ordinal": 1,
            "first": {"at": "2026-01-01T08:00:00Z", "channel": "api", "place": None, "own": False},
            "product": "Spring water",
            "brand": "Bench",
            "locale": body["locale"],
        }
    )


async def run(port: int) -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_post("/api/v1/verifications", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1])))
