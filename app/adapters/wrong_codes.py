"""The watch on wrong codes in one process, and what it has to tell the others and to learn from them.

While others are told, what begins here is not announced here: they may have seen the rest of it, and one announces it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from app.adapters.bursts import SLOT_S, Burst, WrongCodeBursts
from app.adapters.neighbourhoods import Closeness, Neighbourhoods

_OLDEST_SLOTS: Final = 10  # wrong codes that nobody could be told of within ten minutes count here alone
_CODES: Final = 1000
_ONSETS: Final = 100
_FRESH_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCode:
    """A code that is in no record although it is sound in itself, and the channel that it came by."""

    channel: str
    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOnset:
    """Wrong codes begin to lie close together: ``group`` is their serial or label, ``code`` the last of them."""

    closeness: Closeness
    group: str = field(repr=False)
    code: UnknownCode


class WrongCodeWatch:
    """Counts wrong codes and looks at those close together, for any thread. Times are monotonic seconds.

    Without anybody to share with, each onset is returned where it is noted. Otherwise whoever shares calls ``told``
    often, and announces what :meth:`take_onsets` returns; unless it is called for five seconds, this process is alone.
    """

    def __init__(self, started_s: float) -> None:
        self._lock = Lock()
        self._bursts = WrongCodeBursts(started_s)
        self._neighbourhoods = Neighbourhoods()
        self._shared: dict[str, Burst] = {}
        self._told_until_s = float("-inf")
        self._channels: set[str] = set()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._codes: deque[UnknownCode] = deque(maxlen=_CODES)
        self._onsets: deque[CloseOnset] = deque(maxlen=_ONSETS)

    # -- what happens here -----------------------------------------------------------------------------------

    def note_channel(self, channel: str) -> None:
        """Remember that ``channel`` is served; its past counts from then on."""
        with self._lock:
            self._channels.add(channel)

    def note_wrong(self, channel: str, now_s: float) -> Burst | None:
        """Count one wrong code; return the burst that begins with it in this process, where it is alone."""
        with self._lock:
            self._channels.add(channel)
            self._counts[channel, int(now_s // SLOT_S)] += 1
            onset = self._bursts.note(channel, now_s)
            return None if now_s < self._told_until_s else onset

    def note_label(self, digits: str) -> None:
        """Remember the code of a label that is in the record."""
        with self._lock:
            self._neighbourhoods.note_label(digits)

    def note_unknown(self, code: UnknownCode, now_s: float) -> tuple[CloseOnset, ...]:
        """Hold a code against those close to it; return what begins with it in this process, where it is alone."""
        with self._lock:
            self._codes.append(code)
            onsets = self._hold(code, now_s)
            if now_s >= self._told_until_s:
                return onsets
            self._onsets.extend(onsets)
            return ()

    def look(self, now_s: float) -> dict[str, Burst]:
        """Return how the wrong codes of each channel stand: of all processes where they are known."""
        with self._lock:
            local = self._bursts.look(now_s)
            return local | self._shared if now_s < self._told_until_s else local

    # -- what is shared --------------------------------------------------------------------------------------

    def channels(self) -> frozenset[str]:
        """Return the channels that are served."""
        with self._lock:
            return frozenset(self._channels)

    def take_counts(self, now_s: float) -> dict[str, dict[int, int]]:
        """Return, and forget, the wrong codes that others do not know of: by channel, how many so many minutes ago."""
        slot = int(now_s // SLOT_S)
        with self._lock:
            taken: dict[str, dict[int, int]] = {}
            for (channel, at), count in self._counts.items():
                if slot - at < _OLDEST_SLOTS:
                    taken.setdefault(channel, {})[slot - at] = count
            self._counts.clear()
            return taken

    def put_back_counts(self, channel: str, counts: Mapping[int, int], now_s: float) -> None:
        """Keep what could not be told."""
        slot = int(now_s // SLOT_S)
        with self._lock:
            for ago, count in counts.items():
                self._counts[channel, slot - ago] += count

    def take_codes(self, most: int) -> list[UnknownCode]:
        """Return, and forget, codes that others do not know of, the oldest first; of 1000 that wait the oldest goes."""
        with self._lock:
            return [self._codes.popleft() for _ in range(min(most, len(self._codes)))]

    def put_back_codes(self, codes: Iterable[UnknownCode]) -> None:
        """Keep what could not be told."""
        with self._lock:
            for code in codes:
                if len(self._codes) < _CODES:
                    self._codes.append(code)

    def learn(self, code: UnknownCode, seen_s: float) -> None:
        """Hold a code that came to any process against those close to it here; twice is as good as once."""
        with self._lock:
            self._onsets.extend(self._hold(code, seen_s))

    def take_onsets(self) -> list[CloseOnset]:
        """Return, and forget, what begins and was not announced."""
        with self._lock:
            taken = list(self._onsets)
            self._onsets.clear()
            return taken

    def told(self, bursts: Mapping[str, Burst], now_s: float) -> None:
        """Note that the others know what is known here, and how channels stand over all of them."""
        with self._lock:
            self._shared.update(bursts)
            self._told_until_s = now_s + _FRESH_S

    def _hold(self, code: UnknownCode, now_s: float) -> tuple[CloseOnset, ...]:
        found = self._neighbourhoods.find_onsets(code.digits, now_s)
        return tuple(CloseOnset(closeness=kind, group=group, code=code) for kind, group in found)
