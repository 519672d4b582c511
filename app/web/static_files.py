"""Static files, read and compressed once at the start; an address is a key of a map, so no path reaches the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.web.responses import accepts_gzip, gzip_bytes
from channels.base import InboundRequest, OutboundResponse

PREFIX: Final = "/static/"
_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_COMPRESS_LEVEL: Final = 6
_WORTH_IT: Final = 0.9
_HASH_CHARS: Final = 16
_SHORTEST_VERSION: Final = 6
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """One file in memory, plain and compressed; ``digest`` is the SHA-256 of the plain bytes in hexadecimal."""

    content_type: str
    plain: bytes
    compressed: bytes | None
    digest: str

    async def answer(self, inbound: InboundRequest) -> OutboundResponse:
        """Return the file; for ever where the address names its content by ``?v=`` (its digest's beginning)."""
        compressed = self.compressed if accepts_gzip(inbound.headers.get("accept-encoding", "")) else None
        tag = f'"{self.digest[:_HASH_CHARS]}{"-gz" if compressed else ""}"'
        version = inbound.query.get("v", "")
        fixed = len(version) >= _SHORTEST_VERSION and self.digest.startswith(version)
        headers: tuple[tuple[str, str], ...] = (
            ("ETag", tag),
            ("Cache-Control", _FOR_EVER if fixed else _ASK_AGAIN),
            ("Vary", "Accept-Encoding"),
        )
        known = inbound.headers.get("if-none-match", "")
        if tag in (item.strip().removeprefix("W/") for item in known.split(",")):
            return OutboundResponse(status=304, content_type=self.content_type, headers=headers)
        if compressed is not None:
            headers = (*headers, ("Content-Encoding", "gzip"))
        body = compressed if compressed is not None else self.plain
        return OutboundResponse(status=200, body=body, content_type=self.content_type, headers=headers)


def load_static_files(folders: Iterable[Path]) -> dict[str, StaticFile]:
    """Read every file of ``folders`` whose type is known; returns address -> file. Hidden files are left out.

    Raises ``ValueError`` where two folders claim one address, ``OSError`` where a file cannot be read.
    """
    files: dict[str, StaticFile] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            content_type = _TYPES.get(path.suffix)
            if (
                content_type is None
                or not path.is_file()
                or any(part.startswith(".") for part in inner.parts)
            ):
                continue
            address = PREFIX + inner.as_posix()
            if address in files:
                raise ValueError(f"two folders hold a file for {address}")
            files[address] = _load(path, content_type)
    return files


def _load(path: Path, content_type: str) -> StaticFile:
    plain = path.read_bytes()
    compressed = gzip_bytes(plain, _COMPRESS_LEVEL)
    return StaticFile(
        content_type=content_type,
        plain=plain,
        compressed=compressed if len(compressed) < len(plain) * _WORTH_IT else None,
        digest=hashlib.sha256(plain).hexdigest(),
    )
