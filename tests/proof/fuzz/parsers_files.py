"""What operators and machines hand in: settings, descriptions, keys, lists of codes, backups, recordings, arguments."""

from __future__ import annotations

import argparse
import re
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli import fields
from app.core.errors import (
    BackupInvalid,
    FileUnwritable,
    KeyFileInvalid,
    RuleBroken,
    SettingsInvalid,
    Undecodable,
)
from app.issuing.code_lists import LinesRefused
from app.issuing.key_file import _encode
from app.speech.sound import NotTelephoneSound, wav
from channels.sms.gateway.description import GatewayDescription
from channels.sms.gateway.loading import load_descriptions
from tests.fakes.sample_service import fixed_keyring
from tests.proof.fuzz.drawer import Drawer, make_backup, make_label_file, split_and_read
from tests.proof.fuzz.engine import Breach, Parser
from tests.proof.fuzz.parsers_text import own_codes
from tests.unit.sms.gateway_samples import SENDING, options

SECRET = "s3cret-that-nobody-may-read-anywhere"


def _shipped(name: str) -> GatewayDescription:
    (description,) = load_descriptions(options(name))
    return description


def _arguments(data: bytes) -> None:
    """Every type of an argument, on one text; what comes back is fit to be printed."""
    text = data.decode("utf-8", "replace")
    refused: list[argparse.ArgumentTypeError] = []
    readers: tuple[Callable[[str], object], ...] = (
        fields.name,
        fields.short_name,
        fields.service_line,
        fields.gtin,
        fields.picture_url,
        fields.thresholds,
        fields.reason,
    )
    for reader in readers:
        try:
            value = reader(text)
        except argparse.ArgumentTypeError as error:
            refused.append(error)
        else:
            if isinstance(value, str) and not (
                value.isprintable() and (reader is fields.gtin or value in text)
            ):
                raise Breach(f"{reader.__name__} made {value!r}")
    if len(refused) == len(readers):
        raise refused[0]


_SETTINGS = """\
port = 8080
public_url = "https://a.example"
trusted_proxies = ["10.0.0.0/8"]
[sms.twilio]
auth_tokens = ["SECRET"]
---
database_url = "postgresql://u:SECRET@db/x"
redis_url = "redis://:SECRET@r:6379/0"
[throttle]
ip_per_minute = 5
---
[wechat.official_account]
token = ["SECRET"]
app_secret = "SECRET"
encoding_aes_key = ["SECRET"]
app_id = "wx1"
---
[sms.smpp]
host = "h"
system_id = "s"
password = "SECRET"
[sms.gateway]
files = ["alibaba"]
secrets = ["SECRET"]
credentials = ["apikey=SECRET"]
"""
_CODES = "code,serial\n1234567890123456,1\n1234567890123567,2\n\n1234567890123678,3\n"


@contextmanager
def file_parsers() -> Iterator[tuple[Parser, ...]]:
    """Yield the parsers of this module; they share a folder in memory, where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield (*_operators(Drawer(Path(folder))), *_callbacks())


def _operators(drawer: Drawer) -> Iterator[Parser]:
    key_file, backup = _encode(fixed_keyring()), make_backup(drawer.folder)
    drawer.whole = make_label_file(drawer.folder)
    sound = wav(array("h", [0, 1000, -1000, 32767] * 40))
    toml_words = (
        b"[sms.twilio]\n",
        b"[[a]]\n",
        b"a.b.c = ",
        b'"""',
        b"'''",
        b"#",
        b"1979-05-27T07:32:00Z",
        b"inf",
        b"nan",
        b"0x_1",
        b"= [",
        b"{a = 1}",
        b"\\u0000",
        b"\r",
        b"true",
        b"-1",
        b"[" * 300,
    )
    settings = _SETTINGS.replace("SECRET", SECRET).split("---\n")
    environment = (
        f"YANZHEN_PORT=80\nYANZHEN_PUBLIC_URL=https://a.example\nYANZHEN_SMS__TWILIO__AUTH_TOKENS={SECRET}",
        f"YANZHEN_DATABASE_URL=postgresql://u:{SECRET}@db/x\nYANZHEN_TRUSTED_PROXIES=10.0.0.0/8,::1\nYANZHEN_CHANNELS=web,api",
        f'YANZHEN_SMS={{"twilio": {{"auth_tokens": ["{SECRET}"]}}}}\nYANZHEN_TIMEZONE=UTC',
    )
    yield Parser(
        name="settings files",
        quotes=True,
        feed=drawer.settings,
        allowed=(SettingsInvalid,),
        secrets=(SECRET,),
        weight=0.25,
        seeds=tuple(text.encode() for text in settings),
        words=toml_words,
        largest=16 * 1024,
    )
    yield Parser(
        name="settings of the environment",
        quotes=True,
        feed=drawer.environment,
        allowed=(SettingsInvalid,),
        secrets=(SECRET,),
        weight=0.2,
        seeds=tuple(text.encode() for text in environment),
        largest=16 * 1024,
        words=(
            b"YANZHEN_",
            b"__",
            b"=",
            b"\n",
            b"{",
            b"[",
            b'"',
            b"null",
            b"YANZHEN_WORKERS=",
            b"YANZHEN_HOST=",
            b"://",
            b"@",
            b",",
        ),
    )
    yield Parser(
        name="descriptions of gateways",
        quotes=True,
        feed=drawer.descriptions,
        allowed=(SettingsInvalid, Undecodable),
        weight=0.3,
        seeds=(SENDING.encode(),),
        secrets=('k"ey',),
        largest=16 * 1024,
        words=(
            *toml_words,
            b"{to}",
            b"{apikey}",
            b'format = "',
            b"%Y",
            b"%s",
            b"zone",
            b'body = "form"',
            b"..",
            b"status = 999",
        ),
    )
    keys = re.findall(rb"[0-9a-f]{64}", key_file)
    yield Parser(
        name="key files",
        feed=drawer.keys,
        allowed=(KeyFileInvalid,),
        seeds=(key_file,),
        weight=0.7,
        largest=32 * 1024,
        secrets=tuple(key.decode() for key in keys),
        words=(
            b'"tag"',
            b'"secrets"',
            b'"permutation"',
            b"{}",
            b"[]",
            b"null",
            b'"id": 65536',
            b'"version": 2',
            b"+",
            b"T",
            b"1e400",
            b"\\ud800",
            b'"16"',
            b'" 16"',
            b'"1_6"',
            "１６".encode(),
            b"[" * 3000,
        ),
    )
    yield Parser(
        name="lists of codes",
        feed=drawer.codes,
        allowed=(RuleBroken, LinesRefused),
        weight=0.5,
        seeds=(
            _CODES.encode(),
            b"1234567890123456\n1234567890123457\n",
            '"code"\r\n"123456789012"\r\n'.encode("utf-8-sig"),
            "\n".join(own_codes()).encode(),
            b"x;y\n1;2\n",
        ),
        words=(
            b'"',
            b",",
            b";",
            b"\r",
            b"\n",
            b"\r\n",
            b"code",
            b"1234567890123456",
            own_codes()[0].encode(),
            b" ",
            b"\0",
            b"=1+1",
            "１２３".encode(),
        ),
    )
    zip_words = (
        b"PK\x01\x02",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"PK\x06\x07",
        b"\x01\0\x10\0",
        b"\xff\xff\xff\xff",
        b"../x",
        b"manifest.json",
        b"/etc/x",
        b"\\",
        b".hidden",
        b"\x0e\0",
        b"\x09\0",
        b"\x63\0",
        b"\x01\0",
    )
    yield Parser(
        name="backups, their sum right",
        feed=drawer.backup,
        allowed=(BackupInvalid, FileUnwritable),
        seeds=(backup,),
        words=zip_words,
        largest=16 * 1024,
        weight=0.7,
    )
    yield Parser(
        name="backups",
        feed=drawer.backup_as_is,
        allowed=(BackupInvalid,),
        seeds=(backup,),
        words=zip_words,
        largest=16 * 1024,
        weight=0.3,
    )
    yield Parser(
        name="recordings",
        feed=drawer.recording,
        allowed=(NotTelephoneSound,),
        seeds=(sound,),
        weight=0.5,
        words=(
            b"RIFF",
            b"WAVE",
            b"fmt ",
            b"data",
            b"LIST",
            b"\xfe\xff",
            b"\x01\0",
            b"\x40\x1f\0\0",
            b"\xff\xff\xff\x7f",
        ),
    )
    yield Parser(
        name="broken-off label files",
        feed=drawer.part,
        allowed=(),
        seeds=(drawer.whole, b""),
        weight=0.05,
        largest=8192,
    )
    yield Parser(
        name="arguments",
        feed=_arguments,
        allowed=(argparse.ArgumentTypeError,),
        weight=0.5,
        seeds=(
            "青禾".encode(),
            b"400-800-1234",
            b"06901234567892",
            b"https://brand.example/p/1.jpg",
            b"1,4",
            b"Coast Pastures",
        ),
        words=(
            b"https://",
            b"[::1]",
            b"[",
            b"]",
            b"@",
            b"#",
            b"%",
            b":99999",
            b"-",
            b"+",
            b",",
            "½".encode(),
            "٣".encode(),
        ),
    )


def _callbacks() -> Iterator[Parser]:
    bodies = {
        "alibaba": b'[{"phone_number":"13912345678","content":"1234 5678","sign_name":"x","dest_code":"95001",'
        b'"send_time":"2026-03-05 09:11:00","sequence_id":1}]',
        "tencent": b'{"extend":"1","mobile":"13912345678","nationcode":"86","text":"1234","time":1772673060}',
        "baidu": b'{"mobile":"+8613912345678","content":"1234","userExtId":"1","receiveTime":"2026-03-05T01:11:00Z"}',
    }
    for name, body in bodies.items():
        description = _shipped(name)
        yield Parser(
            name=f"callbacks of {name}",
            feed=lambda data, description=description: split_and_read(description, data),  # type: ignore[misc]
            allowed=(Undecodable,),
            seeds=(body, body.replace(b"1234", "验真\\u0031".encode())),
            secrets=("13912345678",),
            words=(
                b'"',
                b"[",
                b"]",
                b"{",
                b"}",
                b",",
                b":",
                b"null",
                b"true",
                b"NaN",
                b"1e400",
                b"\\ud800",
                b"\\u0000",
                b"\xef\xbb\xbf",
                b"+00",
                b"9" * 5000,
                b"9999-12-31T23:59:59-23:59",
                b"0001-01-01 00:00:00",
                b"-0",
                b"1.0",
                b"[" * 1500,
                body,
            ),
        )
