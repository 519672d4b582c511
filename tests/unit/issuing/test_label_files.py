import os
import resource
import stat
import zipfile
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pyrage
import pytest

from app.core.errors import FileUnwritable, KeyMissing, RuleBroken
from app.issuing.codebook import LAYOUTS
from app.issuing.label_files import LabelFileOrder, LabelFileWriter
from app.issuing.label_lines import LabelLines
from tests.unit.issuing.labels import PREFIX, batch
from tests.unit.issuing.vectors import codebook

_CHECKPOINT = 10_000


def _writer() -> LabelFileWriter:
    return LabelFileWriter(codebook(), checkpoint_lines=_CHECKPOINT)


def _expected(layout: int, first: int, count: int) -> str:
    book, start = codebook(), LAYOUTS[layout].first_serial + first
    lines = ["serial,code,url\n"]
    for serial in range(start, start + count):
        code = book.make(serial, tag_key_id=1)
        lines.append(f"{serial},{code},{PREFIX}{code}\n")
    return "".join(lines)


@pytest.mark.parametrize("layout", [16, 20, 24])
@pytest.mark.parametrize("first", [0, 9_998, 999_999])
def test_lines_are_those_of_the_scalar_codebook(layout: int, first: int, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    made = _writer().write(LabelFileOrder(batch=batch(layout=layout, first=first, count=300), path=path))
    content = path.read_bytes()
    assert content.decode("ascii") == _expected(layout, first, 300)
    assert (made.lines, made.size_bytes, made.sha256) == (300, len(content), sha256(content).hexdigest())
    assert (tmp_path / "labels.csv.sha256").read_text() == f"{made.sha256}  labels.csv\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["labels.csv", "labels.csv.sha256"]
    assert all(stat.S_IMODE(entry.stat().st_mode) == 0o600 for entry in tmp_path.iterdir())


def test_the_last_labels_of_a_layout_can_be_written(tmp_path: Path) -> None:
    capacity = LAYOUTS[24].capacity
    path = tmp_path / "labels.csv"
    _writer().write(LabelFileOrder(batch=batch(layout=24, first=capacity - 3, count=3), path=path))
    assert path.read_text() == _expected(24, capacity - 3, 3)


def test_a_range_is_the_same_lines_as_in_the_whole_file(tmp_path: Path) -> None:
    order = batch(first=500, count=2_000)
    _writer().write(LabelFileOrder(batch=order, path=tmp_path / "whole.csv"))
    part = LabelFileOrder(
        batch=order,
        path=tmp_path / "some.csv",
        first_serial=order.first_serial + 700,
        last_serial=order.first_serial + 709,
    )
    assert _writer().write(part).lines == 10
    whole = (tmp_path / "whole.csv").read_text().splitlines()
    assert (tmp_path / "some.csv").read_text().splitlines() == [whole[0], *whole[701:711]]


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (0, 10), (6, 5)])
def test_serials_outside_the_batch_are_refused(first: int, last: int, tmp_path: Path) -> None:
    order = batch(count=10)
    with pytest.raises(RuleBroken, match="do not lie within batch 7"):
        _writer().write(
            LabelFileOrder(
                batch=order,
                path=tmp_path / "labels.csv",
                first_serial=order.first_serial + first,
                last_serial=order.first_serial + last,
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_imported_codes_and_missing_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleBroken, match="only digests"):
        _writer().write(LabelFileOrder(batch=batch(tag_key_id=None), path=tmp_path / "labels.csv"))
    with pytest.raises(ValueError, match="imported"):
        LabelLines(codebook(), batch(tag_key_id=None))
    with pytest.raises(KeyMissing, match="Tag key 9"):
        _writer().write(LabelFileOrder(batch=batch(tag_key_id=9), path=tmp_path / "labels.csv"))


class _BrokenOff(Exception):
    pass


def _break_off(order: LabelFileOrder, *, after: int) -> None:
    def stop(done: int, _total: int) -> None:
        if done >= after:
            raise _BrokenOff

    with pytest.raises(_BrokenOff):
        _writer().write(order, progress=stop)
    assert not order.path.exists()


@pytest.mark.parametrize("tail", [b"", b"20000000", b"\0" * 5_000])
def test_a_broken_off_export_is_resumed_and_gives_the_same_bytes(tail: bytes, tmp_path: Path) -> None:
    labels = batch(first=123, count=45_678)
    _writer().write(LabelFileOrder(batch=labels, path=tmp_path / "once.csv"))
    order = LabelFileOrder(batch=labels, path=tmp_path / "labels.csv")
    _break_off(order, after=30_000)
    with (tmp_path / "labels.csv.part").open("ab") as part:
        part.write(tail)
    steps: list[tuple[int, int]] = []
    resumed = _writer().write(order, progress=lambda done, total: steps.append((done, total)))
    assert resumed.resumed_at_line in {20_000, 30_000}
    assert steps[-1] == (45_678, 45_678)
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(steps))
    assert order.path.read_bytes() == (tmp_path / "once.csv").read_bytes()
    assert resumed.sha256 == sha256(order.path.read_bytes()).hexdigest()
    assert resumed.size_bytes == order.path.stat().st_size


def test_a_part_of_another_order_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    _break_off(LabelFileOrder(batch=batch(first=1, count=40_000), path=path), after=30_000)
    other = LabelFileOrder(batch=batch(first=2, count=40_000), path=path)
    assert _writer().write(other).resumed_at_line == 0
    again = LabelFileOrder(batch=batch(first=2, count=40_000), path=tmp_path / "again.csv")
    assert _writer().write(again).sha256 == sha256(path.read_bytes()).hexdigest()


def test_asking_again_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("labels.csv", "labels.zip"):
        order = LabelFileOrder(batch=batch(count=9_000), path=tmp_path / name)
        first = _writer().write(order)
        content = order.path.read_bytes()
        assert _writer().write(order) == first
        assert order.path.read_bytes() == content


def test_two_exports_of_one_file_at_once_are_refused(tmp_path: Path) -> None:
    order = LabelFileOrder(batch=batch(count=10), path=tmp_path / "labels.csv")

    def write_again(_done: int, _total: int) -> None:
        with pytest.raises(RuleBroken, match="Another export"):
            _writer().write(order)

    assert _writer().write(order, progress=write_again).lines == 10


@pytest.mark.parametrize(("name", "member"), [("labels.zip", "labels.csv"), ("a.csv.zip", "a.csv")])
def test_a_zip_holds_the_same_csv(name: str, member: str, tmp_path: Path) -> None:
    made = _writer().write(LabelFileOrder(batch=batch(count=20_000), path=tmp_path / name))
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.namelist() == [member]
        assert archive.testzip() is None
        assert archive.read(member).decode() == _expected(20, 0, 20_000)
    assert made.sha256 == sha256((tmp_path / name).read_bytes()).hexdigest()
    assert made.size_bytes == (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["labels.csv", "labels.csv.age", "labels.zip.age"])
def test_only_the_recipient_can_read_an_encrypted_file(name: str, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    order = LabelFileOrder(
        batch=batch(count=12_000), path=tmp_path / name, recipient=f" {identity.to_public()}\n"
    )
    made = _writer().write(order)
    sealed = order.path.read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1")
    assert b"200000000" not in sealed
    assert made.sha256 == sha256(sealed).hexdigest()
    content = pyrage.decrypt(sealed, [identity])
    if ".zip" in name:
        (tmp_path / "opened.zip").write_bytes(content)
        with zipfile.ZipFile(tmp_path / "opened.zip") as archive:
            content = archive.read("labels.csv")
    assert content.decode() == _expected(20, 0, 12_000)


def test_a_wrong_recipient_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    order = LabelFileOrder(batch=batch(), path=tmp_path / "labels.csv", recipient="age1nonsense")
    with pytest.raises(RuleBroken, match="age public key"):
        _writer().write(order)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_said_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnwritable, match="Check the folder"):
        _writer().write(LabelFileOrder(batch=batch(), path=tmp_path / "file" / "labels.csv"))


@pytest.mark.parametrize("name", ["labels.csv", "labels.csv.age"])
def test_a_full_disk_leaves_the_target_as_it_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("an earlier file")
    recipient = str(pyrage.x25519.Identity.generate().to_public()) if name.endswith(".age") else None
    order = LabelFileOrder(batch=batch(count=50_000), path=path, recipient=recipient)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(FileUnwritable, match="labels"):
            _writer().write(order)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "an earlier file"


def test_a_million_lines_take_no_more_memory_than_ten_thousand(tmp_path: Path) -> None:
    writer = LabelFileWriter(codebook())
    writer.write(LabelFileOrder(batch=batch(count=10_000), path=tmp_path / "small.csv"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = writer.write(LabelFileOrder(batch=batch(count=1_000_000), path=tmp_path / "large.csv"))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert made.lines == 1_000_000
    assert grown_kib < 16 * 1024
    with (tmp_path / "large.csv").open("rb") as file:
        file.seek(-200, os.SEEK_END)
        last = file.read().decode().splitlines()[-1]
    serial = LAYOUTS[20].first_serial + 999_999
    code = codebook().make(serial, tag_key_id=1)
    assert last == f"{serial},{code},{PREFIX}{code}"
