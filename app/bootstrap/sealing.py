"""What is sealed under the key file, and what stands in for it where the file cannot be used."""

from __future__ import annotations

from secrets import token_bytes

from app.adapters.sealing import AesGcmSealing
from app.core.ports.sealing import Sealing
from app.issuing.keyring import Keyring, SecretName


def sealing_under(ring: Keyring) -> Sealing:
    """Return the sealing under these keys. Raises ``KeyMissing``."""
    ring.secret(SecretName.MESSAGE)
    return AesGcmSealing({kept.id: kept.key for kept in ring.secrets[SecretName.MESSAGE]})


def sealing_without_keys() -> Sealing:
    """Return a sealing that opens nothing of any key file."""
    return AesGcmSealing({1: token_bytes(32)})
