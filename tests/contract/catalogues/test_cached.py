"""The catalogue that processes share, on a cache in memory: what holds on any cache, and what no false copy can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from app.adapters import catalogues_cached
from app.adapters.cache.memory import MemoryCache
from app.adapters.catalogues_cached import CachedCatalogues
from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.editions import Edition
from app.core.model.catalogue import Catalogue
from tests.contract.catalogues.suite import CatalogueContract, OpenCatalogues, catalogue_of, same
from tests.fakes.clock import FakeClock
from tests.fakes.editioned_memory import EditionedMemory

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
Open = Callable[..., CachedCatalogues]


class SeenCache(MemoryCache):
    """A cache whose values anybody can read and change."""

    def values(self) -> dict[str, bytes]:
        return {key: value for key, (_, value) in self._values.items()}


@pytest.fixture(autouse=True)
def a_machine_that_stands_still_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache is never too slow to be asked again here, but where a test is about that."""
    monkeypatch.setattr(catalogues_cached, "_SLOW_S", 600.0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for another's copy waits for a minute."""
    monkeypatch.setattr(catalogues_cached, "_LOOKS", 1200)


@pytest.fixture
def cache() -> SeenCache:
    return SeenCache(FakeClock())


@pytest.fixture
def store() -> EditionedMemory:
    return EditionedMemory(catalogue_of(5))


@pytest.fixture
async def open_process(store: EditionedMemory, cache: SeenCache) -> AsyncIterator[Open]:
    async with AsyncExitStack() as open_ones:

        def open_one(
            key: bytes = KEY, on: MemoryCache = cache, sealing: type[AesGcmSealing] = AesGcmSealing
        ) -> CachedCatalogues:
            process = CachedCatalogues(store, on, sealing({1: key}), digest_key=KEY, per_part=32)
            open_ones.push_async_callback(process.close)
            return process

        yield open_one


async def named(store: EditionedMemory) -> Edition:
    edition = await store.edition()
    assert edition is not None
    return edition


async def settled(process: CachedCatalogues) -> CachedCatalogues:
    """Load from the store, and wait until what was read is put."""
    await load_and_put(process)
    assert process._putting is not None
    return process


async def load_and_put(process: CachedCatalogues) -> Catalogue:
    """Load, and wait for what is put then, lest it replaces what the test puts next."""
    found = await process.load()
    if process._putting is not None:
        await process._putting
    return found


class TestCachedCatalogues(CatalogueContract):
    @pytest.fixture
    def open_catalogues(self, open_process: Open) -> OpenCatalogues:
        return open_process


class TestWithACacheThatForgetsAtOnce(CatalogueContract):
    @pytest.fixture
    def open_catalogues(self, open_process: Open) -> OpenCatalogues:
        return lambda: open_process(on=MemoryCache(FakeClock(), entries=1))


@pytest.mark.usefixtures("patient")
async def test_one_process_reads_the_store_and_all_others_the_copy(
    store: EditionedMemory, open_process: Open
) -> None:
    others = [open_process() for _ in range(5)]
    found = await asyncio.gather(*(process.load() for process in others))
    assert all(same(one, catalogue_of(5)) for one in found)
    assert store.loads == 1
    assert sum(process.tallies.from_store for process in others) == 1
    assert sum(process.tallies.from_cache for process in others) == 4
    for version in (6, 7):
        store.become(catalogue_of(version, recalled=version))
        await asyncio.gather(*(process.load() for process in others))
        assert store.loads == version - 4


async def test_a_change_moves_one_part_alone(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    reader, other = await settled(open_process()), open_process()
    await other.load()
    before = set(cache.values())
    store.become(catalogue_of(6, recalled=40))
    await settled(reader)
    assert len(set(cache.values()) - before) == 2, "a list of parts and the part with the recalled batch"
    old = other._known.parts
    found = await other.load()
    kept = [part for digest, part in other._known.parts.items() if old.get(digest) is part]
    assert (len(kept), len(other._known.parts)) == (2, 3)
    assert same(found, catalogue_of(6, recalled=40))


async def test_a_process_that_holds_the_edition_asks_for_nothing_else(open_process: Open) -> None:
    process = await settled(open_process())
    first = await process.load()
    assert await process.load() is first
    assert process.tallies.from_memory == 2


async def test_nothing_of_the_catalogue_can_be_read_in_the_cache(
    cache: SeenCache, open_process: Open
) -> None:
    await settled(open_process())
    assert len(cache.values()) == 5
    for key, value in cache.values().items():
        assert "青禾".encode() not in value
        assert b"https" not in value
        assert len(key) <= 200


def flipped(value: bytes) -> bytes:
    return value[:40] + bytes([value[40] ^ 1]) + value[41:]


@pytest.mark.parametrize(
    "spoil",
    [
        flipped,
        lambda value: value[:-1],
        lambda value: b"",
        lambda value: b"[5,{},[]]",
        lambda value: AesGcmSealing({1: OTHER_KEY}).seal(b"[6,{},[],[]]", about=b""),
    ],
    ids=["flipped", "cut", "empty", "plain", "another key"],
)
async def test_a_value_that_is_not_ours_is_refused_and_replaced(
    store: EditionedMemory, cache: SeenCache, open_process: Open, spoil: Callable[[bytes], bytes]
) -> None:
    await settled(open_process())
    for key, value in list(cache.values().items()):
        await cache.put(key, spoil(value), ttl_s=60)
        process = await settled(open_process())
        assert same(await process.load(), catalogue_of(5))
        assert (process.tallies.refused, process.tallies.from_store) == (2, 1)
        assert process._key(await named(store)) in cache.values()
        assert (await settled_reader(open_process())).tallies.from_cache == 1, (
            "what was spoiled is whole again"
        )


async def settled_reader(process: CachedCatalogues) -> CachedCatalogues:
    await process.load()
    return process


async def test_values_moved_to_other_places_lift_no_recall(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    """Whoever may write to Redis puts what was true before the recall in the place of what is true now."""
    await settled(open_process())
    old_key, old = open_process()._key(await named(store)), cache.values()
    store.become(catalogue_of(6, recalled=40))
    await settled(open_process())
    new_key = open_process()._key(await named(store))
    await cache.put(new_key, old[old_key], ttl_s=60)
    changed = [key for key in cache.values() if key not in old and key != new_key]
    parts = [key for key in old if key != old_key]
    process = await settled(open_process())
    assert same(await process.load(), catalogue_of(6, recalled=40))
    assert process.tallies.refused == 2
    for key in changed:
        for part in parts:
            await cache.put(key, old[part], ttl_s=60)
            process = await settled(open_process())
            assert same(await process.load(), catalogue_of(6, recalled=40))
            assert process.tallies.refused == 2


class PlacelessSealing(AesGcmSealing):
    """A planted fault: what is sealed opens in any place."""

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        return super().seal(plain, about=b"")

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        return super().open(sealed, about=b"")


async def test_a_seal_without_a_place_would_let_a_recall_be_lifted(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    await settled(open_process(sealing=PlacelessSealing))
    old = cache.values()
    store.become(catalogue_of(6, recalled=40))
    await settled(open_process(sealing=PlacelessSealing))
    new_key = open_process()._key(await named(store))
    [changed] = [key for key in cache.values() if key not in old and key != new_key]
    lifted = []
    for part in old.values():
        await cache.put(changed, part, ttl_s=60)
        found = await load_and_put(open_process(sealing=PlacelessSealing))
        lifted.append(len(found.batches) == 70 and not any(batch.recalled for batch in found.batches))
    assert sum(lifted) == 1, "the test above is worth something"


async def test_another_key_file_reads_and_is_read_nowhere(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    await settled(open_process())
    stranger = open_process(key=OTHER_KEY)
    assert same(await stranger.load(), catalogue_of(5))
    assert stranger.tallies.from_store == 1


async def test_a_missing_part_is_a_miss_and_put_again(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    await settled(open_process())
    for key in list(cache.values()):
        await cache.drop(key)
        process = await settled(open_process())
        assert (process.tallies.from_store, process.tallies.refused) == (1, 0)
        assert key in cache.values()


async def test_a_reader_that_died_is_waited_for_a_second_and_no_longer(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    process = open_process()
    await cache.claim(f"{process._key(await named(store))}:read", ttl_s=60)
    async with asyncio.timeout(30):
        assert same(await process.load(), catalogue_of(5))
    assert process.tallies.from_store == 1


async def test_a_cache_that_was_slow_to_say_nothing_is_not_asked_again(
    store: EditionedMemory, cache: SeenCache, open_process: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues_cached, "_SLOW_S", 0.0)
    process = open_process()
    await cache.claim(f"{process._key(await named(store))}:read", ttl_s=60)
    assert same((await settled_reader(process))._catalogue or catalogue_of(0), catalogue_of(5))
    assert process.tallies.from_store == 1


async def test_a_change_while_the_store_was_read_is_kept_under_its_own_edition(
    store: EditionedMemory, cache: SeenCache, open_process: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store.load

    async def changed_meanwhile() -> object:
        store.become(catalogue_of(6, recalled=9))
        return await read()

    process = open_process()
    with monkeypatch.context() as patch:
        patch.setattr(store, "load", changed_meanwhile)
        await settled(process)
    assert same(await process.load(), catalogue_of(6, recalled=9))
    assert (process.tallies.from_memory, store.loads) == (1, 1)
    assert (await settled_reader(open_process())).tallies.from_cache == 1


async def test_what_the_store_cannot_name_is_not_shared(
    store: EditionedMemory, cache: SeenCache, open_process: Open
) -> None:
    store.nameless = True
    process = open_process()
    for version in (5, 6):
        store.become(catalogue_of(version))
        assert same(await process.load(), catalogue_of(version))
    assert (process.tallies.from_store, cache.values()) == (2, {})


async def test_one_too_large_is_not_kept(
    cache: SeenCache, open_process: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.catalogues_cached._MOST_BYTES", 1000)
    process = await settled(open_process())
    assert (process.tallies.too_large, cache.values()) == (1, {})


async def test_a_failed_read_leaves_nothing_behind(
    store: EditionedMemory, cache: SeenCache, open_process: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> object:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(store, "load", fail)
        with pytest.raises(ConnectionResetError):
            await open_process().load()
    assert cache.values() == {}
