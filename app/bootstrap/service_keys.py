"""The keys of a running service, or, where they do not fit, ones that answer nothing until a restart."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes

from app.adapters.identities import KeyedIdentities
from app.bootstrap.requirements import require_fit
from app.bootstrap.sealing import sealing_under, sealing_without_keys
from app.core.errors import KeyFileInvalid, KeyMissing
from app.core.model.catalogue import Catalogue
from app.core.ports.sealing import Sealing
from app.issuing.key_file import KeyFile
from app.issuing.keyring import Keyring, SecretName
from app.issuing.recogniser import CodebookRecogniser
from app.logs import Logger
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKeys:
    """What the key file makes possible; ``throttle_key`` hides callers in limits that machines share. ``ring`` is None
    where the file cannot be used.
    """

    ring: Keyring | None
    recogniser: CodebookRecogniser
    identities: KeyedIdentities
    sealing: Sealing
    throttle_key: bytes


def open_keys(settings: Settings, log: Logger) -> ServiceKeys:
    """Return recognition and identities; where the file cannot be used, ones that answer nothing until a restart."""
    key_file = KeyFile(settings.key_file)
    try:
        ring = key_file.load()
        identities = KeyedIdentities(
            caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
        )
        sealing = sealing_under(ring)
    except (KeyFileInvalid, KeyMissing) as error:
        return _useless(error, log)
    return ServiceKeys(
        ring=ring,
        recogniser=CodebookRecogniser(key_file.load),
        identities=identities,
        sealing=sealing,
        throttle_key=blake2b(b"throttle", key=ring.secret(SecretName.CALLER).key).digest()[:32],
    )


def keys_that_fit(keys: ServiceKeys, settings: Settings, catalogue: Catalogue, log: Logger) -> ServiceKeys:
    """Return ``keys``; where they are another database's, ones that answer nothing until a restart."""
    if keys.ring is not None:
        try:
            require_fit(keys.ring, catalogue, KeyFile(settings.key_file))
        except (KeyFileInvalid, KeyMissing) as error:
            return _useless(error, log)
    return keys


def _useless(failure: KeyFileInvalid | KeyMissing, log: Logger) -> ServiceKeys:
    """Return keys that refuse. They must not heal half: identities are made once, so a key file restored later counts
    from the next start.
    """
    effect = "every answer is unavailable until a restart with the right keys"
    log.error("keys_unusable", error=str(failure), effect=effect)

    def refuse() -> Keyring:
        raise failure

    return ServiceKeys(
        ring=None,
        recogniser=CodebookRecogniser(refuse),
        identities=KeyedIdentities(caller_key=token_bytes(32), result_key=token_bytes(32)),
        sealing=sealing_without_keys(),
        throttle_key=token_bytes(32),
    )
