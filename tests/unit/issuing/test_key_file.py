import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from app.core.errors import FileUnwritable, KeyFileInvalid, KeyMissing, RuleBroken
from app.issuing.codebook import LAYOUTS
from app.issuing.key_file import KeyFile, mode_is_private
from app.issuing.keyring import KeptKey, Keyring, SecretName

_AT = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "var" / "keys.json")


def test_a_new_file_is_for_its_owner_only_and_reads_back(file: KeyFile) -> None:
    made = file.create(now=_AT)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert file.load() == made
    assert made.permutation_keys.keys() == LAYOUTS.keys()
    assert set(made.secrets) == set(SecretName)
    keys = [*made.permutation_keys.values(), *(k.key for k in made.tag_keys)]
    keys += [kept.key for kept_keys in made.secrets.values() for kept in kept_keys]
    assert len(set(keys)) == len(keys) == 8
    assert "backup" in json.loads(file.path.read_text())["notice"]
    assert sorted(entry.name for entry in file.path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_an_existing_file_is_never_replaced_by_new_keys(file: KeyFile) -> None:
    file.create(now=_AT)
    before = file.path.read_bytes()
    with pytest.raises(RuleBroken, match="left alone"):
        file.create(now=_AT)
    assert file.path.read_bytes() == before


def test_rotation_adds_a_tag_key_and_keeps_all_others(file: KeyFile) -> None:
    first = file.create(now=_AT)
    second = file.rotate(now=_AT)
    assert file.load() == second
    assert second.tag_keys[:-1] == first.tag_keys
    assert (first.current_tag_key_id, second.current_tag_key_id) == (1, 2)
    assert (second.permutation_keys, second.secrets) == (first.permutation_keys, first.secrets)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_rotations_at_once_lose_no_key_and_readers_always_see_a_whole_file(file: KeyFile) -> None:
    file.create(now=_AT)
    done = Event()

    def read() -> int:
        seen = 0
        while not done.is_set():
            seen = max(seen, file.load().current_tag_key_id)
        return seen

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        writers = [pool.submit(lambda: [file.rotate(now=_AT) for _ in range(5)]) for _ in range(4)]
        for writer in writers:
            writer.result()
        done.set()
        assert 1 <= reader.result() <= 21
    assert [kept.id for kept in file.load().tag_keys] == list(range(1, 22))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_open_is_refused(mode: int, file: KeyFile) -> None:
    file.create(now=_AT)
    file.path.chmod(mode)
    with pytest.raises(KeyFileInvalid, match="chmod 600"):
        file.load()


def test_a_read_only_mount_of_secrets_may_be_readable_by_a_group() -> None:
    assert mode_is_private(0o100440, read_only_mount=True)
    assert not mode_is_private(0o100440, read_only_mount=False)
    assert not mode_is_private(0o100460, read_only_mount=True)
    assert mode_is_private(0o100600, read_only_mount=False)


def test_a_missing_file_says_what_to_do(file: KeyFile) -> None:
    assert not file.exists()
    with pytest.raises(KeyMissing, match=r"no key file .* backup"):
        file.load()
    with pytest.raises(KeyMissing, match="backup"):
        file.rotate(now=_AT)
    assert not file.exists()


def test_a_folder_in_its_place_is_unreadable(file: KeyFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(KeyFileInvalid, match="cannot be read"):
        file.load()


def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnwritable, match="cannot be written"):
        KeyFile(tmp_path / "file" / "keys.json").create(now=_AT)


def _changed(file: KeyFile, **fields: object) -> str:
    value = json.loads(file.path.read_text())
    value.update(fields)
    return json.dumps(value)


@pytest.mark.parametrize("name", ["format", "version", "permutation", "tag", "secrets"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [{}], {"x": 1}, [[]], {"99": "00" * 32}])
def test_a_field_of_the_wrong_kind_is_refused_without_showing_keys(
    name: str, value: object, file: KeyFile
) -> None:
    ring = file.create(now=_AT)
    file.path.write_text(_changed(file, **{name: value}))
    with pytest.raises(KeyFileInvalid, match=r"not a key file .* backup") as refused:
        file.load()
    assert not any(kept.key.hex() in str(refused.value) for kept in ring.tag_keys)


@pytest.mark.parametrize(
    "tag",
    [
        [{"id": 1, "created_at": "2026-11-01T00:00:00+00:00", "key": "00" * 31}],
        [{"id": 1, "created_at": "2026-11-01T00:00:00+00:00", "key": "zz" * 32}],
        [{"id": 0, "created_at": "2026-11-01T00:00:00+00:00", "key": "00" * 32}],
        [{"id": 65536, "created_at": "2026-11-01T00:00:00+00:00", "key": "00" * 32}],
        [{"id": 1, "created_at": "yesterday", "key": "00" * 32}],
        [{"id": 1, "created_at": "2026-11-01T00:00:00+00:00", "key": "00" * 32}] * 2,
    ],
)
def test_odd_tag_keys_are_refused(tag: object, file: KeyFile) -> None:
    file.create(now=_AT)
    file.path.write_text(_changed(file, tag=tag))
    with pytest.raises(KeyFileInvalid, match="backup"):
        file.load()


@pytest.mark.parametrize("text", ["", "{", "not json", "\0\0", "[" * 100_000])
def test_a_damaged_file_is_refused(text: str, file: KeyFile) -> None:
    file.create(now=_AT)
    file.path.write_text(text)
    with pytest.raises(KeyFileInvalid, match="backup"):
        file.load()


def test_a_failed_write_leaves_the_old_keys(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = file.create(now=_AT)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileUnwritable, match="No space left"):
        file.rotate(now=_AT)
    assert file.load() == ring
    assert sorted(entry.name for entry in file.path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_check_values_recognise_a_wrong_or_a_lost_key(file: KeyFile) -> None:
    ring = file.create(now=_AT)
    stored = dict(ring.checks())
    assert set(stored) == {
        "permutation/16",
        "permutation/20",
        "permutation/24",
        "tag/1",
        "caller/1",
        "message/1",
        "digest/1",
        "result/1",
    }
    rotated = file.rotate(now=_AT)
    assert rotated.fits(stored)
    assert not ring.fits(rotated.checks())
    assert not Keyring.fresh(now=_AT).fits(stored)
    assert ring.fits({})
    keys = {kept.key.hex() for kept in ring.tag_keys}
    assert not any(value in key for value in stored.values() for key in keys)


def test_repr_shows_no_key(file: KeyFile) -> None:
    ring = file.create(now=_AT)
    shown = repr(ring) + repr(ring.codebook())
    every = [*ring.permutation_keys.values(), ring.tag_keys[0].key, ring.secret(SecretName.CALLER).key]
    assert not any(key.hex() in shown or repr(key) in shown for key in every)


def test_keys_have_one_size_and_ids_an_end() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeptKey(id=1, key=b"short", created_at=_AT)
    ring = Keyring.fresh(now=_AT)
    last = KeptKey(id=65535, key=bytes(32), created_at=_AT)
    full = Keyring(permutation_keys={}, tag_keys=(*ring.tag_keys, last), secrets={})
    with pytest.raises(RuleBroken, match="65,535"):
        full.with_new_tag_key(now=_AT)
