"""A folder for one input at a time, and every reader of files over it with what must hold of what it reads."""

from __future__ import annotations

import os
import re
import shutil
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from app.adapters.clock import SystemClock
from app.adapters.storage.backups import Census, Manifest, seal, unseal
from app.issuing.code_lists import read_code_list
from app.issuing.imports import CodeImport
from app.issuing.key_file import KeyFile
from app.issuing.label_files import LabelFileOrder, LabelFileWriter
from app.issuing.recogniser import CodebookRecogniser
from app.settings.tree import load_settings
from app.speech.sound import mu_law, read_duration_ms, read_samples
from channels.sms.dialect import IncomingText
from channels.sms.gateway.description import GatewayDescription
from channels.sms.gateway.items import MOST_ITEMS, read_item, split_items
from channels.sms.gateway.loading import load_descriptions
from tests.fakes.clock import START
from tests.fakes.sample_service import fixed_keyring, sample_catalogue
from tests.proof.fuzz.engine import Breach
from tests.proof.fuzz.parsers_text import own_codes
from tests.unit.issuing.fake_registry import FakeLabelRegistry
from tests.unit.issuing.labels import batch
from tests.unit.issuing.vectors import codebook
from tests.unit.sms.gateway_samples import CREDENTIALS, options

_ZONE = ZoneInfo("Asia/Shanghai")


class Drawer:
    """A folder that holds one input at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "input"
        self.whole = b""

    def put(self, data: bytes) -> Path:
        self.path.write_bytes(data)
        self.path.chmod(0o600)
        return self.path

    def settings(self, data: bytes) -> None:
        load_settings(config=self.put(data))

    def environment(self, data: bytes) -> None:
        """Lines of ``NAME=value``, as a process is started with them."""
        before = dict(os.environ)
        try:
            for line in data.decode("utf-8", "replace").replace("\0", "").split("\n"):
                name, separator, value = line.partition("=")
                if separator and re.fullmatch("YANZHEN_[A-Z_]+", name):
                    os.environ[name] = value.encode("utf-8", "replace").decode()
            load_settings()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def descriptions(self, data: bytes) -> None:
        path = self.put(data)
        (description,) = load_descriptions(options(str(path), credentials=CREDENTIALS))
        split_and_read(
            description, b'{"from": "13800138000", "body": "1", "to": "2", "id": "7", "at": 1772673120000}'
        )

    def keys(self, data: bytes) -> None:
        ring = KeyFile(self.put(data)).load()
        ring.checks()
        ring.codebook().make(20 * 10**15, tag_key_id=ring.current_tag_key_id)

    def codes(self, data: bytes) -> None:
        """What an import takes are the lines' own codes, one a line, none of ours; it is all of the list or none."""
        path = self.put(data)
        ring = fixed_keyring()
        catalogue = sample_catalogue(ring)
        registry = FakeLabelRegistry()
        recogniser = CodebookRecogniser(lambda: ring)
        clock = SystemClock()
        taken = CodeImport(registry, catalogues=registry, recogniser=recogniser, clock=clock)._check(
            path, catalogue
        )
        listed = [one.text for one in read_code_list(path)]
        text = data.decode("utf-8", "replace")
        if taken.count != len(listed) or len(set(listed)) != len(listed):
            raise Breach("not every line was taken, or one twice")
        if not all(
            one.isascii() and one.isdigit() and len(one) == taken.digits and one in text for one in listed
        ):
            raise Breach("a code that no line holds")
        if set(listed) & set(own_codes()):
            raise Breach("a code of our own was taken")

    def backup(self, data: bytes) -> None:
        """A file whose checksum is right, whatever is in it."""
        body = data[:-64]
        path = self.put(body + sha256(body).hexdigest().encode())
        target = self.folder / "laid out"
        target.mkdir()
        try:
            unseal(path, target)
            if any(not one.is_file() or one.is_symlink() for one in target.iterdir()):
                raise Breach("something else than a file was laid out")
            if {one.name for one in self.folder.iterdir()} - {"input", "laid out"}:
                raise Breach("something was laid out elsewhere")
        finally:
            shutil.rmtree(target)

    def backup_as_is(self, data: bytes) -> None:
        path = self.put(data)
        target = self.folder / "laid out"
        target.mkdir()
        try:
            unseal(path, target)
            if data[-64:] != sha256(data[:-64]).hexdigest().encode():
                raise Breach("a damaged file was taken")
        finally:
            shutil.rmtree(target)

    def recording(self, data: bytes) -> None:
        path = self.put(data)
        ms = read_duration_ms(path)
        samples = read_samples(path)
        if len(samples) * 1000 // 8000 != ms or not ms <= len(data) or len(mu_law(samples)) != len(samples):
            raise Breach("another length than the header says")

    def part(self, data: bytes) -> None:
        """A label file goes on from what a broken-off export left where its first and last line are the order's;
        what lies between is the disk's to keep.
        """
        order = LabelFileOrder(batch=batch(layout=20, first=0, count=45), path=self.folder / "labels.csv")
        (self.folder / "labels.csv.part").write_bytes(data)
        try:
            made = LabelFileWriter(codebook(), checkpoint_lines=10).write(order)
            content, whole = order.path.read_bytes(), self.whole
            width = (len(whole) - whole.index(b"\n") - 1) // 45
            kept = whole.index(b"\n") + 1 + made.resumed_at_line * width if made.resumed_at_line else 0
            if (
                content != data[:kept] + whole[kept:]
                or data[kept - width : kept] != whole[kept - width : kept]
            ):
                raise Breach("the file is not whole")
            if (len(content), sha256(content).hexdigest()) != (made.size_bytes, made.sha256):
                raise Breach("the sum is another file's")
        finally:
            for one in self.folder.glob("labels.csv*"):
                one.unlink()


def split_and_read(description: GatewayDescription, body: bytes) -> None:
    """Read a callback's items; every text stands in the body's own fields. Raises ``Undecodable``."""
    items = split_items(body, description)
    if not 0 <= len(items) <= MOST_ITEMS:
        raise Breach("too many items")
    for item in items:
        found = read_item(item, description, _ZONE, START)
        if isinstance(found, IncomingText):
            if not found.message_id or not 3 <= sum(char.isdigit() for char in found.sender) <= 24:
                raise Breach("a text without an id or a number")
            found.text.encode()


def make_backup(folder: Path) -> bytes:
    content = folder / "content"
    content.mkdir()
    (content / "record.db").write_bytes(b"SQLite format 3\0" + bytes(200))
    manifest = Manifest(
        store="sqlite",
        created_at="2026-03-05T01:12:00+00:00",
        program="0.1.0",
        census=Census(schema=("0001-record", "0002-outbox"), rows={"facts": 3}),
    )
    seal(content, manifest, folder / "made")
    data = (folder / "made").read_bytes()
    shutil.rmtree(content)
    (folder / "made").unlink()
    # the archive notes when it was made: always the same here, so that every run is
    at_noon = b"\0\x60\x65\x5c"
    data = re.sub(rb"(PK\x03\x04.{6}).{4}", lambda found: found[1] + at_noon, data, flags=re.DOTALL)
    data = re.sub(rb"(PK\x01\x02.{8}).{4}", lambda found: found[1] + at_noon, data[:-64], flags=re.DOTALL)
    return data + sha256(data).hexdigest().encode()


def make_label_file(folder: Path) -> bytes:
    path = folder / "labels.csv"
    LabelFileWriter(codebook()).write(LabelFileOrder(batch=batch(layout=20, first=0, count=45), path=path))
    data = path.read_bytes()
    for one in folder.glob("labels.csv*"):
        one.unlink()
    return data
