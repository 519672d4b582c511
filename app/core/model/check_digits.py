"""ISO 7064 MOD 97-10 check digits, the last two digits of every code of ours.

Every wrong digit and every swap of two neighbours changes the remainder, so both are always caught.
"""

from __future__ import annotations

MODULUS = 97


def check_digits_for(body: str) -> str:
    """Return the two check digits ("02" to "98") for ``body``, a non-empty run of ASCII digits.

    Source: ISO/IEC 7064, MOD 97-10: the number followed by its check digits leaves 1 modulo 97.
    """
    return f"{(MODULUS + 1) - int(body) * 100 % MODULUS:02d}"


def check_digits_hold(digits: str) -> bool:
    """Tell whether ``digits`` (ASCII, check digits last) leaves 1 modulo 97 with check digits 02 to 98."""
    return int(digits) % MODULUS == 1 and digits[-2:] not in {"00", "01", "99"}
