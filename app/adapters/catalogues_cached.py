"""The catalogue that processes share through a cache: one of them reads the store, the others what it put there.

A copy can never decide. It is sealed under the key file and bound to the edition of the catalogue that the store names
now; and each commit proves the version (docs/decisions/0006-limits-that-machines-share.md).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

import orjson

from app.adapters.catalogue_parts import (
    FORM,
    Names,
    Part,
    cut,
    join,
    names_from_bytes,
    names_to_bytes,
    part_from_bytes,
    part_to_bytes,
)
from app.adapters.storage.editions import Edition, EditionedCatalogues
from app.core.errors import YanzhenError
from app.core.model.catalogue import Catalogue
from app.core.ports.cache import Cache
from app.core.ports.sealing import Sealing

_KEPT_S: Final = 3600.0
_FRESH_S: Final = 1800.0  # a part put that long ago is not put again
_PARTS_KEPT_S: Final = _KEPT_S + _FRESH_S + 60.0  # so no part ends before the list that names it
_CLAIM_S: Final = 5.0
_SLOW_S: Final = 0.2  # a cache that took longer to say nothing is not asked twice while queries wait
_LOOK_S: Final = 0.05
_LOOKS: Final = 20
_MOST_PARTS: Final = 4096
_MOST_BYTES: Final = 64 << 20
_LARGEST_PART: Final = 8 << 20
_QUICK: Final = 1  # of zlib: a third of the bytes for a tenth of the time
_UNREADABLE: Final = (ValueError, TypeError, LookupError, zlib.error)


@dataclass(slots=True)
class CatalogueTallies:
    """Numbers since the start: catalogues from this process, the cache and the store; copies that were ``refused``
    because they were changed, cut or of another key file; those ``too_large`` to be kept.
    """

    from_memory: int = 0
    from_cache: int = 0
    from_store: int = 0
    refused: int = 0
    too_large: int = 0


@dataclass(frozen=True, slots=True)
class _Contents:
    """What the value under an edition's key says: the names and parts by their digests."""

    version: int
    key_checks: dict[str, str]
    names: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read or written last, by digest; a part that did not change is neither fetched nor built again."""

    names_digest: str
    names: Names
    parts: dict[str, Part]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A catalogue as it is put: sealed values by digest."""

    contents: _Contents
    known: _Known
    values: dict[str, bytes]


class CachedCatalogues:
    """The ``CatalogueStore`` of one process among many, made for one event loop; ``close`` it before the store.

    A copy is a list and its parts, with ``per_part`` batches each. ``digest_key`` (16 to 64 bytes) and ``sealing`` are
    of the key file, so whoever can write to the cache can make it forget, never say something else. A cache that is
    away costs its own short wait, then the store is read.
    """

    def __init__(
        self,
        store: EditionedCatalogues,
        cache: Cache,
        sealing: Sealing,
        *,
        digest_key: bytes,
        per_part: int = 512,
    ) -> None:
        self._store = store
        self._cache = cache
        self._sealing = sealing
        self._digest_key = digest_key
        self._per_part = per_part
        self._one_at_a_time = asyncio.Lock()
        self._edition: Edition | None = None
        self._catalogue: Catalogue | None = None
        self._known = _Known("", Names(products={}, programmes={}), {})
        self._put_at_s: dict[str, float] = {}
        self._putting: asyncio.Task[None] | None = None
        self.tallies: Final = CatalogueTallies()

    async def version(self) -> int:
        """Return the present version, from the store; see the port."""
        return await self._store.version()

    async def find_imported(self, code_digest: bytes) -> int | None:
        """Return the serial of an imported code, from the store; see the port."""
        return await self._store.find_imported(code_digest)

    async def load(self) -> Catalogue:
        """Return the present snapshot; see the port."""
        async with self._one_at_a_time:
            edition = await self._store.edition()
            if edition == self._edition and self._catalogue is not None:
                self.tallies.from_memory += 1
                return self._catalogue
            if edition is None:
                self.tallies.from_store += 1
                return await self._store.load()
            asked_s = monotonic()
            found = await self._find(edition)
            if found is None and monotonic() - asked_s < _SLOW_S:
                found = await self._find_or_claim(edition)
            if found is None:
                return await self._read(edition)
            self.tallies.from_cache += 1
            self._edition, self._catalogue = edition, found
            return found

    async def close(self) -> None:
        """Put nothing more."""
        if self._putting is not None:
            self._putting.cancel()
            await asyncio.wait((self._putting,))

    # -- reading ---------------------------------------------------------------------------------------------

    async def _find_or_claim(self, edition: Edition) -> Catalogue | None:
        """Return None where this process is to read the store: no other does, or none was done within a second."""
        claimed = _claim(self._key(edition))
        if await self._cache.claim(claimed, ttl_s=_CLAIM_S):
            found = await self._find(edition)  # another may have put it since the last look
            if found is not None:
                await self._cache.drop(claimed)
            return found
        for _ in range(_LOOKS):
            await asyncio.sleep(_LOOK_S)
            found = await self._find(edition)
            if found is not None:
                return found
        return None

    async def _read(self, edition: Edition) -> Catalogue:
        try:
            catalogue = await self._store.load()
        except BaseException:
            await self._cache.drop(_claim(self._key(edition)))
            raise
        self.tallies.from_store += 1
        # an edition that ended meanwhile names nothing that was read
        self._edition = edition if catalogue.version == edition.version else None
        self._catalogue = catalogue
        if self._putting is not None:
            self._putting.cancel()
        self._putting = asyncio.get_running_loop().create_task(self._put(edition, catalogue))
        return catalogue

    async def _find(self, edition: Edition) -> Catalogue | None:
        """Return the catalogue of ``edition`` from the cache, or None where anything of it is missing or not ours."""
        key = self._key(edition)
        sealed = await self._cache.find(key)
        if sealed is None:
            return None
        contents = self._open_contents(sealed, key)
        if contents is None or contents.version != edition.version:
            self.tallies.refused += 1
            return None
        known = self._known
        same_names = contents.names == known.names_digest
        wanted = [] if same_names else [contents.names]
        wanted += [part for part in contents.parts if not (same_names and part in known.parts)]
        values = await asyncio.gather(*(self._cache.find(_key_of(digest)) for digest in wanted))
        if None in values:
            for digest in wanted:
                self._put_at_s.pop(digest, None)
            return None
        held = dict(zip(wanted, (value or b"" for value in values), strict=True))
        # building twenty thousand batches takes longer than queries should wait for the loop
        found = await asyncio.to_thread(self._build, contents, held, known)
        if found is None:
            self.tallies.refused += 1
            return None
        catalogue, self._known = found
        return catalogue

    def _open_contents(self, sealed: bytes, key: str) -> _Contents | None:
        text = self._sealing.open(sealed, about=key.encode())
        if text is None:
            return None
        try:
            version, key_checks, names, parts = orjson.loads(text)
            return _Contents(int(version), dict(key_checks), str(names), tuple(parts)[:_MOST_PARTS])
        except _UNREADABLE:
            return None

    def _build(
        self, contents: _Contents, held: dict[str, bytes], known: _Known
    ) -> tuple[Catalogue, _Known] | None:
        """Return the catalogue of ``contents``; in a thread of its own, so it changes nothing here."""
        try:
            names = known.names
            if contents.names in held:
                names = names_from_bytes(self._open(held[contents.names], contents.names))
            parts = {
                digest: part_from_bytes(self._open(held[digest], digest), names)
                if digest in held
                else known.parts[digest]
                for digest in contents.parts
            }
        except _UNREADABLE:
            return None
        catalogue = join(contents.version, parts.values(), contents.key_checks)
        return catalogue, _Known(contents.names, names, parts)

    def _open(self, sealed: bytes, digest: str) -> bytes:
        text = self._sealing.open(sealed, about=_key_of(digest).encode())
        if text is None:
            raise ValueError("not sealed under this key file for this place")
        return zlib.decompress(text)

    # -- putting ---------------------------------------------------------------------------------------------

    async def _put(self, edition: Edition, catalogue: Catalogue) -> None:
        """Put what was read beside the queries that wait for it, the list of parts last."""
        claimed = _claim(self._key(edition))
        try:
            if catalogue.version != edition.version:
                later = await self._store.edition()
                if later is None or catalogue.version != later.version:
                    return
                edition = later
            fresh = {digest for digest, at_s in self._put_at_s.items() if monotonic() - at_s < _FRESH_S}
            copy = await asyncio.to_thread(self._copy, catalogue, fresh)
            if copy is None:
                self.tallies.too_large += 1
                return
            key = self._key(edition)
            now_s = monotonic()
            await asyncio.gather(
                *(
                    self._cache.put(_key_of(digest), value, ttl_s=_PARTS_KEPT_S)
                    for digest, value in copy.values.items()
                )
            )
            await self._cache.put(key, self._seal_contents(copy.contents, key), ttl_s=_KEPT_S)
            named = {copy.contents.names, *copy.contents.parts}
            put = self._put_at_s | dict.fromkeys(copy.values, now_s)
            self._put_at_s = {digest: at_s for digest, at_s in put.items() if digest in named}
            if self._catalogue is catalogue:
                self._edition, self._known = edition, copy.known
        except YanzhenError:
            return  # the store went away again; the next process puts it
        finally:
            await self._cache.drop(claimed)

    def _copy(self, catalogue: Catalogue, fresh: set[str]) -> _Copy | None:
        """Return the copy to be put, without what is ``fresh`` there; None where it is too large. In a thread."""
        parts = cut(catalogue, self._per_part)
        texts = [names_to_bytes(catalogue), *(part_to_bytes(part) for part in parts)]
        sizes = [len(text) for text in texts]
        if len(parts) > _MOST_PARTS or sum(sizes) > _MOST_BYTES or max(sizes) > _LARGEST_PART:
            return None
        names, *digests = (self._digest(text) for text in texts)
        contents = _Contents(catalogue.version, dict(catalogue.key_checks), names, tuple(digests))
        values = {
            digest: self._sealing.seal(zlib.compress(text, _QUICK), about=_key_of(digest).encode())
            for digest, text in zip((names, *digests), texts, strict=True)
            if digest not in fresh
        }
        known = _Known(names, names_from_bytes(texts[0]), dict(zip(digests, parts, strict=True)))
        return _Copy(contents, known, values)

    def _seal_contents(self, contents: _Contents, key: str) -> bytes:
        rows: Sequence[Any] = (contents.version, contents.key_checks, contents.names, contents.parts)
        return self._sealing.seal(orjson.dumps(rows), about=key.encode())

    def _digest(self, text: bytes) -> str:
        return blake2b(text, key=self._digest_key[:64], digest_size=16).hexdigest()

    def _key(self, edition: Edition) -> str:
        return _key_of(self._digest(f"{edition.version} {edition.mark}".encode()))


def _key_of(digest: str) -> str:
    return f"catalogue:{FORM}:{digest}"


def _claim(key: str) -> str:
    return f"{key}:read"
