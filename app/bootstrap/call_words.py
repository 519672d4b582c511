"""The words of a simulated call: which sentence a clip says, and the lines that sentences, numbers and names make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.core.model.value import value
from app.speech.library import ClipLibrary
from app.speech.phrasing import vocabulary
from app.speech.spoken import Name

_JOINING: Final = ("channel.", "place.", "verdict.slip_and")  # go on with a sentence, as number words do
_SENTENCE_ENDS: Final = frozenset("。！？：.!?:")


@value
class Words:
    """What one clip says; ``opens`` is false for what goes on with the sentence before it."""

    text: str
    opens: bool = True


class Transcript:
    """The lines of one turn."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = []
        self._open = False

    def add(self, words: Words) -> None:
        """Add a clip's words to the line, or begin one with them."""
        if self._open and not words.opens:
            self._lines[-1].append(words.text)
        else:
            self._lines.append([words.text])
        self._open = not ends_sentence(words.text)

    def add_pause(self) -> None:
        """Set apart what is read out digit by digit."""
        if self._open:
            self._lines[-1].append("")

    def add_remark(self, text: str) -> None:
        """Add a line that nobody said."""
        self._lines.append([f"({text})"])
        self._open = False

    def take(self) -> tuple[str, ...]:
        """Return the lines and begin anew."""
        lines, self._lines, self._open = self._lines, [], False
        return tuple(_join(line) for line in lines)


def ends_sentence(text: str) -> bool:
    """Tell whether a sentence ends here; brackets around it are not looked at."""
    return text.rstrip("]")[-1:] in _SENTENCE_ENDS


def clip_words(library: ClipLibrary) -> Mapping[str, Words]:
    """Return what each clip says, by its digest; also of clips that the server has still to make."""
    said: dict[str, Words] = {}
    known = library.known()
    numbers = {locale: vocabulary(locale) for locale in library.books}
    for entry in library.entries():
        item = entry.item
        if isinstance(item, Name):
            words = Words(text=item.text, opens=False)
        else:
            goes_on = item.key in numbers[entry.locale] or item.key.startswith(_JOINING)
            words = Words(text=library.sentence(item.key, entry.locale), opens=not goes_on)
        said.setdefault(entry.order.path.stem, words)
        if clip := known.get((entry.locale, item)):
            said.setdefault(clip.sha, words)
    return said


def _join(parts: list[str]) -> str:
    """Return a line: hanzi that are said one by one stand together, everything else apart."""
    line, last = "", ""
    for part in parts:
        if not part:
            line += "," if last.isascii() else ""
        else:
            together = len(part) == len(last) == 1 and not part.isascii()
            line += part if together or not line else f" {part}"
        last = part
    return line.rstrip(",")
