"""Forgetting a caller: everything that leads from a number or an openid to what was asked."""

from __future__ import annotations

import re
from typing import Final

from app.adapters.identities import KeyedIdentities
from app.adapters.places import PhoneNumberPlaces
from app.bootstrap.requirements import require_database
from app.bootstrap.storage import open_storage
from app.core.errors import RuleBroken
from app.core.model.caller import CallerKind
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from app.settings import Settings

_WECHAT: Final = re.compile("[0-9A-Za-z_-]{1,64}/[0-9A-Za-z_-]{1,64}")


async def erase_caller(settings: Settings, *, number: str = "", wechat: str = "") -> int:
    """Erase the token, choices, notices, watches, spending and reports of a number, of ``wechat``, the AppID and the
    openid with a slash between, or of both; return how many rows that were. The facts stay, nobody's.

    Raises ``RuleBroken`` for a text that is neither. A server that runs on the same data may go on meanwhile.
    """
    require_database(settings)
    named: list[tuple[CallerKind, str]] = []
    if number:
        normalised = PhoneNumberPlaces().normalise(number)
        if not normalised:
            raise RuleBroken("Give the telephone number to forget, for example +8613800138000.")
        named.append((CallerKind.PHONE, normalised))
    if wechat:
        if not _WECHAT.fullmatch(wechat):
            raise RuleBroken("Give AppID and openid with a slash between: wx0123456789abcdef/oABCdef.")
        named.append((CallerKind.WECHAT, wechat))
    ring = KeyFile(settings.key_file).load()
    identities = KeyedIdentities(
        caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
    )
    tokens = [identities.caller(kind, identity).token for kind, identity in named]
    storage = await open_storage(settings)
    try:
        return sum([await storage.erase(token) for token in tokens if token is not None])
    finally:
        await storage.close()
