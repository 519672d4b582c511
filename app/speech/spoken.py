"""What is to be spoken, before any sound exists: phrases of the catalogue, names, and pauses between them."""

from __future__ import annotations

from app.core.model.value import value


@value
class Phrase:
    """One phrase of the catalogue by its key, such as ``greeting``, ``digit.7`` or ``verdict.first``."""

    key: str


@value
class Name:
    """A brand's or product's spoken name; its clip is made when the name is entered, not while somebody listens."""

    text: str


@value
class Pause:
    """Silence between two phrases, in milliseconds."""

    ms: int


Spoken = tuple[Phrase | Name | Pause, ...]
