"""Types of settings: what an operator may write, and what is said where it is wrong."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError("is not a time zone name; use one like Asia/Shanghai or UTC") from None
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError, too, where it is none
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address like https://verify.example.cn, without query or fragment")
    return value.rstrip("/")


def _database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url.startswith(SHARED):
        if not url.partition("://")[2]:
            raise ValueError("must name a server, like postgresql://user:password@host:5432/yanzhen")
        return value
    if not url.startswith(FILE) or len(url) == len(FILE):
        raise ValueError(
            "must be sqlite:///path/to/file.db (four slashes for an absolute path) or postgresql://user@host/name"
        )
    return value


def _once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("names something twice; name each once")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _words(value: object) -> object:
    """Let a list be written as one text with commas, which is how the environment gives it."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(cast(str, value), strict=False)
    except ValueError:
        raise ValueError("must be an address or network like 10.0.0.0/8 or ::1") from None


def _networks(value: object) -> object:
    words = _words(value)
    return tuple(_network(word) for word in words) if isinstance(words, list | tuple) else words


def _secrets(value: object) -> object:
    """Let secrets be written as one text with commas; ``file:/path`` stands for the lines of that file."""
    words = _words(value)
    if not isinstance(words, list | tuple):
        return words
    found: list[object] = []
    for word in words:
        text = word.get_secret_value() if isinstance(word, SecretStr) else word
        if not isinstance(text, str) or not text.startswith("file:"):
            found.append(word)
            continue
        try:
            lines = Path(text.removeprefix("file:")).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise ValueError("names a file that cannot be read; check the path after file:") from None
        secrets = [line.strip() for line in lines if line.strip()]
        if not secrets:
            raise ValueError("names an empty file; write one secret a line")
        found.extend(secrets)
    return tuple(found)


def _secret(value: object) -> object:
    found = _secrets((value,)) if isinstance(value, str | SecretStr) else value
    if isinstance(found, tuple):
        return found[0] if found else ""
    return found


def _numbers(value: object) -> object:
    """Let numbers be written as one text with commas, or as one number."""
    return (value,) if isinstance(value, int) else _words(value)


def _moment(value: str) -> str:
    if value:
        try:
            aware = datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise ValueError("must be a time with its zone, like 2026-11-21T18:30:00+08:00, or empty")
    return value


def _call_address(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError, too, where it is none
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be an address like http://127.0.0.1:13013/cgi-bin/sendsms, or empty")
    return value


FILE: Final = "sqlite:///"
SHARED: Final = ("postgresql://", "postgres://")
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
CallAddress = Annotated[str, AfterValidator(_call_address)]
Moment = Annotated[str, AfterValidator(_moment)]
BrandNumbers = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_numbers)]
AccountName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,31}$")]
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000)]


class Part(BaseModel):
    """A section of the tree."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


Zone = Annotated[str, AfterValidator(_zone)]
Origin = Annotated[str, AfterValidator(_origin)]
DatabaseUrl = Annotated[Secret, AfterValidator(_database_url)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
Names = Annotated[Words, AfterValidator(_once)]
