"""Forgetting a caller: everything that leads from a telephone number to what was asked."""

from __future__ import annotations

from app.adapters.identities import KeyedIdentities
from app.adapters.places import PhoneNumberPlaces
from app.bootstrap.requirements import require_database
from app.bootstrap.storage import open_storage
from app.core.errors import RuleBroken
from app.core.model.caller import CallerKind
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from app.settings import Settings


async def erase_caller(settings: Settings, number: str) -> int:
    """Erase a number's token, choices, notices and spending; return how many rows went. The facts stay, nobody's.

    Raises ``RuleBroken`` for a text that is no number. A server that runs on the same data may go on meanwhile.
    """
    require_database(settings)
    normalised = PhoneNumberPlaces().normalise(number)
    if not normalised:
        raise RuleBroken("Give the telephone number to forget, for example +8613800138000.")
    ring = KeyFile(settings.key_file).load()
    identities = KeyedIdentities(
        caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
    )
    token = identities.caller(CallerKind.PHONE, normalised).token
    storage = await open_storage(settings)
    try:
        return await storage.erase(token) if token is not None else 0
    finally:
        await storage.close()
