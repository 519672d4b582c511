"""Sounds held in memory up to a number of bytes, so that a fetched clip costs no file; the least used go first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class HeldSounds:
    """Files by the digest of their content. Safe to fill from a thread while the event loop looks."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._sounds: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()  # held for a look-up or two, never for a file

    @property
    def has_room(self) -> bool:
        """Whether filling it further would push nothing useful out."""
        return self._bytes < self._most_bytes

    def find(self, sha: str) -> bytes | None:
        """Return the sound, or None where it is not held."""
        with self._lock:
            sound = self._sounds.get(sha)
            if sound is not None:
                self._sounds.move_to_end(sha)
            return sound

    def keep(self, sha: str, sound: bytes) -> None:
        """Hold ``sound``, and let go of the least used where there is no room; one larger than all room is not held."""
        if len(sound) > self._most_bytes:
            return
        with self._lock:
            if sha in self._sounds:
                return
            self._sounds[sha] = sound
            self._bytes += len(sound)
            while self._bytes > self._most_bytes:
                _, gone = self._sounds.popitem(last=False)
                self._bytes -= len(gone)
