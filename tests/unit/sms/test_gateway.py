"""Gateways that do not sign: the three documented shapes, batches, times, repeats, and who is let in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import NotAuthentic, Undecodable
from channels.base import InboundRequest, Refusal, RefusalKind
from channels.sms.dialect import IncomingText
from channels.sms.gateway.dialect import GatewayDialect, load_gateways
from channels.sms.settings import GatewayOptions
from channels.turns import Ignored
from tests.fakes.clock import START
from tests.fakes.fake_calls import FakeCalls
from tests.unit.sms.gateway_samples import (
    FIXTURES,
    OLD_SECRET,
    SECRET,
    SENDING,
    alibaba_item,
    described,
    fixture,
    request,
    shipped,
)

SENT_AT = datetime(2026, 3, 5, 1, 11, 58, tzinfo=UTC)
BAD, STALE = Ignored(why="bad_item"), Ignored(why="stale")
FORM = """
name = "letters"
[request]
body = "form"
text_encoding = "url"
[fields]
sender = "src"
text = "msg"
[time]
field = "ts"
format = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
[success]
body = "0"
[failure]
status = 200
body = "1"
"""


def texts(dialect: GatewayDialect, body: object, **other: datetime) -> list[IncomingText]:
    found = dialect.decode(request(body, **other))
    return [item for item in found if isinstance(item, IncomingText)]


# -- the documented shapes --------------------------------------------------------------------------------------


def test_alibaba_brings_an_array() -> None:
    first, second = shipped("alibaba").decode(request((FIXTURES / "alibaba_smsup.json").read_bytes()))
    assert isinstance(first, IncomingText)
    assert isinstance(second, IncomingText)
    assert (first.sender, first.ours, first.text) == ("13812345678", "0417", "77318 20459 16630 28471")
    assert first.sent_at == SENT_AT  # 09:11:58 in Beijing, which the provider does not say
    assert second.text == "帮我查一下 77318204591663028471 谢谢"
    assert first.message_id.startswith("d-")
    assert first.message_id != second.message_id
    assert first.alias_id == second.alias_id == ""


def test_tencent_brings_an_object_with_the_country_beside_the_number() -> None:
    (text,) = shipped("tencent").decode(request((FIXTURES / "tencent_reply.json").read_bytes()))
    assert isinstance(text, IncomingText)
    assert (text.sender, text.ours, text.sent_at) == ("+8613812345678", "", SENT_AT)


def test_baidu_brings_an_object_in_utc() -> None:
    (text,) = shipped("baidu").decode(request((FIXTURES / "baidu_uplink.json").read_bytes()))
    assert isinstance(text, IncomingText)
    assert (text.sender, text.text, text.sent_at) == ("13812345678", "77318204591663028471", SENT_AT)


@pytest.mark.parametrize(
    ("name", "success"),
    [
        ("alibaba", {"code": 0, "msg": "OK"}),
        ("tencent", {"result": 0, "errmsg": "OK"}),
        ("baidu", {"code": 0, "message": "OK"}),
    ],
)
def test_a_delivery_is_taken_in_the_providers_words_and_a_text_never_goes_with_it(
    name: str, success: object
) -> None:
    dialect = shipped(name)
    quiet = dialect.say(request({}), "")
    assert (quiet.status, quiet.content_type) == (200, "application/json")
    assert json.loads(quiet.body) == success
    assert dialect.say(request({}), "正品") == quiet
    assert not dialect.in_band
    assert dialect.reply_by == "kannel"
    assert dialect.senders() == dialect.listeners() == ()
    (route,) = dialect.routes()
    assert (route.method, route.path) == ("POST", f"/channels/sms/gateway/{name}/{{secret}}")
    assert route.max_body_bytes == 65536


# -- batches ----------------------------------------------------------------------------------------------------

BAD_ITEMS = (
    None,
    7,
    "text",
    [],
    {},
    alibaba_item(phone_number=None),
    alibaba_item(phone_number=""),
    alibaba_item(phone_number="138****5678"),
    alibaba_item(phone_number=True),
    alibaba_item(phone_number=["13812345678"]),
    alibaba_item(content=None),
    alibaba_item(content=12),
    alibaba_item(dest_code={"a": 1}),
    alibaba_item(dest_code="1" * 201),
    alibaba_item(send_time=None),
    alibaba_item(send_time="yesterday"),
    alibaba_item(send_time=1772673118),
    alibaba_item(send_time="2026-03-05"),
    alibaba_item(send_time="0001-01-01 00:00:00"),
)


@pytest.mark.parametrize("bad", BAD_ITEMS)
def test_a_bad_item_does_not_lose_the_good_ones(bad: object) -> None:
    good, other = fixture("alibaba_smsup")
    dialect = shipped("alibaba")
    found = dialect.decode(request([good, bad, other]))
    assert found == (*dialect.decode(request([good])), BAD, *dialect.decode(request([other])))


def test_an_endless_number_loses_its_own_item_alone() -> None:
    body = b'[{"phone_number": %s}, %s]' % (b"9" * 6000, json.dumps(alibaba_item()).encode())
    bad, good = shipped("alibaba").decode(request(body))
    assert bad == BAD
    assert isinstance(good, IncomingText)


def test_items_keep_their_order_and_number_is_bounded() -> None:
    dialect = shipped("alibaba")
    batch = [alibaba_item(content=str(place)) for place in range(500)]
    assert [text.text for text in texts(dialect, batch)] == [str(place) for place in range(500)]
    with pytest.raises(Undecodable):
        dialect.decode(request([*batch, alibaba_item()]))
    assert dialect.decode(request([])) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[",
        b"{}",
        b"7",
        b"null",
        b'"a"',
        b"[NaN]",
        b"[Infinity]",
        b"[" * 60_000,
        '["\x00"]',
    ],
)
def test_another_form_is_refused(body: object) -> None:
    with pytest.raises(Undecodable):
        shipped("alibaba").decode(request(body.encode() if isinstance(body, str) else body))


def test_an_array_is_no_object() -> None:
    with pytest.raises(Undecodable):
        shipped("baidu").decode(request([fixture("baidu_uplink")]))
    assert len(texts(shipped("tencent"), [fixture("tencent_reply")] * 2)) == 2  # either is described


def test_a_member_may_hold_the_items(tmp_path: Path) -> None:
    text = SENDING.replace('"json_object"', '"json_array"\nitems = "items"')
    dialect = described(tmp_path, text, credentials=(("account", "a"), ("apikey", "b")))
    item = {"from": "13812345678", "body": "x", "id": 9}
    assert [text.message_id for text in texts(dialect, {"items": [item]})] == ["9"]
    for wrong in ([item], {"items": item}, {"item": [item]}):
        with pytest.raises(Undecodable):
            dialect.decode(request(wrong))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["phone_number", "content", "send_time", "mobile", "nationcode", "text", "time"])
            | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("name", ["alibaba", "tencent", "baidu"])
@settings(max_examples=150, deadline=None)
@given(document=JSON)
def test_any_json_is_read_or_undecodable(name: str, document: object) -> None:
    body = json.dumps(document).encode()
    try:
        found = shipped(name).decode(request(body))
    except Undecodable:
        return
    assert all(isinstance(item, IncomingText | Ignored) for item in found)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=80))
def test_any_bytes_are_read_or_undecodable(body: bytes) -> None:
    for name in ("alibaba", "tencent"):
        try:
            shipped(name).decode(request(body))
        except Undecodable:
            continue


# -- numbers and texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mobile", "nationcode", "sender"),
    [
        ("13812345678", "86", "+8613812345678"),
        ("13812345678", 86, "+8613812345678"),
        (13812345678, "+86", "+8613812345678"),
        ("51234567", "00852", "+85251234567"),
        ("+85251234567", "852", "+85251234567"),
        ("13812345678", "", "13812345678"),
        ("13812345678", None, "13812345678"),
    ],
)
def test_the_country_goes_before_the_number(mobile: object, nationcode: object, sender: str) -> None:
    item = {**fixture("tencent_reply"), "mobile": mobile, "nationcode": nationcode}
    assert [text.sender for text in texts(shipped("tencent"), item)] == [sender]


@pytest.mark.parametrize("nationcode", ["CN", "0", "12345", True, []])
def test_a_country_that_is_none_makes_a_bad_item(nationcode: object) -> None:
    item = {**fixture("tencent_reply"), "nationcode": nationcode}
    assert shipped("tencent").decode(request(item)) == (BAD,)


def test_half_an_emoji_does_not_lose_the_text() -> None:
    body = json.dumps(alibaba_item(content="7731 \ud83d")).encode()
    assert [text.text for text in texts(shipped("alibaba"), b"[" + body + b"]")] == ["7731 \ufffd"]


def test_a_form_with_its_text_encoded_twice_and_summer_time(tmp_path: Path) -> None:
    dialect = described(tmp_path, FORM)
    fields = {"src": "+49 170 1234567", "msg": "%E9%AA%8C+12%2B3", "ts": "29.03.2026 03:30:00"}
    received_at = datetime(2026, 3, 29, 2, tzinfo=UTC)
    (text,) = dialect.decode(request(urlencode(fields).encode(), received_at=received_at))
    assert isinstance(text, IncomingText)
    assert (text.sender, text.text) == ("+49 170 1234567", "验 12+3")
    assert text.sent_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # clocks went forward at 01:00 UTC
    broken = urlencode({**fields, "msg": "%FF"}).encode()
    assert dialect.decode(request(broken, received_at=received_at)) == (BAD,)
    for wrong in (b"", b"plain words", b"src=%FF"):
        with pytest.raises(Undecodable):
            dialect.decode(request(wrong))


# -- times ------------------------------------------------------------------------------------------------------


def with_time(folder: Path, form: str, zone: str = "") -> GatewayDialect:
    written = f'format = "{form}"' + (f'\nzone = "{zone}"' if zone else "")
    text = FORM.replace('"form"', '"json_object"').replace('format = "%d.%m.%Y %H:%M:%S"', written)
    return described(folder, text.replace('zone = "Europe/Berlin"', ""))


@pytest.mark.parametrize(
    ("form", "zone", "raw"),
    [
        ("unix_seconds", "", 1772673118),
        ("unix_seconds", "", "1772673118"),
        ("unix_seconds", "", 1772673118.0),
        ("unix_milliseconds", "", 1772673118000),
        ("iso", "", "2026-03-05T01:11:58Z"),
        ("iso", "UTC", "2026-03-05T01:11:58"),
        ("iso", "", "2026-03-05T09:11:58"),  # the service's own zone
        ("iso", "UTC", "2026-03-05T09:11:58+08:00"),
        ("%Y%m%d%H%M%S", "", "20260305091158"),
        ("%Y-%m-%d %H:%M:%S", "America/New_York", "2026-03-04 20:11:58"),
    ],
)
def test_one_moment_in_every_writing(tmp_path: Path, form: str, zone: str, raw: object) -> None:
    dialect = with_time(tmp_path, form, zone)
    item = {"src": "13812345678", "msg": "7", "ts": raw}
    (text,) = texts(dialect, item)
    assert text.sent_at == SENT_AT
    plain = with_time(tmp_path, "unix_seconds")
    assert texts(plain, {**item, "ts": 1772673118})[0].message_id == text.message_id


@pytest.mark.parametrize("raw", [True, -1, 1.5, 10**17, "1.5", "-3", "", None, [], "١٧٧٢٦٧٣١١٨", 10**15])
def test_a_time_that_is_none_makes_a_bad_item(tmp_path: Path, raw: object) -> None:
    dialect = with_time(tmp_path, "unix_seconds")
    assert dialect.decode(request({"src": "13812345678", "msg": "7", "ts": raw})) == (BAD,)


@pytest.mark.parametrize(
    ("age", "stale"),
    [
        (timedelta(hours=6), False),
        (timedelta(days=7), False),
        (timedelta(days=7, seconds=1), True),
        (timedelta(days=-1), False),
        (timedelta(days=-1, seconds=-1), True),
    ],
)
def test_what_is_older_than_the_ids_are_kept_is_stale(age: timedelta, stale: bool) -> None:
    found = shipped("baidu").decode(request(fixture("baidu_uplink"), received_at=SENT_AT + age))
    assert (found == (STALE,)) is stale


# -- repeats ----------------------------------------------------------------------------------------------------


def test_a_delivery_repeated_over_six_hours_is_the_same_message() -> None:
    dialect = shipped("alibaba")
    rng = random.Random(26)
    senders = [f"138{place:08d}" for place in range(40)]
    batch = [alibaba_item(phone_number=sender, sequence_id=place) for place, sender in enumerate(senders)]
    ids = {text.sender: text.message_id for text in texts(dialect, batch)}
    assert len(set(ids.values())) == 40
    for minutes in (1, 6, 16, 46, 106, 166, 226, 286, 346):
        again: list[object] = [{**item, "sequence_id": str(rng.randrange(10**9))} for item in batch]
        rng.shuffle(again)
        again.insert(7, None)
        later = texts(dialect, again[: rng.randrange(9, 41)], received_at=START + timedelta(minutes=minutes))
        assert all(ids[text.sender] == text.message_id for text in later)


@pytest.mark.parametrize(
    "other", [{"content": "7"}, {"phone_number": "13812345679"}, {"send_time": "2026-03-05 09:11:59"}]
)
def test_another_text_number_or_second_is_another_message(other: dict[str, str]) -> None:
    dialect = shipped("alibaba")
    (first,), (second,) = texts(dialect, [alibaba_item()]), texts(dialect, [alibaba_item(**other)])
    assert first.message_id != second.message_id


def test_a_unique_id_is_the_message_and_the_digest_its_second_name(tmp_path: Path) -> None:
    dialect = described(tmp_path, SENDING, credentials=(("account", "a"), ("apikey", "b")))
    item = {"from": "13812345678", "to": "106", "body": "7", "id": "m-1", "at": 1772673118000}
    (named,) = texts(dialect, item)
    (renamed,) = texts(dialect, {**item, "id": "m-2"})
    (nameless,) = texts(dialect, {**item, "id": None})
    (timeless,) = texts(dialect, {key: value for key, value in item.items() if key != "at"})
    assert (named.message_id, renamed.message_id) == ("m-1", "m-2")
    assert named.alias_id == renamed.alias_id == nameless.message_id
    assert nameless.alias_id == ""
    assert (timeless.message_id, timeless.alias_id, timeless.sent_at) == ("m-1", "", None)
    assert dialect.decode(request({"from": "13812345678", "body": "7"})) == (BAD,)


# -- who is let in, and what the others get ---------------------------------------------------------------------


@pytest.mark.parametrize("remote", ["198.51.100.7", "::ffff:198.51.100.7"])
def test_both_secrets_open_from_the_allowed_addresses(remote: str) -> None:
    dialect = shipped("alibaba")
    dialect.authenticate(request([], remote=remote))
    dialect.authenticate(request([], secret=OLD_SECRET, remote=remote))


@pytest.mark.parametrize(
    "forge",
    [
        lambda: request([], secret="s3cret-of-the-gatewax"),
        lambda: request([], secret=""),
        lambda: request([], secret="\udcff密"),
        lambda: request([], remote="203.0.113.9"),
        lambda: request([], remote="::1"),
        lambda: request([], remote=""),
        lambda: request([], remote="nowhere"),
    ],
)
def test_anybody_else_is_refused(forge: Callable[[], InboundRequest]) -> None:
    with pytest.raises(NotAuthentic):
        shipped("alibaba").authenticate(forge())


def test_loopback_alone_is_allowed_by_default() -> None:
    plain = GatewayOptions(files=("alibaba",), secrets=(SECRET,), reply_by="kannel")
    (dialect,) = load_gateways(plain, calls=FakeCalls())
    for remote in ("127.0.0.1", "::1"):
        dialect.authenticate(request([], remote=remote))
    with pytest.raises(NotAuthentic):
        dialect.authenticate(request([], remote="198.51.100.7"))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (RefusalKind.NOT_AUTHENTIC, 403),
        (RefusalKind.MALFORMED, 400),
        (RefusalKind.TOO_LARGE, 413),
        (RefusalKind.NOT_ALLOWED, 405),
        (RefusalKind.UNKNOWN_ADDRESS, 404),
        (RefusalKind.UNAVAILABLE, 500),
        (RefusalKind.INTERNAL, 500),
    ],
)
def test_a_refusal_is_never_taken_for_a_delivery(kind: RefusalKind, status: int) -> None:
    answer = shipped("tencent").refuse(Refusal(kind=kind, message="words"))
    assert answer.status == status
    assert json.loads(answer.body)["result"] == 1


def test_a_failure_may_be_told_by_the_body_alone(tmp_path: Path) -> None:
    answer = described(tmp_path, FORM).refuse(Refusal(kind=RefusalKind.UNAVAILABLE))
    assert (answer.status, answer.body, answer.content_type) == (200, b"1", "text/plain")
