"""The one frozen settings tree: defaults, then the TOML file, then the environment, then flags.

Built once by the command line and passed down in parts; nobody else reads the environment. config/default.toml and
docs/settings.md are made from the fields below, so each has a help sentence.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.errors import SettingsInvalid

PREFIX: Final = "YANZHEN_"
_NESTED: Final = "__"
_LOOPBACK_URL: Final = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])(:|/|$)")


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


def _sqlite_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url.startswith(("postgres:", "postgresql:")):
        raise ValueError(
            "PostgreSQL comes in a later release; use sqlite:///path/to/file.db, or leave it out"
        )
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise ValueError("must be sqlite:///path/to/file.db (four slashes for an absolute path)")
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
        found.extend(line.strip() for line in lines if line.strip())
    return tuple(found)


def _secret(value: object) -> object:
    found = _secrets((value,)) if isinstance(value, str | SecretStr) else value
    if isinstance(found, tuple):
        return found[0] if found else ""
    return found


def _call_address(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError, too, where it is none
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be an address like http://127.0.0.1:13013/cgi-bin/sendsms, or empty")
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
CallAddress = Annotated[str, AfterValidator(_call_address)]
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ThrottleSettings(_Part):
    """Limits on how often somebody may ask; the unit of abuse is a wrong code."""

    enabled: bool = Field(True, description="Whether limits hold at all; switch off only for tests.")
    ip_per_minute: Count = Field(60, description="Queries a minute from one address (IPv4 /32, IPv6 /64).")
    ip_wrong_per_10_minutes: Count = Field(30, description="Wrong codes in 10 minutes from one address.")
    web_per_hour: Count = Field(20, description="Queries an hour of one browser (cookie and address).")
    web_wrong_per_hour: Count = Field(5, description="Wrong codes an hour of one browser.")


class EngineSettings(_Part):
    """Bounds of the engine's group commit."""

    queue: Count = Field(
        4096, description="Verifications that may wait for a commit; beyond it: unavailable."
    )
    batch: Count = Field(1024, description="Verifications that may share one commit.")


class TwilioSettings(_Part):
    """Text messages through Twilio; set up once it has an auth token."""

    auth_tokens: Secrets = Field(
        (),
        description="The account's auth token; two, with a comma, while they rotate: our calls use the first.",
    )
    account_sid: str = Field("", description="The account's id; without it no reply can be pushed later.")
    api_url: CallAddress = Field("", description="Another address of the provider's API, for a relay.")


class KannelSettings(_Part):
    """Text messages through a Kannel gateway; set up once it has a secret."""

    secret: Secrets = Field(
        (), description="What stands in the path of the get-url; two, with a comma, while they rotate."
    )
    allow_from: Networks = Field(
        LOOPBACK, description="Where the gateway asks from, as addresses or networks."
    )
    send_url: CallAddress = Field(
        "", description="The sendsms address of smsbox; without it no reply can be pushed later."
    )
    send_username: str = Field("", description="The sendsms user's name.")
    send_password: Secret = Field(SecretStr(""), description="The sendsms user's password.")


class SmppSettings(_Part):
    """Text messages through a bind to a message centre (SMPP 3.4); set up once it has a host."""

    host: str = Field("", description="The message centre's address.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(2775, description="The message centre's port.")
    system_id: str = Field("", max_length=15, description="The name to bind with.")
    password: Annotated[Secret, Field(max_length=8)] = Field(
        SecretStr(""), description="The password to bind with, at most 8 characters."
    )
    system_type: str = Field("", max_length=12, description="The system type, where the carrier gave one.")
    addresses: Words = Field((), description="Our own numbers; none takes the texts to every number.")


class GatewaySettings(_Part):
    """Text messages through HTTP gateways described by data; set up once it has a file."""

    files: Words = Field((), description="Descriptions: alibaba, tencent, baidu, or paths of TOML files.")
    secrets: Secrets = Field(
        (), description="What stands in the path of the callback; two, with a comma, while they rotate."
    )
    allow_from: Networks = Field(
        LOOPBACK, description="Where the gateways call from, as addresses or networks."
    )
    credentials: Secrets = Field(
        (), description="Values for the [send] part of descriptions, as name=value with commas."
    )
    reply_by: str = Field(
        "", description="Which way replies leave where a description has no [send]: twilio, kannel or smpp."
    )


class SmsSettings(_Part):
    """Text messages: signature, caps, and a section for each provider."""

    signature: str = Field("验真", max_length=6, description="What stands in brackets before a Chinese text.")
    signature_en: str = Field("Yanzhen", max_length=12, description="What an English text begins with.")
    per_number_per_day: Count = Field(30, description="Texts a day that one number may cost.")
    per_day: Count = Field(20_000, description="Texts a day that all numbers together may cost.")
    twilio: TwilioSettings = Field(TwilioSettings(), description="Twilio.")
    kannel: KannelSettings = Field(KannelSettings(), description="Kannel.")
    smpp: SmppSettings = Field(SmppSettings(), description="SMPP.")
    gateway: GatewaySettings = Field(GatewaySettings(), description="HTTP gateways.")

    @property
    def any_provider(self) -> bool:
        """True where at least one provider is set up."""
        return bool(self.twilio.auth_tokens or self.kannel.secret or self.smpp.host or self.gateway.files)


def _data_file(name: str) -> Callable[[dict[str, Any]], Path]:
    return lambda data: Path(data.get("data_dir", "var")) / name


class Settings(BaseSettings):
    """All settings of a running service. Make it with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        env_prefix=PREFIX,
        env_nested_delimiter=_NESTED,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data_dir: Path = Field(Path("var"), description="Folder of the database, the key file and exports.")
    database_url: Annotated[SecretStr, AfterValidator(_sqlite_url)] = Field(
        default_factory=lambda data: SecretStr(f"sqlite:///{_data_file('yanzhen.db')(data)}"),
        description="Where verifications are recorded: sqlite:///path; by default a file in data_dir.",
        json_schema_extra={"shown": "sqlite:///var/yanzhen.db"},
    )
    key_file: Path = Field(
        default_factory=_data_file("keys.json"),
        description="The key file, readable by the service alone; back it up apart from the database.",
        json_schema_extra={"shown": "var/keys.json"},
    )
    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8315, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: Annotated[str, AfterValidator(_origin)] = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('port', 8315)}",
        description="The address shoppers reach the service at; it is frozen into the QR codes of each batch.",
        json_schema_extra={"shown": "http://127.0.0.1:8315"},
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "Asia/Shanghai", description="The zone in which times are shown; they are stored in UTC."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Log lines as JSON or as columns; auto shows columns on a terminal."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="The least severe log lines that are written."
    )
    channels: Annotated[Words, AfterValidator(_once)] = Field(
        ("web", "api"), description="The channels that are served, by name."
    )
    trusted_proxies: Networks = Field(
        (), description="Proxies whose X-Forwarded-For is believed, as addresses or networks."
    )
    metrics_from: Networks = Field(
        LOOPBACK,
        description="Who may read /metrics, as addresses or networks; not counting trusted proxies.",
    )
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = Field(
        20, description="How long requests under way may finish after a stop signal."
    )
    throttle: ThrottleSettings = Field(
        ThrottleSettings(), description="Limits on how often somebody may ask."
    )
    engine: EngineSettings = Field(EngineSettings(), description="Bounds of the group commit.")
    sms: SmsSettings = Field(SmsSettings(), description="Text messages.")

    @property
    def database_path(self) -> Path:
        """The database file."""
        return Path(self.database_url.get_secret_value().removeprefix("sqlite:///"))

    @property
    def public_url_is_loopback(self) -> bool:
        """True where only this machine could open the address in a QR code."""
        return _LOOPBACK_URL.match(self.public_url) is not None

    def with_texts_by_token(self, token: str) -> Settings:
        """Return these settings with the sms channel, and Twilio with this auth token alone."""
        twilio = TwilioSettings(auth_tokens=(SecretStr(token),))
        channels = self.channels if "sms" in self.channels else (*self.channels, "sms")
        return self.model_copy(
            update={"channels": channels, "sms": self.sms.model_copy(update={"twilio": twilio})}
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, and the file, which arrives under a private flag name."""
        flags = dict(cast(InitSettingsSource, init_settings).init_kwargs)
        file = flags.pop("__file__", {})
        return (
            InitSettingsSource(settings_cls, flags),
            env_settings,
            InitSettingsSource(settings_cls, cast(dict[str, Any], file)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingHelp:
    """One setting for the reference. ``follows``: the default is made from another setting."""

    path: str
    environment: str
    default: object
    follows: bool
    help: str


def describe_settings() -> Iterator[SettingHelp]:
    """Yield every setting, those of sections last."""
    yield from _describe("", Settings.model_fields)


def _describe(parent: str, fields: Mapping[str, FieldInfo]) -> Iterator[SettingHelp]:
    sections: list[tuple[str, Mapping[str, FieldInfo]]] = []
    for name, field in fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((f"{parent}{name}.", field.annotation.model_fields))
            continue
        path = f"{parent}{name}"
        extra = field.json_schema_extra
        shown = extra["shown"] if isinstance(extra, dict) else None
        yield SettingHelp(
            path=path,
            environment=f"{PREFIX}{path.replace('.', _NESTED)}".upper(),
            default=field.get_default() if shown is None else shown,
            follows=shown is not None,
            help=field.description or "",
        )
    for path, inner in sections:
        yield from _describe(path, inner)


def load_settings(*, config: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Build the tree. Raises ``SettingsInvalid`` that names every wrong field by its path, one a line."""
    file = _read_toml(config) if config is not None else {}
    try:
        arguments: dict[str, Any] = {"__file__": file, **(flags or {})}
        return Settings(**arguments)
    except ValidationError as error:
        problems = [p for p in error.errors(include_input=False) if p["type"] != "default_factory_not_called"]
        lines = [
            f"  {_path(problem['loc'])}: {_say(problem['type'], problem['msg'])}" for problem in problems
        ]
        count = "Some settings are" if len(lines) > 1 else "A setting is"
        raise SettingsInvalid("\n".join((f"{count} wrong; correct and start again:", *lines))) from None


def unknown_environment(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return names with our prefix that set nothing, most likely misspelt; those of the tests excepted."""
    known = {f"{PREFIX}{path.replace('.', _NESTED)}".upper() for path in Settings.model_fields}
    names = (name.upper() for name in (os.environ if environment is None else environment))
    return tuple(
        sorted(
            name
            for name in names
            if name.startswith(PREFIX)
            and not name.startswith(f"{PREFIX}TEST_")
            and f"{PREFIX}{name.removeprefix(PREFIX).split(_NESTED, maxsplit=1)[0]}" not in known
        )
    )


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsInvalid(
            f"The settings file {path} cannot be read ({error.strerror}). Check the path given to --config."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            f"The settings file {path} is not valid TOML: {error}. Correct it there."
        ) from None


def _path(location: tuple[int | str, ...]) -> str:
    names = [part for part in location if isinstance(part, str)]
    return ".".join(names) or "settings"


def _say(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such setting; see docs/settings.md"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
