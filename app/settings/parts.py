"""Sections of the settings tree: limits, the engine, and each channel with its providers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from app.settings.types import (
    LOOPBACK,
    AccountName,
    BrandNumbers,
    CallAddress,
    Count,
    Moment,
    Networks,
    Part,
    Secret,
    Secrets,
    Words,
)


class ThrottleSettings(Part):
    """Limits on how often somebody may ask; the unit of abuse is a wrong code."""

    enabled: bool = Field(True, description="Whether limits hold at all; switch off only for tests.")
    ip_per_minute: Count = Field(60, description="Queries a minute from one address (IPv4 /32, IPv6 /64).")
    ip_wrong_per_10_minutes: Count = Field(30, description="Wrong codes in 10 minutes from one address.")
    web_per_hour: Count = Field(20, description="Queries an hour of one browser (cookie and address).")
    web_wrong_per_hour: Count = Field(5, description="Wrong codes an hour of one browser.")
    phone_per_hour: Count = Field(
        20, description="Queries an hour of one telephone number, by text and by call together."
    )
    phone_wrong_per_hour: Count = Field(5, description="Wrong codes an hour of one telephone number.")
    wechat_per_hour: Count = Field(30, description="Queries an hour of one person in WeChat.")
    wechat_wrong_per_hour: Count = Field(5, description="Wrong codes an hour of one person in WeChat.")
    proof_of_work: bool = Field(
        True, description="Whether a browser over a limit may work for its queries instead of waiting."
    )
    proof_rounds: Annotated[int, Field(ge=1, le=100_000)] = Field(
        500, description="Rounds of PBKDF2 in one of the 4096 tries that such work takes on average."
    )


class EngineSettings(Part):
    """Bounds of the engine's group commit."""

    queue: Count = Field(
        4096, description="Verifications that may wait for a commit; beyond it: unavailable."
    )
    batch: Count = Field(1024, description="Verifications that may share one commit.")


class TelemetrySettings(Part):
    """Spans by OpenTelemetry; needs the extra `telemetry`."""

    endpoint: CallAddress = Field(
        "",
        description="Where spans are sent (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces; empty: nowhere.",
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="Share of the traces that are sent, 0 to 1."
    )


class TwilioSettings(Part):
    """Text messages through Twilio; set up once it has an auth token."""

    auth_tokens: Secrets = Field(
        (),
        description="The account's auth token; two, with a comma, while they rotate: our calls use the first.",
    )
    account_sid: str = Field("", description="The account's id; without it no reply can be pushed later.")
    api_url: CallAddress = Field("", description="Another address of the provider's API, for a relay.")


class KannelSettings(Part):
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


class SmppSettings(Part):
    """Text messages through a bind to a message centre (SMPP 3.4); set up once it has a host."""

    host: str = Field("", description="The message centre's address.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(2775, description="The message centre's port.")
    system_id: str = Field("", max_length=15, description="The name to bind with.")
    password: Annotated[Secret, Field(max_length=8)] = Field(
        SecretStr(""), description="The password to bind with, at most 8 characters."
    )
    system_type: str = Field("", max_length=12, description="The system type, where the carrier gave one.")
    addresses: Words = Field((), description="Our own numbers; none takes the texts to every number.")


class GatewaySettings(Part):
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


class SmsSettings(Part):
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


class VoiceTwilioSettings(Part):
    """Calls through Twilio; set up once it has an auth token."""

    auth_tokens: Secrets = Field(
        (), description="The account's auth token; two, with a comma, while they rotate."
    )


class FastAgiSettings(Part):
    """Calls through a telephone switch of one's own (Asterisk, FastAGI); set up once it has an address."""

    listen: str = Field("", description="Where the switch calls, as host:port, for example 127.0.0.1:4573.")
    allow_from: Networks = Field(
        LOOPBACK, description="Where the switch calls from, as addresses or networks."
    )
    sounds: str = Field(
        "yanzhen", description="The folder of exported prompts, as the switch names it; see prompts export."
    )
    max_calls: Annotated[int, Field(ge=1, le=10_000)] = Field(200, description="Calls in progress at most.")
    recordings: str = Field(
        "", description="The folder the switch records reports to, as it names it; none records nothing."
    )


class IvrSettings(Part):
    """The hotline: who stands behind it, and a section for each provider."""

    operator: str = Field("", description="The staffed line that callers can be put through to.")
    record_reports: bool = Field(
        False, description="Whether callers may leave a recording about something suspicious."
    )
    brand_lines: bool = Field(
        True, description="Whether callers may be put through to a brand's service line."
    )
    transfers_per_number_per_day: Count = Field(
        5, description="How often a day one number may be put through."
    )
    transfers_per_day: Count = Field(
        500, description="How often a day callers may be put through, all together."
    )
    twilio: VoiceTwilioSettings = Field(VoiceTwilioSettings(), description="Twilio.")
    fastagi: FastAgiSettings = Field(FastAgiSettings(), description="A switch by FastAGI.")

    @property
    def any_provider(self) -> bool:
        """True where at least one provider is set up."""
        return bool(self.twilio.auth_tokens or self.fastagi.listen)


class WechatAccountSettings(Part):
    """What every WeChat account has; it is set up once it has a token."""

    token: Secrets = Field(
        (), description="The server configuration's token; two, with a comma, while it changes."
    )
    app_id: str = Field("", max_length=64, description="The account's AppID.")
    app_secret: Secret = Field(
        SecretStr(""), description="The account's AppSecret; without it nothing can be pushed."
    )
    encoding_aes_key: Secrets = Field(
        (), description="The 43 characters of the EncodingAESKey; two, with a comma, while it changes."
    )
    mode: Literal["auto", "encrypted", "compatible", "plain"] = Field(
        "auto",
        description="The mode of the console; auto is encrypted where there is an EncodingAESKey, else plain.",
    )
    brands: BrandNumbers = Field(
        (),
        description="The brands this account may answer for, by the numbers of brand list; none means all.",
    )


class OfficialAccountSettings(WechatAccountSettings):
    """A WeChat official account."""

    card: bool = Field(
        False,
        description="Whether an answer about a product with a picture comes as a card instead of a text.",
    )


class MiniProgramSettings(WechatAccountSettings):
    """A WeChat mini-program."""

    recall_template: str = Field(
        "",
        max_length=128,
        description="The subscribe message template that tells of a recall; none offers no such notice.",
    )
    sessions_from: Moment = Field(
        "",
        description="Sessions that began before this time are over: set it to now to have everybody sign in anew.",
    )


class FurtherAccountSettings(OfficialAccountSettings, MiniProgramSettings):
    """A further account, under a name of its own."""

    kind: Literal["official_account", "mini_program"] = Field(
        "official_account", description="What sort of account it is."
    )


class WechatSettings(Part):
    """WeChat: an official account, a mini-program, and further accounts by name."""

    api_base: CallAddress = Field(
        "https://api.weixin.qq.com", description="The platform's API, or a relay to it."
    )
    official_account: OfficialAccountSettings = Field(
        OfficialAccountSettings(), description="The official account."
    )
    mini_program: MiniProgramSettings = Field(MiniProgramSettings(), description="The mini-program.")
    accounts: dict[AccountName, FurtherAccountSettings] = Field(
        {},
        description="Further accounts by name, as [wechat.accounts.name]: the fields of the two above, and kind.",
    )
    js_sdk: bool = Field(
        False,
        description="Whether the page offers WeChat's own scanner inside WeChat, signed by the official account.",
    )
    domain_check_files: Words = Field(
        (),
        description="Files the console asks for at the domain, as name.txt=content or q/name.txt=content with commas.",
    )

    @property
    def any_provider(self) -> bool:
        """True where at least one account is set up."""
        return any(
            account.token for account in (self.official_account, self.mini_program, *self.accounts.values())
        )
