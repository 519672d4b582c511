"""Descriptions of gateways: everything wrong is told at once, by file and field, with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import SettingsInvalid
from channels.sms.gateway.dialect import load_gateways
from tests.fakes.fake_calls import FakeCalls
from tests.unit.sms.gateway_samples import CREDENTIALS, SENDING, described, options

README = Path(__file__).resolve().parents[3] / "channels/sms/gateway/README.md"


def problems_of(*files: str, **other: object) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load_gateways(options(*files, **other), calls=FakeCalls())
    return str(caught.value)


def test_all_that_ship_are_right_and_keep_their_order() -> None:
    dialects = load_gateways(options("tencent", "baidu", "alibaba"), calls=FakeCalls())
    assert [dialect.name for dialect in dialects] == ["tencent", "baidu", "alibaba"]


def test_the_example_of_the_readme_loads(tmp_path: Path) -> None:
    example = README.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    dialect = described(tmp_path, example, credentials=(("user", "u"), ("apikey", "k")), reply_by="")
    assert dialect.reply_by == dialect.name
    assert len(dialect.senders()) == 1


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('name = "harbour"', 'name = "Har bour"', "name: must be lower-case letters"),
        ('name = "harbour"', 'name = "kannel"', "name: kannel is another provider's"),
        ('name = "harbour"', "", "name: must be there"),
        ('body = "json_object"', 'body = "xml"', "request.body: must be one of json_array, json_object"),
        ('body = "json_object"', 'body = "form"\nitems = "x"', "request.items: a form has no members"),
        (
            'body = "json_object"',
            'body = "form"\ntext_encodin = "url"',
            "request.text_encodin: there is no such",
        ),
        ('sender = "from"', "", "fields.sender: must be there"),
        ('text = "body"', "text = 7", "fields.text: must be a text"),
        ("unique = true", 'unique = "yes"', "id.unique: must be true or false"),
        ('format = "unix_milliseconds"', 'format = "%H:%M"', "time.format: must be one of unix_seconds"),
        ('format = "unix_milliseconds"', 'format = "unix"', "time.format: must be one of"),
        (
            'format = "unix_milliseconds"',
            'format = "iso"\nzone = "Mars/North"',
            "time.zone: is not a time zone",
        ),
        ("status = 503", "status = 700", "failure.status: must be a whole number from 200 to 599"),
        ('status = 503\nbody = "AGAIN"', 'body = "OK"', "failure: must differ from success"),
        ('body = "OK"', 'content_type = "application/json"\nbody = "OK"', "success.body: must be JSON"),
        ('body = "OK"', 'content_type = "text plain"', "success.content_type: must be like application/json"),
        ("https://sms.example.cn/v1/{account}/send", "https://{account}.cn/", "send.url: must be an address"),
        ("https://sms.example.cn/v1/{account}/send", "ftp://sms.example.cn/", "send.url: must be an address"),
        ("https://sms.example.cn/v1/{account}/send", "https://[::1/", "send.url: must be an address"),
        ("v1/{account}/send", "v1/{to}/send", "send.url: may hold credentials only"),
        ('"Bearer {apikey}"', '"Bearer {text}"', "send.headers.Authorization: must be a header"),
        ('"Bearer {apikey}"', '"Bearer\\r\\nX: y"', "send.headers.Authorization: must be a header"),
        (
            '"Bearer {apikey}"',
            '"Bearer {other}"',
            "send: {other} has no value; add other to YANZHEN_SMS__GATEWAY__",
        ),
        ('content = "{text}"', "", "send.fields: nothing holds {text}"),
        ('["{to}"]', '["{t}"]', "send.fields: nothing holds {to}"),
        ("report = false", "report = 2026-03-05", "send.fields.report: must be a text, number"),
        ("report = false", "report = inf", "send.fields.report: must be a text, number"),
        ('drop_prefixes = ["+86", "+"]', "drop_prefixes = [86]", "send.drop_prefixes: must be texts"),
        (
            'drop_prefixes = ["+86", "+"]',
            'method = "GET"\nbody = "json"',
            "send.body: a GET request has none",
        ),
        (
            'drop_prefixes = ["+86", "+"]',
            'body = "form"',
            "send.fields.mobile: must be a text, number, true or",
        ),
        ("equals = 0", "", "send.accepted.equals: path and equals go together"),
        ('later = [12, "busy"]', "status = [500]", "send.accepted.status: must be an array of statuses"),
        ('later = [12, "busy"]', "later = [[1]]", "send.accepted.later: must hold texts"),
    ],
)
def test_each_problem_is_named_by_file_and_field(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in SENDING
    path = tmp_path / "harbour.toml"
    path.write_text(SENDING.replace(right, wrong, 1), encoding="utf-8")
    assert f"harbour.toml, {told}" in problems_of(str(path), credentials=CREDENTIALS)


def test_no_id_and_no_time_is_no_description(tmp_path: Path) -> None:
    text = SENDING.replace("unique = true", "unique = false").replace("[time]", "[tme]")
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    told = problems_of(str(path), credentials=CREDENTIALS)
    assert "a.toml, time: describe the time, unless [id] is unique" in told
    assert "a.toml, tme: there is no such field" in told


def test_files_that_cannot_be_read_say_what_could_be(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("= 1", encoding="utf-8")
    told = problems_of("huawei", str(broken), "/no/such/file.toml", secrets=("short",), allow_from=())
    assert "huawei: cannot be read" in told
    assert "or one of alibaba, baidu, tencent" in told
    assert "broken.toml: is not valid TOML" in told
    assert "/no/such/file.toml: cannot be read" in told
    assert "sms.gateway.secrets: each must be 16 to 200" in told
    assert "short" not in told
    assert "sms.gateway.allow_from" in told


def test_there_must_be_a_way_to_reply(tmp_path: Path) -> None:
    assert "sms.gateway.reply_by: alibaba, baidu cannot send" in problems_of("baidu", "alibaba", reply_by="")
    assert "sms.gateway.reply_by: alibaba has no [send] part" in problems_of("alibaba", reply_by="alibaba")
    assert "sms.gateway.files: two descriptions are called baidu" in problems_of("baidu", "baidu")
    assert "sms.gateway.files: name at least one" in problems_of()
    assert "sms.gateway.secrets: set one" in problems_of("baidu", secrets=())
    path = tmp_path / "harbour.toml"
    path.write_text(SENDING, encoding="utf-8")
    mixed = options("alibaba", str(path), credentials=CREDENTIALS, reply_by="harbour")
    assert [dialect.reply_by for dialect in load_gateways(mixed, calls=FakeCalls())] == ["harbour", "harbour"]
