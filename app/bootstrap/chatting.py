"""WeChat at start-up: the settings tree as the channel's own values."""

from __future__ import annotations

import json
import os
import re
import secrets
import string
from datetime import datetime
from typing import Final

from app.core.errors import SettingsInvalid
from app.core.model.label import BrandId
from app.settings import Settings
from app.settings.parts import MiniProgramSettings, OfficialAccountSettings, WechatAccountSettings
from channels.web.settings import WebOptions
from channels.wechat.settings import Account, AccountKind, Mode, WechatSettings

WECHAT: Final = "wechat"
WEB: Final = "web"
_DEMO_ACCOUNT_FILE: Final = "demo-chat-account.json"
_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_AES_KEY: Final = re.compile(r"[A-Za-z0-9]{43}")
_CHECK_FILE: Final = re.compile(r"(?:[a-z0-9-]{1,32}/){0,3}[A-Za-z0-9_]{1,64}\.txt")


def wechat_settings(settings: Settings) -> WechatSettings:
    """Return the accounts that are set up. Raises ``SettingsInvalid`` with the field and its remedy."""
    chosen = settings.wechat
    accounts = []
    firsts: tuple[tuple[AccountKind, str, WechatAccountSettings], ...] = (
        (AccountKind.OFFICIAL_ACCOUNT, "wechat.official_account", chosen.official_account),
        (AccountKind.MINI_PROGRAM, "wechat.mini_program", chosen.mini_program),
    )
    for kind, field, account in firsts:
        if account.token:
            accounts.append(_account(kind.value, kind, account, field))
    for name, further in chosen.accounts.items():
        if name in {kind.value for kind in AccountKind}:
            raise SettingsInvalid(f"wechat.accounts.{name}: this name is taken; choose another.")
        if not further.token:
            raise SettingsInvalid(f"wechat.accounts.{name}.token: set the server configuration's token.")
        kind = AccountKind(further.kind.replace("_", "-"))
        accounts.append(_account(name, kind, further, f"wechat.accounts.{name}"))
    return WechatSettings(
        accounts=tuple(accounts),
        api_base=chosen.api_base.rstrip("/"),
        js_sdk=_js_sdk(settings),
        domain_files=dict(_check_file(entry) for entry in chosen.domain_check_files),
    )


def web_options(settings: Settings) -> WebOptions:
    """Return what the website may offer inside WeChat, and to visitors over a limit."""
    throttle = settings.throttle
    return WebOptions(
        js_sdk=WECHAT in settings.channels and bool(_js_sdk(settings)),
        proof_rounds=throttle.proof_rounds if throttle.enabled and throttle.proof_of_work else 0,
    )


def make_demo_account(settings: Settings) -> Settings:
    """Return the settings with an account to play: a token and a key in the data folder that nobody else knows."""
    path = settings.data_dir / _DEMO_ACCOUNT_FILE
    if not settings.wechat.any_provider and not path.exists():
        account = {
            "token": secrets.token_hex(16),
            "encoding_aes_key": "".join(secrets.choice(_ALPHANUMERIC) for _ in range(43)),
            "app_id": f"wx{secrets.token_hex(8)}",
        }
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(account, file)
    return with_demo_account(settings)


def with_demo_account(settings: Settings) -> Settings:
    """Return the settings, with the demonstration's account where it was made and none is set up.

    Raises ``SettingsInvalid`` where its file is damaged.
    """
    path = settings.data_dir / _DEMO_ACCOUNT_FILE
    if settings.wechat.any_provider or not path.exists():
        return settings
    try:
        account = json.loads(path.read_text(encoding="ascii"))
        return settings.with_official_account(
            token=account["token"], encoding_aes_key=account["encoding_aes_key"], app_id=account["app_id"]
        )
    except (ValueError, TypeError, KeyError):
        raise SettingsInvalid(
            f"{path} is damaged. Remove it; `yanzhen demo` makes it anew at its next start."
        ) from None


def _account(name: str, kind: AccountKind, chosen: WechatAccountSettings, field: str) -> Account:
    keys = tuple(key.get_secret_value() for key in chosen.encoding_aes_key)
    if not all(_AES_KEY.fullmatch(key) for key in keys):
        raise SettingsInvalid(
            f"{field}.encoding_aes_key: it has 43 letters and digits; copy it from the console."
        )
    mode = Mode.ENCRYPTED if keys else Mode.PLAIN
    if chosen.mode != "auto":
        mode = Mode(chosen.mode)
    if mode is not Mode.PLAIN and not (keys and chosen.app_id):
        raise SettingsInvalid(
            f"{field}: {mode.value} mode needs encoding_aes_key and app_id; copy them from the console."
        )
    mini_program = chosen if isinstance(chosen, MiniProgramSettings) else None
    began = mini_program.sessions_from if mini_program is not None else ""
    return Account(
        name=name,
        kind=kind,
        tokens=tuple(token.get_secret_value() for token in chosen.token),
        app_id=chosen.app_id,
        app_secret=chosen.app_secret.get_secret_value(),
        aes_keys=keys,
        mode=mode,
        brands=frozenset(BrandId(number) for number in chosen.brands) or None,
        card=isinstance(chosen, OfficialAccountSettings) and chosen.card,
        recall_template=mini_program.recall_template if mini_program is not None else "",
        sessions_from=datetime.fromisoformat(began) if began else None,
    )


def _js_sdk(settings: Settings) -> str:
    official = settings.wechat.official_account
    if not settings.wechat.js_sdk:
        return ""
    if not (official.token and official.app_id and official.app_secret.get_secret_value()):
        raise SettingsInvalid(
            "wechat.js_sdk: it needs an official account with token, app_id and app_secret."
        )
    return AccountKind.OFFICIAL_ACCOUNT.value


def _check_file(entry: str) -> tuple[str, str]:
    name, equals, content = entry.partition("=")
    if not equals or not _CHECK_FILE.fullmatch(name.strip()):
        raise SettingsInvalid(
            "wechat.domain_check_files: write each as name.txt=content, with commas between."
        )
    return name.strip(), content.strip()
