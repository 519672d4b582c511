"""What a request gets that aiohttp cannot read: our problem document, which repeats nothing of what was sent."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

Refuse = Callable[[int], web.StreamResponse]


class PlainServer(web.Server):
    """aiohttp's low-level server with ``refuse`` in place of its own error text, which quotes the request.

    ``refuse`` is set before the first connection.
    """

    refuse: Refuse

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of one connection."""
        handler = _PlainHandler(self, loop=self._loop, **self._kwargs)
        handler.refuse = self.refuse
        return handler


class _PlainHandler(web.RequestHandler):
    refuse: Refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log as aiohttp does, answer in our own words, and close."""
        super().handle_error(request, status, exc, message)
        return self.refuse(status)
