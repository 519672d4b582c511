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
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from app.core.errors import SettingsInvalid
from app.settings.parts import (
    EngineSettings,
    IvrSettings,
    OfficialAccountSettings,
    SmsSettings,
    TelemetrySettings,
    ThrottleSettings,
    TwilioSettings,
    VoiceTwilioSettings,
    WechatSettings,
)
from app.settings.types import FILE, LOOPBACK, DatabaseUrl, Level, Names, Networks, Origin, Secret, Zone

PREFIX: Final = "YANZHEN_"
_NESTED: Final = "__"
_UNKNOWN: Final = "extra_forbidden"
_PLAIN_NAME: Final = re.compile("[a-z_]+")
_LOOPBACK_URL: Final = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])(:|/|$)")


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
    database_url: DatabaseUrl = Field(
        default_factory=lambda data: SecretStr(f"sqlite:///{_data_file('yanzhen.db')(data)}"),
        description="Where verifications are recorded: sqlite:///path (by default a file in data_dir), or "
        "postgresql://user:password@host:port/name, which many machines share.",
        json_schema_extra={"shown": "sqlite:///var/yanzhen.db"},
    )
    redis_url: Secret = Field(
        SecretStr(""),
        description="Where machines share limits and caches: redis://host:port/0, redis+sentinel://host,host/service, "
        "redis+cluster://host,host (rediss for TLS); empty, each process has its own.",
    )
    key_file: Path = Field(
        default_factory=_data_file("keys.json"),
        description="The key file, readable by the service alone; back it up apart from the database.",
        json_schema_extra={"shown": "var/keys.json"},
    )
    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8315, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: Origin = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('port', 8315)}",
        description="The address shoppers reach the service at; it is frozen into the QR codes of each batch.",
        json_schema_extra={"shown": "http://127.0.0.1:8315"},
    )
    timezone: Zone = Field(
        "Asia/Shanghai", description="The zone in which times are shown; they are stored in UTC."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Log lines as JSON or as columns; auto shows columns on a terminal."
    )
    log_level: Level = Field("info", description="The least severe log lines that are written.")
    channels: Names = Field(
        ("web", "api", "sms", "ivr", "wechat"),
        description="The channels that are served, by name; one that needs a provider waits until it has one.",
    )
    trusted_proxies: Networks = Field(
        (), description="Proxies whose X-Forwarded-For is believed, as addresses or networks."
    )
    metrics_from: Networks = Field(
        LOOPBACK,
        description="Who may read /metrics, as addresses or networks; not counting trusted proxies.",
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="Processes that share the address, one a core; more than one needs PostgreSQL."
    )
    duties_by: Literal["record", "redis"] = Field(
        "record",
        description="What names the one process that delivers and keeps binds: the record, by a lock in PostgreSQL, or "
        "redis, by a lease there, without which nothing is delivered.",
    )
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = Field(
        8, description="How long requests under way may finish after a stop signal."
    )
    throttle: ThrottleSettings = Field(
        ThrottleSettings(), description="Limits on how often somebody may ask."
    )
    engine: EngineSettings = Field(EngineSettings(), description="Bounds of the group commit.")
    sms: SmsSettings = Field(SmsSettings(), description="Text messages.")
    ivr: IvrSettings = Field(IvrSettings(), description="The hotline.")
    wechat: WechatSettings = Field(WechatSettings(), description="WeChat.")
    telemetry: TelemetrySettings = Field(TelemetrySettings(), description="Spans.")

    @property
    def database_path(self) -> Path | None:
        """The database file of SQLite; None where the database is a server."""
        url = self.database_url.get_secret_value()
        return Path(url.removeprefix(FILE)) if url.startswith(FILE) else None

    @property
    def public_url_is_loopback(self) -> bool:
        """True where only this machine could open the address in a QR code."""
        return _LOOPBACK_URL.match(self.public_url) is not None

    def with_phones_by_token(self, token: str) -> Settings:
        """Return these settings with texts and calls through Twilio, under this auth token alone."""
        tokens = (SecretStr(token),)
        texts, calls = TwilioSettings(auth_tokens=tokens), VoiceTwilioSettings(auth_tokens=tokens)
        return self.model_copy(
            update={
                "sms": self.sms.model_copy(update={"twilio": texts}),
                "ivr": self.ivr.model_copy(update={"twilio": calls}),
            }
        )

    def with_official_account(self, *, token: str, encoding_aes_key: str, app_id: str) -> Settings:
        """Return these settings with this official account alone, in encrypted mode; it can push nothing."""
        account = OfficialAccountSettings(
            token=(SecretStr(token),), encoding_aes_key=(SecretStr(encoding_aes_key),), app_id=app_id
        )
        return self.model_copy(update={"wechat": WechatSettings(official_account=account)})

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
    except (
        SettingsError
    ) as error:  # a section in one variable that is no JSON; the library's cause would quote it
        section = (re.findall('field "([a-z_]+)"', str(error)) or ["settings"])[0]
        raise SettingsInvalid(
            f"A setting is wrong; correct and start again:\n  {section}: {PREFIX}{section.upper()} is not the JSON "
            f"of a section; set its members by themselves, as {PREFIX}{section.upper()}{_NESTED}..."
        ) from None
    except ValidationError as error:
        problems = [p for p in error.errors(include_input=False) if p["type"] != "default_factory_not_called"]
        lines = [
            f"  {_path(problem['loc'], unknown=problem['type'] == _UNKNOWN)}: {_say(problem['type'], problem['msg'])}"
            for problem in problems
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


def _path(location: tuple[int | str, ...], *, unknown: bool) -> str:
    names = [part for part in location if isinstance(part, str)]
    if unknown and names and not _PLAIN_NAME.fullmatch(names[-1]):
        names[-1] = (
            "(a name not shown here)"  # a secret that slipped into the place of a name looks like this
        )
    return ".".join(names) or "settings"


def _say(kind: str, message: str) -> str:
    if kind == _UNKNOWN:
        return "there is no such setting; see docs/settings.md"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
