"""What is opened, sealed, read and written without the platform's library is what the library does."""

from __future__ import annotations

import struct
from base64 import b64encode

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wechatpy.crypto import PrpCrypto
from wechatpy.exceptions import InvalidAppIdException

from app.core.errors import Undecodable
from channels.wechat import documents
from channels.wechat.documents import Fields, read_xml
from channels.wechat.incoming import Written, _said, read_incoming
from channels.wechat.library import Cipher, message_of, messages
from tests.contract.channel.wechat_bindings import NOW, OPENID

_KEY, _APP = bytes(range(32)), "wx0123456789abcdef"
_OURS = Cipher(_KEY, _APP)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


class _Theirs(PrpCrypto):  # type: ignore[misc]
    prefix = b""

    def get_random_string(self) -> bytes:
        return self.prefix


def _opened_by_the_library(sealed: str) -> str | None:
    try:
        return str(PrpCrypto(_KEY).decrypt(sealed, _APP))
    except (InvalidAppIdException, ValueError, IndexError, struct.error):
        return None


@given(texts=st.lists(st.tuples(_TEXTS, st.binary(min_size=16, max_size=16)), min_size=1, max_size=4))
def test_one_cipher_seals_and_opens_as_a_fresh_one_of_the_library(texts: list[tuple[str, bytes]]) -> None:
    for text, prefix in texts:
        library = _Theirs(_KEY)
        library.prefix = prefix
        sealed = library.encrypt(text, _APP).decode()
        assert _OURS.seal(text, prefix) == sealed
        assert _OURS.unseal(sealed) == text == _opened_by_the_library(sealed)


@settings(max_examples=400)
@given(
    sealed=st.one_of(
        st.text(max_size=30),
        st.binary(max_size=80).map(lambda octets: b64encode(octets).decode()),
        st.integers(0, 5)
        .flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n))
        .map(lambda b: b64encode(b).decode()),
    )
)
def test_noise_opens_for_neither(sealed: str) -> None:
    assert _OURS.unseal(sealed) == _opened_by_the_library(sealed)
    assert _OURS.unseal(Cipher(_KEY, "another").seal("x", bytes(16))) is None
    assert _OURS.unseal(_OURS.seal("after noise", bytes(16))) == "after noise"


_NAMES = st.sampled_from(["ToUserName", "Content", "a", "x-1", "A.b", "xml", "1a", "a:b", "内容"])
_INSIDE = st.one_of(
    _TEXTS.map(lambda text: f"<![CDATA[{text}]]>"),
    st.sampled_from(
        [
            "",
            "17",
            " 17 ",
            "a&amp;b",
            "<![CDATA[ ]]>",
            "<b>1</b>",
            "<![CDATA[<a>1</a>]]>",
            "<![CDATA[\r\n\t]]>",
            "é",
            "]]>",
        ]
    ),
)
_GAPS = st.sampled_from(["", "\n", " ", "\r\n", "text", "<!-- -->"])


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    inner = [
        f"<{name}>{inside}</{draw(st.sampled_from([name, name, name, 'other']))}>{draw(_GAPS)}"
        for name, inside in draw(st.lists(st.tuples(_NAMES, _INSIDE), max_size=4))
    ]
    return (draw(st.sampled_from(["", "\ufeff"])) + f"<xml>{draw(_GAPS)}{''.join(inner)}</xml>").encode()


@settings(max_examples=800)
@given(body=_documents())
@example(body="<xml><a><![CDATA[\ufffe]]></a></xml>".encode())
@example(body=b"<xml><a>1</a><a>2</a></xml>")
@example(body=b"<xml></xml>")
@example(body=b"<xml>" + b"".join(b"<a%d>1</a%d>" % (n, n) for n in range(257)) + b"</xml>")
def test_a_document_is_read_as_by_the_parser(body: bytes) -> None:
    def read(way: object) -> Fields | None:
        assert callable(way)
        try:
            return way(body)  # type: ignore[no-any-return]
        except Undecodable:
            return None

    assert read(read_xml) == read(documents._parse)


def test_the_usual_message_goes_the_short_way() -> None:
    text = (
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<CreateTime>1348831860</CreateTime>\n"
        "<Content><![CDATA[查一下 1234]]></Content>\n<MsgId>1234567890123456</MsgId>\n</xml>"
    )
    assert documents._find_flat(text) is not None


@given(content=st.one_of(st.none(), _TEXTS, st.dictionaries(_TEXTS, _TEXTS, max_size=2)))
def test_a_text_message_is_what_the_library_says(content: str | dict[str, str] | None) -> None:
    fields: dict[str, str | dict[str, str]] = {
        "ToUserName": "gh_1",
        "FromUserName": OPENID,
        "CreateTime": str(NOW),
        "MsgType": "text",
        "MsgId": "1",
    }
    if content is not None:
        fields["Content"] = content
    theirs = message_of("text", fields)
    assert isinstance(theirs, messages.TextMessage)
    assert read_incoming(fields).content == Written(text=_said(theirs.content))
