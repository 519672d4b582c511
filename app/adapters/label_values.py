"""Values of metric labels: plain names, and a bounded number of them, so that strangers cannot flood the monitoring."""

from __future__ import annotations

import re
from typing import Final

OTHER: Final = "other"
_PLAIN: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class LabelValues:
    """Lets the first ``most`` plain names through and calls every further one, and what is no such name, ``other``."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return the label value for ``name``. Not for several threads at once."""
        if name in self._known:
            return name
        if len(self._known) >= self._most or _PLAIN.fullmatch(name) is None:
            return OTHER
        self._known.add(str(name))
        return name
