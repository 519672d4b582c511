"""Whatever is said is read as it was said, and whatever was changed on the way is refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from xml.parsers import expat
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wechatpy import parse_message
from wechatpy.replies import TextReply

from app.core.errors import NotAuthentic, Undecodable
from channels.wechat.answers import Letterhead, cdata, text_reply
from channels.wechat.crypto import MessageKeys
from channels.wechat.documents import find_envelope, read_document, read_xml
from channels.wechat.envelope import Envelopes
from channels.wechat.incoming import read_incoming
from channels.wechat.simulate import text_message
from tests.contract.channel.wechat_bindings import KEY, MINI_PROGRAM, NOW, OFFICIAL, OPENID, brought

HEAD = Letterhead(account="gh_1", openid=OPENID, created_at=str(NOW))
KEYS = MessageKeys((KEY,), "wx1", account="it")
_XML = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
_NAMES = st.from_regex("[A-Z][A-Za-z_]{0,12}", fullmatch=True).filter(lambda name: name != "MsgType")
_KINDS = ["text", "voice", "image", "location", "link", "event", "miniprogrampage", "shortvideo", "unknown"]
_EVENTS = [
    "subscribe",
    "SCAN",
    "LOCATION",
    "CLICK",
    "scancode_waitmsg",
    "user_enter_tempsession",
    "VIEW",
    "x",
]


@given(st.text(_XML))
@example("]]>")
@example("]]]]><![CDATA[>")
@example("</Content><Content>")
@example("&amp;&#0;")
def test_any_text_arrives_as_it_was_said(text: str) -> None:
    sealed = KEYS.seal(text_reply(HEAD, text), about="1")
    fields = read_xml(KEYS.unseal(sealed).text.encode())
    assert fields["Content"] == text.strip(" ")
    assert set(fields) == {"MsgType", "FromUserName", "ToUserName", "CreateTime", "Content"}


@given(st.text())
def test_a_text_of_any_characters_leaves_as_xml(text: str) -> None:
    assert read_xml(text_reply(HEAD, text).encode())["FromUserName"] == "gh_1"


@given(st.text(_XML), st.integers(0, 10**10))
def test_a_text_leaves_byte_for_byte_as_the_library_writes_it(text: str, time: int) -> None:
    head = Letterhead(account="gh_1", openid=OPENID, created_at=str(time))
    reply = TextReply(source="gh_1", target=OPENID, time=time, content=cdata(text))
    assert text_reply(head, text) == reply.render()


def _element(name: str, found: str | dict[str, str], *, section: bool) -> str:
    if isinstance(found, dict):
        return (
            f"<{name}>{''.join(_element(one, text, section=section) for one, text in found.items())}</{name}>"
        )
    text = f"<![CDATA[{cdata(found)}]]>" if section else escape(found)
    return f"<{name}>{text}</{name}>"


@given(
    st.dictionaries(_NAMES, st.text(_XML) | st.dictionaries(_NAMES, st.text(_XML), min_size=1), max_size=12),
    st.booleans(),
    st.sampled_from(["", "\ufeff", '<?xml version="1.0"?>\n', '<?xml version="1.0" encoding="UTF-8" ?>']),
)
@example({"Content": "<!DOCTYPE xml [<!ENTITY a 'b'>]>"}, True, "")
@example({"Content": "<!-- <![CDATA[ <?php ?>"}, True, "")
def test_fields_are_those_the_library_reads(
    fields: dict[str, str | dict[str, str]], section: bool, head: str
) -> None:
    """Blanks at the ends of a text are nobody's, and neither reads them; the library calls nothing None."""
    fields = {"MsgType": "text", **fields}
    body = f"{head}<xml>{''.join(_element(name, f, section=section) for name, f in fields.items())}</xml>"
    theirs = parse_message(body.encode())._data  # its fields as they came, before it reads any as a number
    ours = read_xml(body.encode())
    assert {name: _stripped(found) for name, found in theirs.items()} == {
        name: _stripped(found) for name, found in ours.items()
    }


_SPACES = st.text(" \n\t\r", max_size=3)


@given(
    st.from_regex("[0-9A-Za-z_.@-]{1,20}", fullmatch=True),
    st.text("0189AZaz+/=", min_size=1),
    _SPACES,
    _SPACES,
    st.sampled_from(["", " ", "x", "]]>", "<a/>", "<!---->", "\0", "é"]),
    st.integers(0, 400),
)
def test_an_envelope_is_found_only_where_it_is_read_alike(
    account: str, encrypted: str, first: str, second: str, more: str, place: int
) -> None:
    plain = (
        f"<xml>{first}<ToUserName><![CDATA[{account}]]></ToUserName>"
        f"{second}<Encrypt><![CDATA[{encrypted}]]></Encrypt>{first}</xml>"
    )
    assert find_envelope(plain.encode()) == read_xml(plain.encode())
    spoilt = f"{plain[:place]}{more}{plain[place:]}".encode()
    found = find_envelope(spoilt)
    assert found is None or found == read_xml(spoilt)


def _stripped(found: str | Mapping[str, str | None] | None) -> str | dict[str, str]:
    if isinstance(found, Mapping):
        return {name: (text or "").strip() for name, text in found.items()}
    return (found or "").strip()


@given(st.text("<>!?-[]CDATA xmla/&;\"'", max_size=60))
@example("<![CDATA[<!--]]><!-- -->")
@example("<!-- <![CDATA[ --> ]]>")
@example("<![CDATA[<![CDATA[]]>]]>")
@example("<a b='<![CDATA['/>")
def test_markup_is_found_wherever_the_parser_finds_it(inside: str) -> None:
    """What is read without trouble holds no comment, instruction or document type by the parser's own account."""
    body = f"<xml><a>1</a>{inside}</xml>".encode()
    seen: list[str] = []
    parser = expat.ParserCreate("utf-8")
    parser.CommentHandler = lambda _: seen.append("comment")
    parser.ProcessingInstructionHandler = lambda *_: seen.append("instruction")
    parser.StartDoctypeDeclHandler = lambda *_: seen.append("document type")
    with suppress(expat.ExpatError):
        parser.Parse(body, True)
    try:
        read_xml(body)
    except Undecodable:
        return
    assert not seen


@pytest.mark.parametrize("as_json", [False, True])
def test_no_bit_of_an_encrypted_body_may_change(as_json: bool) -> None:
    message = text_message("12345678901234567890", openid=OPENID, message_id=7, created_at=NOW)
    request = brought(MINI_PROGRAM, message, as_json=as_json)
    envelopes = Envelopes(MINI_PROGRAM, reads_json=True)
    assert envelopes.open(request).fields
    for position in range(len(request.body) * 8):
        changed = bytearray(request.body)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(NotAuthentic):
            envelopes.open(replace(request, body=bytes(changed)))


@given(st.binary(max_size=2_000))
@example(b"{" * 2_000)
@example(b"<xml>" * 400)
def test_a_body_of_any_bytes_is_read_or_refused(body: bytes) -> None:
    with suppress(Undecodable):
        read_document(body)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "ToUserName": st.just("gh_1"),
            "FromUserName": st.just(OPENID),
            "CreateTime": st.just("1"),
            "MsgId": st.just("1"),
            "MsgType": st.sampled_from(_KINDS),
            "Event": st.sampled_from(_EVENTS),
            **{
                name: st.text() | st.dictionaries(st.text(), st.text(), max_size=2)
                for name in (
                    "Content", "Recognition", "Url", "PagePath", "EventKey", "ScanCodeInfo", "Label",
                    "Location_X", "Location_Y", "Latitude", "Longitude",
                )
            },
        },
    )
)  # fmt: skip
def test_fields_of_any_sort_are_read_or_refused(fields: dict[str, str | dict[str, str]]) -> None:
    with suppress(Undecodable):
        assert OPENID not in repr(read_incoming(fields))


@given(st.text(max_size=100), st.sampled_from(["timestamp", "nonce", "msg_signature", "encrypt_type"]))
def test_no_part_of_the_address_may_change(text: str, name: str) -> None:
    request = brought(OFFICIAL, text_message("1", openid=OPENID, message_id=7, created_at=NOW))
    if request.query[name] != text:
        with pytest.raises(NotAuthentic):
            Envelopes(OFFICIAL, reads_json=False).open(replace(request, query={**request.query, name: text}))
