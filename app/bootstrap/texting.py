"""Text messages at start-up: the settings tree as the channel's own values, and what messages stand on."""

from __future__ import annotations

import os
import secrets
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import SettingsInvalid
from app.logs import Logger
from app.settings import Settings
from channels.sms.settings import GatewayOptions, KannelOptions, SmppOptions, SmsSettings, TwilioOptions
from channels.wording.reply import Wording

SMS: Final = "sms"
_DEMO_TOKEN_FILE: Final = "demo-phone-token"  # noqa: S105 - the name of the file


def sms_settings(settings: Settings) -> SmsSettings:
    """Return the providers that are set up; without any the channel has no address."""
    sms = settings.sms
    return SmsSettings(
        twilio=_twilio(settings) if sms.twilio.auth_tokens else None,
        kannel=_kannel(settings) if sms.kannel.secret else None,
        smpp=_smpp(settings) if sms.smpp.host else None,
        gateway=_gateway(settings) if sms.gateway.files else None,
    )


def load_wording(settings: Settings) -> Wording:
    """Return the words with this installation's signatures and official domain. Raises ``SettingsInvalid``."""
    try:
        return Wording.load(
            settings.timezone,
            site=_official_domain(settings.public_url),
            signatures={"zh-CN": settings.sms.signature, "en": settings.sms.signature_en},
        )
    except ValueError as error:
        raise SettingsInvalid(f"sms.signature, sms.signature_en: {error}") from None


def _official_domain(public_url: str) -> str:
    """Return the bare domain a shopper could type, "" where there is none."""
    host = urlsplit(public_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return "" if host == "localhost" else host
    return ""


def make_demo_provider(settings: Settings) -> Settings:
    """Return the settings with a provider to play: a token in the data folder that nobody else knows."""
    path = settings.data_dir / _DEMO_TOKEN_FILE
    if not _any_provider(settings) and not path.exists():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(16))
    return with_demo_provider(settings)


def with_demo_provider(settings: Settings) -> Settings:
    """Return the settings, with the demonstration's provider where it was made and none is set up."""
    path = settings.data_dir / _DEMO_TOKEN_FILE
    if _any_provider(settings) or not path.exists():
        return settings
    return settings.with_phones_by_token(path.read_text(encoding="ascii").strip())


def _any_provider(settings: Settings) -> bool:
    return settings.sms.any_provider or settings.ivr.any_provider


def warn_of_idle_settings(settings: Settings, log: Logger) -> None:
    """Say that a provider is set up which no channel uses."""
    if settings.sms.any_provider and SMS not in settings.channels:
        log.warning(
            "provider_without_channel", remedy="Add sms to channels, or take the provider's settings out."
        )


def _twilio(settings: Settings) -> TwilioOptions:
    chosen = settings.sms.twilio
    return TwilioOptions(
        auth_tokens=tuple(token.get_secret_value() for token in chosen.auth_tokens),
        account_sid=chosen.account_sid,
        api_url=chosen.api_url,
    )


def _kannel(settings: Settings) -> KannelOptions:
    chosen = settings.sms.kannel
    return KannelOptions(
        secrets=tuple(secret.get_secret_value() for secret in chosen.secret),
        allow_from=chosen.allow_from,
        send_url=chosen.send_url,
        send_username=chosen.send_username,
        send_password=chosen.send_password.get_secret_value(),
    )


def _smpp(settings: Settings) -> SmppOptions:
    chosen = settings.sms.smpp
    return SmppOptions(
        host=chosen.host,
        port=chosen.port,
        system_id=chosen.system_id,
        password=chosen.password.get_secret_value(),
        system_type=chosen.system_type,
        addresses=chosen.addresses,
    )


def _gateway(settings: Settings) -> GatewayOptions:
    chosen = settings.sms.gateway
    credentials = []
    for entry in chosen.credentials:
        name, equals, value = entry.get_secret_value().partition("=")
        if not equals:
            raise SettingsInvalid("sms.gateway.credentials: write each as name=value, with commas between.")
        credentials.append((name.strip(), value.strip()))
    return GatewayOptions(
        files=chosen.files,
        secrets=tuple(secret.get_secret_value() for secret in chosen.secrets),
        allow_from=chosen.allow_from,
        credentials=tuple(credentials),
        reply_by=chosen.reply_by,
    )
