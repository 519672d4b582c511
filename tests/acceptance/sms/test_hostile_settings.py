"""An unlucky operator: whatever is wrong with the settings of texts, the start ends with one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.exits import Exit
from app.cli.main import main
from tests.acceptance.cli.shell import Shell

_KANNEL = {"KANNEL__SECRET": "secret-of-an-unlucky-operator"}
_TWILIO = {"TWILIO__AUTH_TOKENS": "token-of-an-unlucky-operator"}
_GATEWAY = {"GATEWAY__FILES": "alibaba", "GATEWAY__SECRETS": "secret-of-an-unlucky-operator"}
_SMPP = {"SMPP__HOST": "127.0.0.1", "SMPP__SYSTEM_ID": "yanzhen"}

CASES = [
    ({"TWILIO__AUTH_TOKENS": "file:/dev/null"}, "sms.twilio.auth_tokens: names an empty file"),
    ({"TWILIO__AUTH_TOKENS": "file:/nowhere/token"}, "sms.twilio.auth_tokens: names a file"),
    ({"TWILIO__AUTH_TOKENS": "Schlüssel"}, "sms.twilio.auth_tokens"),
    ({"KANNEL__SECRET": "with/slash"}, "sms.kannel.secret"),
    (_KANNEL | {"KANNEL__SEND_URL": "ftp://127.0.0.1/"}, "sms.kannel.send_url"),
    (_KANNEL | {"KANNEL__SEND_URL": "http://[::1/"}, "sms.kannel.send_url"),
    (_KANNEL | {"KANNEL__SEND_URL": "http://127.0.0.1:port/"}, "sms.kannel.send_url"),
    (_KANNEL | {"KANNEL__ALLOW_FROM": "our-office"}, "sms.kannel.allow_from"),
    (_KANNEL | {"KANNEL__SECRETS": "misspelt"}, "sms.kannel.secrets: there is no such setting"),
    (_GATEWAY, "sms.gateway.reply_by"),
    (_GATEWAY | {"GATEWAY__REPLY_BY": "twilio"}, "which cannot send"),
    (_GATEWAY | {"GATEWAY__REPLY_BY": "pigeon"}, "pigeon"),
    (_GATEWAY | {"GATEWAY__SECRETS": "short"}, "sms.gateway.secrets"),
    (_GATEWAY | {"GATEWAY__FILES": "/nowhere/gateway.toml"}, "cannot be read"),
    (
        _GATEWAY | {"GATEWAY__FILES": "alibaba,alibaba", "GATEWAY__REPLY_BY": "kannel"} | _KANNEL,
        "two descriptions",
    ),
    (_GATEWAY | {"GATEWAY__CREDENTIALS": "no-equals-sign"}, "sms.gateway.credentials"),
    (_SMPP | {"SMPP__PASSWORD": "123456789"}, "sms.smpp.password"),
    (_SMPP | {"SMPP__PASSWORD": "密码"}, "password"),
    (_SMPP | {"SMPP__SYSTEM_ID": "a-name-of-sixteen"}, "sms.smpp.system_id"),
    (_SMPP | {"SMPP__PORT": "65536"}, "sms.smpp.port"),
    (_TWILIO | {"SIGNATURE": "一二三四五六七"}, "sms.signature"),
    (_TWILIO | {"SIGNATURE": "👍👍👍👍"}, "sms.signature"),
    (_TWILIO | {"SIGNATURE": "【验真】"}, "sms.signature"),
    (_TWILIO | {"SIGNATURE": "{brand}"}, "sms.signature"),
    (_TWILIO | {"SIGNATURE_EN": "验真"}, "sms.signature_en"),
    (_TWILIO | {"PER_DAY": "0"}, "sms.per_day"),
    (_TWILIO | {"PER_NUMBER_PER_DAY": "many"}, "sms.per_number_per_day"),
]


def start(shell: Shell, capfd: pytest.CaptureFixture[str]) -> str:
    """Start the service, which must end as a wrong setting does; return what it said."""
    assert main(["--data-dir", str(shell.folder), "serve", "--port", "0"]) == Exit.USAGE
    return capfd.readouterr().err


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("unlucky"))
    shell.run("init")
    return shell


@pytest.mark.parametrize(
    ("wrong", "named"), CASES, ids=[f"{named}-{n}" for n, (_, named) in enumerate(CASES)]
)
def test_one_clear_error_names_the_field(
    prepared: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wrong: dict[str, str],
    named: str,
) -> None:
    monkeypatch.setenv("YANZHEN_CHANNELS", "web,sms")
    for name, text in wrong.items():
        monkeypatch.setenv(f"YANZHEN_SMS__{name}", text)
    said = start(prepared, capfd)
    assert named in said
    assert "Traceback" not in said
    told = {"123456789", "Schlüssel", "密码", "with/slash", "no-equals-sign"}
    assert not any(secret in said for secret in told)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("YANZHEN_PUBLIC_URL", "https://verify.example:99999", "public_url"),
        ("YANZHEN_PUBLIC_URL", "https://[verify.example", "public_url"),
        ("YANZHEN_CHANNELS", "web,sms,sms", "channels"),
        ("YANZHEN_CHANNELS", "web,sns", "channels"),
    ],
)
def test_what_texts_stand_on_is_named_as_well(
    prepared: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    text: str,
    named: str,
) -> None:
    monkeypatch.setenv("YANZHEN_CHANNELS", "web,sms")
    monkeypatch.setenv("YANZHEN_SMS__TWILIO__AUTH_TOKENS", "token-of-an-unlucky-operator")
    monkeypatch.setenv(name, text)
    assert named in start(prepared, capfd)


def test_a_file_that_is_no_text_is_told_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path)
    shell.run("init")
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe not text")
    monkeypatch.setenv("YANZHEN_CHANNELS", "web,sms")
    monkeypatch.setenv("YANZHEN_SMS__TWILIO__AUTH_TOKENS", f"file:{token}")
    assert "sms.twilio.auth_tokens" in start(shell, capfd)
