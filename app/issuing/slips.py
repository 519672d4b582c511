"""Where a typing slip may be: every code one wrong digit or one swap of neighbours away whose check digits hold.

Found by arithmetic modulo 97, about three to a code, never by trying all two hundred. Which of them is real, if any,
only a tag can tell (`recogniser`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from app.core.model.check_digits import MODULUS, check_digits_hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A code that would hold, and the 1-based places where it differs: one, or two neighbours that were swapped."""

    digits: str
    positions: tuple[int, ...]


@lru_cache(maxsize=8)
def _changes(length: int) -> tuple[tuple[tuple[int, int, bool], ...], ...]:
    """Return for each remainder 0 .. 96 the changes (index, amount, swap) that add it to a number of this length.

    For a wrong digit `amount` is what the digit must grow by; for a swap it is the right digit less the left.
    """
    rows: list[list[tuple[int, int, bool]]] = [[] for _ in range(MODULUS)]
    for index in range(length):
        weight = pow(10, length - 1 - index, MODULUS)
        for amount in (*range(-9, 0), *range(1, 10)):
            rows[amount * weight % MODULUS].append((index, amount, False))
            if index + 1 < length:
                # ab -> ba adds (b - a) * (10^(k+1) - 10^k), with k the place of b
                swap_weight = 9 * pow(10, length - 2 - index, MODULUS)
                rows[amount * swap_weight % MODULUS].append((index, amount, True))
    return tuple(tuple(row) for row in rows)


def corrections(digits: str) -> tuple[Correction, ...]:
    """Return every code of one wrong digit or one swap of neighbours away that satisfies MOD 97-10.

    `digits` are ASCII digits whose check digits do not hold. No two results are alike.
    """
    found: list[Correction] = []
    for index, amount, swap in _changes(len(digits))[(1 - int(digits)) % MODULUS]:
        left = int(digits[index])
        if swap:
            right = int(digits[index + 1])
            if right - left != amount:
                continue
            changed = f"{digits[:index]}{right}{left}{digits[index + 2 :]}"
            positions: tuple[int, ...] = (index + 1, index + 2)
        else:
            if not 0 <= left + amount <= 9:
                continue
            changed = f"{digits[:index]}{left + amount}{digits[index + 1 :]}"
            positions = (index + 1,)
        if check_digits_hold(changed):
            found.append(Correction(digits=changed, positions=positions))
    return tuple(found)
