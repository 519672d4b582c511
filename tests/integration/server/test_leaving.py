"""A client that leaves in the middle of a body is no error of ours: nothing is logged, the next one is served."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.integration.server.running import Running


async def test_who_leaves_within_a_body_makes_no_traceback(
    site: Running, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /api/v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(head + b'{"code":')
        await writer.drain()
        await site.raw(
            b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )  # the server has read the head
        writer.transport.abort()
    answer = await site.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert site.journal.failures == []
