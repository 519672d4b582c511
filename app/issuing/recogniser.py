"""Recognition of codes by mathematics and the catalogue in memory; meets the core's port `Recogniser`.

Order (service rules, section 2): keys, check digits, permutation, batch range, tag. A wrong code takes the same
steps wherever it fails after the check digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.core.errors import KeyFileInvalid, KeyMissing
from app.core.model.catalogue import Catalogue
from app.core.model.check_digits import check_digits_hold
from app.core.model.code import Code
from app.core.model.label import CodeBatch
from app.core.ports.labels import KeysMissing, Recognised, Recognition, Unrecognised
from app.core.rules import hides
from app.issuing.codebook import LAYOUTS, Codebook
from app.issuing.keyed_digest import KeyedDigest
from app.issuing.keyring import Keyring, SecretName
from app.issuing.slips import corrections

_UNSOUND: Final = Unrecognised(sound=False)
_UNKNOWN: Final = Unrecognised(sound=True)
_KEYS_MISSING: Final = KeysMissing()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    ring: Keyring
    codebook: Codebook
    codes: KeyedDigest
    messages: KeyedDigest


class CodebookRecogniser:
    """Recognises codes under the keys that `load` reads.

    A key file that cannot be read does not stop the service: `failure` then says why, `keys_fit` is False and
    every recognition is KeysMissing. `code_digest` and `message_key` raise KeyMissing in that state.
    """

    __slots__ = ("_fits", "_fits_for", "_keys", "_load", "failure")

    def __init__(self, load: Callable[[], Keyring]) -> None:
        self._load = load
        self._keys: _Keys | None = None
        self._fits = False
        self._fits_for: Catalogue | None = None
        self.failure: KeyFileInvalid | KeyMissing | None = None
        self.reload()

    def reload(self) -> None:
        """Read the keys again; if that fails the old ones stay and `failure` says why."""
        try:
            ring = self._load()
            codebook = ring.codebook()
            if self._keys is not None:
                codebook.adopt_tables(self._keys.codebook)
            self._keys = _Keys(
                ring=ring,
                codebook=codebook,
                codes=KeyedDigest(ring.secret(SecretName.DIGEST).key),
                messages=KeyedDigest(ring.secret(SecretName.MESSAGE).key),
            )
            self.failure = None
        except (KeyFileInvalid, KeyMissing) as error:
            self.failure = error
        self._fits_for = None

    def tabulate(self) -> None:
        """Make recognition quicker, at the price of 0.1 s and 22 MB; to be called from another thread."""
        keys = self._keys
        if keys is None:
            return
        keys.codebook.tabulate()
        if self._keys is not keys and self._keys is not None:
            self._keys.codebook.adopt_tables(keys.codebook)

    def keys_fit(self, catalogue: Catalogue) -> bool:
        """Tell whether every key that the catalogue's data was made with is present and the same."""
        if catalogue is not self._fits_for:  # once a snapshot, not once a query
            self._fits = self._keys is not None and self._keys.ring.fits(catalogue.key_checks)
            self._fits_for = catalogue
        return self._fits

    def recognise(self, code: Code, catalogue: Catalogue) -> Recognition:
        """Return the serial whose label carries this code, or why there is none; no I/O, 6 to 10 us."""
        keys = self._keys
        if keys is None or not self.keys_fit(catalogue):
            return _KEYS_MISSING
        digits = code.digits
        if len(digits) not in LAYOUTS or not check_digits_hold(digits):
            return _UNSOUND
        try:
            serial = _proved_serial(keys, digits, catalogue)
        except KeyMissing:
            return _KEYS_MISSING
        found = Recognised(serial=serial or 0)  # made for nothing too, because it takes half a microsecond
        return _UNKNOWN if serial is None else found

    def locate_slip(self, code: Code, catalogue: Catalogue) -> tuple[int, ...]:
        """Return the 1-based place(s) of the one wrong digit or swapped pair, or () unless exactly one fits."""
        keys = self._keys
        digits = code.digits
        if keys is None or len(digits) not in LAYOUTS or not self.keys_fit(catalogue):
            return ()
        try:
            located = [
                correction.positions
                for correction in corrections(digits)
                if _may_be_told(_proved_serial(keys, correction.digits, catalogue), catalogue)
            ]
        except KeyMissing:
            return ()
        return located[0] if len(located) == 1 else ()

    def code_digest(self, code: Code) -> bytes:
        """Return HMAC-SHA256 of the digits under the secret `digest`, cut to 16 bytes."""
        return self._required().codes.digest(code.digits.encode("ascii"))

    def message_key(self, channel: str, account: str, message_id: str) -> bytes:
        """Return HMAC-SHA256 of the message's identity under the secret `message`, cut to 16 bytes.

        Each part is preceded by its length, so no two identities run together into one.
        """
        parts = (channel.encode(), account.encode(), message_id.encode("utf-8", "surrogatepass"))
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return self._required().messages.digest(text)

    def _required(self) -> _Keys:
        if self._keys is None:
            raise self.failure or KeyMissing
        return self._keys


def _may_be_told(serial: int | None, catalogue: Catalogue) -> bool:
    """Tell whether a slip may point at this label: a located slip would betray one that its brand hides.

    So would the time it takes to tell; where there is no label, a stand-in is looked at for nothing.
    """
    stand_in = catalogue.stand_in
    looked_at = serial if serial is not None else stand_in.first_serial if stand_in is not None else None
    batch = catalogue.batch_of(looked_at) if looked_at is not None else None
    if looked_at is None or batch is None:
        return False
    label = catalogue.label(looked_at, stand_in if serial is None and stand_in is not None else batch)
    return not hides(label)


def _proved_serial(keys: _Keys, digits: str, catalogue: Catalogue) -> int | None:
    serial = keys.codebook.open(digits)
    batch: CodeBatch | None = catalogue.batch_of(serial)
    if batch is None or batch.tag_key_id is None:
        # no batch can make it genuine; a proof for nothing keeps its time that of a wrong tag
        keys.codebook.prove(digits, tag_key_id=keys.ring.current_tag_key_id)
        return None
    return serial if keys.codebook.prove(digits, tag_key_id=batch.tag_key_id) else None
