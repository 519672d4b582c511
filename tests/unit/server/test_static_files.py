from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from app.web.server import OWN_STATIC
from app.web.static_files import load_static_files
from channels.base import InboundRequest
from tests.fakes.clock import START

STYLE = b"body { color: #000 }\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "vendor").mkdir(parents=True)
    (folder / "page.css").write_bytes(STYLE)
    (folder / "vendor" / "reader.wasm").write_bytes(b"\0asm" + bytes(5000))
    (folder / "tiny.js").write_bytes(b"1")
    (folder / ".secret.css").write_bytes(b"x")
    (folder / "notes.md").write_bytes(b"x")
    return folder


def inbound(query: dict[str, str] | None = None, **headers: str) -> InboundRequest:
    return InboundRequest(
        method="GET",
        route="/static/x",
        path="/static/x",
        query=query or {},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        received_at=START,
    )


async def test_known_files_are_served_with_their_types(folder: Path) -> None:
    files = load_static_files([folder])
    assert {path: file.content_type for path, file in files.items()} == {
        "/static/page.css": "text/css",
        "/static/vendor/reader.wasm": "application/wasm",
        "/static/tiny.js": "text/javascript",
    }


async def test_compressed_once_and_whole(folder: Path) -> None:
    file = load_static_files([folder])["/static/page.css"]
    plain = await file.answer(inbound())
    assert plain.body == STYLE
    compressed = await file.answer(inbound(accept_encoding="gzip"))
    assert gzip.decompress(compressed.body) == STYLE
    assert ("Content-Encoding", "gzip") in compressed.headers
    assert dict(plain.headers)["ETag"] != dict(compressed.headers)["ETag"]


async def test_kept_for_ever_only_where_the_address_names_the_content(folder: Path) -> None:
    file = load_static_files([folder])["/static/page.css"]
    digest = hashlib.sha256(STYLE).hexdigest()
    rules = [
        dict((await file.answer(inbound({"v": version} if version else {}))).headers)["Cache-Control"]
        for version in (digest[:10], digest, "", digest[:3], "0" * 10)
    ]
    assert ["immutable" in rule for rule in rules] == [True, True, False, False, False]


async def test_what_the_browser_has_is_not_sent_again(folder: Path) -> None:
    file = load_static_files([folder])["/static/page.css"]
    tag = dict((await file.answer(inbound())).headers)["ETag"]
    again = await file.answer(inbound(if_none_match=f'"other", W/{tag}'))
    assert (again.status, again.body) == (304, b"")
    assert (await file.answer(inbound(if_none_match='"other"'))).status == 200


def test_two_folders_may_not_claim_one_address(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"/static/page\.css"):
        load_static_files([folder, folder])


def test_the_server_s_own_files_are_there() -> None:
    assert "/static/docs.css" in load_static_files([OWN_STATIC])
