"""Which endpoint answers an address: exact addresses by one look-up, those with named parts by their segments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from channels.base import ChannelAdapter, InboundRequest, OutboundResponse, Refusal, Route

Answer = Callable[[InboundRequest], Awaitable[OutboundResponse]]

NO_PARTS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What answers one route: ``answer`` for a request, ``refuse`` for one that may not reach it.

    ``channel`` is the name under which refusals are counted.
    """

    route: Route
    answer: Answer
    refuse: Callable[[Refusal], OutboundResponse]
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address found: its endpoints by method, and the named parts of the address, decoded."""

    endpoints: Mapping[str, Endpoint]
    parts: Mapping[str, str] = field(default_factory=lambda: NO_PARTS)

    @property
    def allowed(self) -> str:
        """The methods of this address, for an ``Allow`` header (RFC 9110, section 10.2.1)."""
        methods = set(self.endpoints) | ({"HEAD"} if "GET" in self.endpoints else set())
        return ", ".join(sorted(methods))


class Router:
    """All routes of one server. Named parts match one non-empty segment; a fixed segment beats a named one."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._addresses: dict[str, Address] = {}
        self._shaped: list[tuple[tuple[str, ...], dict[str, Endpoint]]] = []
        self._owners: list[tuple[tuple[str, ...], ChannelAdapter]] = []

    def add(self, endpoint: Endpoint, *, owner: ChannelAdapter | None = None) -> None:
        """Add one endpoint. Raises ``ValueError`` where its method and address are taken."""
        route = endpoint.route
        if "{" in route.path:
            segments = _segments(route.path)
            for shape, endpoints in self._shaped:
                if _same_shape(shape, segments):
                    self._put(endpoints, endpoint)
                    break
            else:
                self._shaped.append((segments, {route.method: endpoint}))
                self._shaped.sort(key=lambda item: [segment.startswith("{") for segment in item[0]])
        else:
            endpoints = self._exact.setdefault(route.path, {})
            self._put(endpoints, endpoint)
            self._addresses[route.path] = Address(endpoints=endpoints)
        if owner is not None:
            self._owners.append((_segments(route.path), owner))

    def plain_posts(self) -> Mapping[str, Endpoint]:
        """Return the POST endpoints of exact addresses by their whole request line, for the express lane."""
        return {
            f"POST {path} HTTP/1.1": endpoints["POST"]
            for path, endpoints in self._exact.items()
            if "POST" in endpoints
        }

    def find_exact(self, path: str) -> Address | None:
        """Return the address that is spelled exactly so, without named parts, or None."""
        return self._addresses.get(path)

    def find(self, path: str) -> Address | None:
        """Return the address of a raw (still percent-encoded) path, or None."""
        found = self._addresses.get(path)
        if found is not None:
            return found
        segments = _segments(path)
        for shape, endpoints in self._shaped:
            if len(shape) == len(segments):
                parts = _match(shape, segments)
                if parts is not None:
                    return Address(endpoints=endpoints, parts=parts)
        return None

    def owner_of(self, path: str) -> ChannelAdapter | None:
        """Return the channel whose addresses begin most like ``path``, which refuses what nobody answers."""
        segments = _segments(path)
        best, owner = -1, None
        for shape, adapter in self._owners:
            shared = 0
            for ours, theirs in zip(shape, segments, strict=False):
                if ours != theirs:
                    break
                shared += 1
            if shared > best:
                best, owner = shared, adapter
        return owner

    @staticmethod
    def _put(endpoints: dict[str, Endpoint], endpoint: Endpoint) -> None:
        if endpoint.route.method in endpoints:
            raise ValueError(f"{endpoint.route.method} {endpoint.route.path} is answered twice")
        endpoints[endpoint.route.method] = endpoint


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


def _same_shape(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(one) == len(other) and all(
        a == b or (a.startswith("{") and b.startswith("{")) for a, b in zip(one, other, strict=True)
    )


def _match(shape: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    parts = {}
    for ours, theirs in zip(shape, segments, strict=True):
        if ours.startswith("{"):
            if not theirs:
                return None
            parts[ours[1:-1]] = unquote(theirs, errors="replace")
        elif ours != theirs:
            return None
    return parts
