"""The keys of the codebook and of the service, as values. Reading and writing the key file is `key_file`.

Permutation keys and the digest secret never change; tag keys are only ever added, the highest id is current.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from app.core.errors import KeyMissing, RuleBroken
from app.issuing.codebook import KEY_BYTES, LAYOUTS, Codebook

_CHECK_BYTES: Final = 8
MAX_TAG_KEY_ID: Final = 0xFFFF


class SecretName(StrEnum):
    """What a secret is for: caller tokens, message identities, digests of codes, ids of result pages."""

    CALLER = "caller"
    MESSAGE = "message"
    DIGEST = "digest"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """One 32-byte key with its id and birth. `repr` shows no key."""

    id: int
    key: bytes = field(repr=False)
    created_at: datetime

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a key is {KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """All keys of one installation. `repr` shows ids only.

    `tag_keys` and each entry of `secrets` are ordered by id; the last one is current, the others stay valid.
    """

    permutation_keys: Mapping[int, bytes] = field(repr=False)
    tag_keys: tuple[KeptKey, ...]
    secrets: Mapping[SecretName, tuple[KeptKey, ...]]

    @property
    def current_tag_key_id(self) -> int:
        """The tag key that new batches take."""
        return self.tag_keys[-1].id

    def secret(self, name: SecretName) -> KeptKey:
        """Return the current secret of this name, or raise KeyMissing."""
        kept = self.secrets.get(name)
        if not kept:
            raise KeyMissing(
                f"The secret `{name}` is not in the key file. Restore the key file from its backup."
            )
        return kept[-1]

    def codebook(self) -> Codebook:
        """Return the codebook under these keys."""
        return Codebook(
            permutation_keys=self.permutation_keys,
            tag_keys={kept.id: kept.key for kept in self.tag_keys},
        )

    def checks(self) -> Mapping[str, str]:
        """Return each key's name with a value that recognises the key and tells nothing about it.

        Stored beside the data, it shows a wrong or lost key file before any answer is given.
        """
        named: dict[str, bytes] = {
            f"permutation/{layout}": key for layout, key in self.permutation_keys.items()
        }
        named |= {f"tag/{kept.id}": kept.key for kept in self.tag_keys}
        named |= {f"{name}/{kept.id}": kept.key for name, keys in self.secrets.items() for kept in keys}
        return {name: _check_value(name, key) for name, key in named.items()}

    def fits(self, stored: Mapping[str, str]) -> bool:
        """Tell whether every key named in `stored` is here and the same."""
        own = self.checks()
        return all(own.get(name) == value for name, value in stored.items())

    def with_new_tag_key(self, *, now: datetime) -> Keyring:
        """Return this keyring with one more tag key, which is then current."""
        new = KeptKey(id=self.current_tag_key_id + 1, key=secrets.token_bytes(KEY_BYTES), created_at=now)
        if new.id > MAX_TAG_KEY_ID:
            raise RuleBroken(
                "All 65,535 tag key ids are used, so no key can be added. Set up a new installation."
            )
        return Keyring(
            permutation_keys=self.permutation_keys, tag_keys=(*self.tag_keys, new), secrets=self.secrets
        )

    @staticmethod
    def fresh(*, now: datetime) -> Keyring:
        """Return a keyring of new random keys: one a layout, tag key 1, one secret of each name."""

        def kept() -> KeptKey:
            return KeptKey(id=1, key=secrets.token_bytes(KEY_BYTES), created_at=now)

        return Keyring(
            permutation_keys={layout: secrets.token_bytes(KEY_BYTES) for layout in LAYOUTS},
            tag_keys=(kept(),),
            secrets={name: (kept(),) for name in SecretName},
        )


def _check_value(name: str, key: bytes) -> str:
    # HMAC, because the same key never serves HMAC elsewhere under a text that begins so
    return hmac.digest(key, b"yanzhen key check\0" + name.encode(), sha256)[:_CHECK_BYTES].hex()
