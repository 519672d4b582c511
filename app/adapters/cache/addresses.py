"""Where Redis is: one server, a service watched by Sentinels, or a Cluster; read from one URL.

No message of this module repeats any part of a URL, because a URL may hold a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from app.core.errors import SettingsInvalid

_NODE: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
_OPTIONS: Final = frozenset({"ca", "sentinel_password"})
_FORMS_TEXT: Final = (
    "Use redis://host:6379/0, redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379; "
    "rediss for TLS."
)


class RedisForm(StrEnum):
    """How the servers stand together."""

    SINGLE = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


_PORTS: Final = {RedisForm.SINGLE: 6379, RedisForm.SENTINEL: 26379, RedisForm.CLUSTER: 6379}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """``nodes`` are (host, port): the server, the Sentinels, or some nodes of the Cluster; ``ca`` a file of
    certificates to trust instead of the system's. The ``repr`` shows no password.
    """

    form: RedisForm
    nodes: tuple[tuple[str, int], ...]
    database: int = 0
    service: str = ""
    tls: bool = False
    ca: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    @staticmethod
    def parse(url: str) -> RedisAddress:
        """Read a URL. Raises ``SettingsInvalid``, which says what is wrong and repeats nothing of it."""
        scheme, separator, rest = url.strip().partition("://")
        tls = scheme.startswith("rediss")
        plain = scheme.replace("rediss", "redis", 1)
        if not separator or plain not in set(RedisForm):
            raise SettingsInvalid(f"redis_url: this is no address of a Redis. {_FORMS_TEXT}")
        form = RedisForm(plain)
        try:
            # the scheme is ours alone, and urlsplit knows authority and query of any
            parts = urlsplit(f"redis://{rest}")
        except ValueError:
            raise SettingsInvalid(f"redis_url: the hosts cannot be read. {_FORMS_TEXT}") from None
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        service, database = _path_of(parts, form)
        options = _options_of(parts)
        return RedisAddress(
            form=form,
            nodes=_nodes_of(hosts, form),
            database=database,
            service=service,
            tls=tls,
            ca=options.get("ca"),
            username=unquote(username) or None,
            password=unquote(password) or None,
            sentinel_password=options.get("sentinel_password"),
        )


def _nodes_of(hosts: str, form: RedisForm) -> tuple[tuple[str, int], ...]:
    nodes = []
    for text in hosts.split(","):
        found = _NODE.fullmatch(text)
        port = int(found["port"] or _PORTS[form]) if found else 0
        if found is None or not 0 < port < 65536:
            raise SettingsInvalid(
                f"redis_url: a host is missing or cannot be read; escape @ : / , in a password. {_FORMS_TEXT}"
            )
        nodes.append((found["six"] or found["name"], port))
    if form is RedisForm.SINGLE and len(nodes) > 1:
        raise SettingsInvalid(f"redis_url: several hosts, but neither Sentinels nor a Cluster. {_FORMS_TEXT}")
    return tuple(nodes)


def _path_of(parts: SplitResult, form: RedisForm) -> tuple[str, int]:
    """Return the service's name, empty but for Sentinels, and the database's number."""
    words = [unquote(word) for word in parts.path.split("/") if word]
    service = ""
    if form is RedisForm.SENTINEL:
        if not words:
            raise SettingsInvalid(
                f"redis_url: the service that the Sentinels watch is missing. {_FORMS_TEXT}"
            )
        service = words.pop(0)
    database = words.pop(0) if words else "0"
    if words or not database.isascii() or not database.isdigit():
        raise SettingsInvalid(f"redis_url: what follows the hosts cannot be read. {_FORMS_TEXT}")
    if form is RedisForm.CLUSTER and int(database):
        raise SettingsInvalid("redis_url: a Cluster has the database 0 alone; leave the number out.")
    return service, int(database)


def _options_of(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS or parts.fragment:
        raise SettingsInvalid(
            f"redis_url: the options are {', '.join(sorted(_OPTIONS))}; others are not known."
        )
    return options
