"""What is planted: numbers, openids and codes that stand nowhere else, each handed out to one errand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from app.core.model.check_digits import check_digits_for
from tests.proof.canaries.searching import NUMBER_HEAD, OPENID_HEAD, Searcher

_TAG = slice(11, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """``numbers`` as eleven digits; ``codes`` of labels in circulation, ``wrong`` codes, ``slips`` of codes."""

    numbers: tuple[str, ...]
    openids: tuple[str, ...]
    codes: tuple[str, ...]
    wrong: tuple[str, ...]

    @staticmethod
    def of(codes: Sequence[str], *, numbers: int, openids: int, wrong: int) -> Canaries:
        """Make ``codes[wrong:]`` the real ones, and of the first others that no label has."""
        return Canaries(
            numbers=tuple(f"{NUMBER_HEAD}{number:03d}" for number in range(numbers)),
            openids=tuple(f"{OPENID_HEAD}{number * 7919 % 10**9:09d}abcdefgh" for number in range(openids)),
            codes=tuple(codes[wrong:]),
            wrong=tuple(_with_another_tag(code) for code in codes[:wrong]),
        )

    @property
    def count(self) -> int:
        return len(self.numbers) + len(self.openids) + len(self.codes) + len(self.wrong)

    def searcher(self) -> Searcher:
        return Searcher(numbers=self.numbers, codes=(*self.codes, *self.wrong))

    def texts(self) -> Iterator[str]:
        """Yield texts that hold codes, right and wrong, with a slip and in groups, for ever."""
        for number, code in enumerate(cycle((*self.codes, *self.wrong))):
            slip = f"{code[:4]}{(int(code[4]) + 1) % 10}{code[5:]}"
            grouped = " ".join(code[at : at + 4] for at in range(0, len(code), 4))
            yield (code, f"请查 {grouped} 谢谢", f"https://x.example/q/{code}", slip)[number % 4]


def _with_another_tag(code: str) -> str:
    body = f"{code[: _TAG.start]}{(int(code[_TAG]) + 1) % 10**7:07d}"
    return body + check_digits_for(body)
