"""What a text message says of the service itself: the signature at its start and the bare official domain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from channels.wording.segments import Encoding, find_gsm7_length, ucs2_length

LONGEST_SITE: Final = 24
LONGEST_SIGNATURE: Final = {Encoding.UCS2: 6, Encoding.GSM7: 12}
_LABEL: Final = r"\w+(?:-+\w+)*"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """``signature`` as it is shown, brackets or colon included, or ""; ``site`` is "" where none is shown."""

    signature: str = ""
    site: str = ""

    @staticmethod
    def of(*, signature: str, shown: str, site: str, alphabet: Encoding) -> Letterhead:
        """Check what the operator set. ``shown`` is the form of a signature, with its ``{signature}``.

        An empty signature shows none, for gateways that put their own before every text. A longer site than 24
        characters is left out. Raises ``ValueError`` with its remedy for a signature that is too long or not of the
        alphabet, and for a site with a scheme, a port or a path.
        """
        _check_signature(signature, alphabet)
        if site and not _DOMAIN.fullmatch(site):
            raise ValueError(
                f"The official site {site!r} is no bare domain; "
                "give it without scheme, port and path, as in yanzhen.example."
            )
        return Letterhead(
            signature=shown.format(signature=signature) if signature else "",
            site=site if len(site) <= LONGEST_SITE else "",
        )


def _check_signature(signature: str, alphabet: Encoding) -> None:
    longest = LONGEST_SIGNATURE[alphabet]
    if signature != signature.strip() or not signature.isprintable() or set(signature) & set("【】[]{}/"):
        raise ValueError(
            f"The signature {signature!r} holds brackets, a slash or blanks at its ends; "
            "give the name alone, as in 验真."
        )
    size = find_gsm7_length(signature) if alphabet is Encoding.GSM7 else ucs2_length(signature)
    if size is None:
        raise ValueError(
            f"The signature {signature!r} has letters outside the GSM 7-bit alphabet, which halves a text message; "
            "spell it without them."
        )
    if size > longest:
        raise ValueError(
            f"The signature {signature!r} is {size} characters long, and at most {longest} leave room for the answer; "
            "shorten it."
        )
