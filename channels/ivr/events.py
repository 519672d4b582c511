"""What can happen in a call. Adapters turn their provider's callbacks and lines into these; the dialogue takes them."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from app.core.model.value import value
from app.core.model.verdict import Verdict
from app.speech.spoken import Spoken

Ended = Literal["hash", "length", "pause"]


@value
class Started:
    """The call was answered. ``locale`` is the language to begin in, as a tag; an unknown one falls back."""

    locale: str = "zh-CN"


@value
class Keys:
    """Keys pressed before ``ended``: ``#`` (never among ``digits``), the longest length, or a pause.

    No keys before a pause are a silence. A provider that cannot tell ``#`` from a pause says ``hash`` where there are
    keys and ``pause`` where there are none. ``repr`` leaves the digits out, since they may be a code.
    """

    digits: str = field(repr=False)
    ended: Ended


@value
class Silence:
    """Nothing was pressed, or said into a recording, in the time given; also any wait of the adapter's that ran out."""


@value
class Answered:
    """The pipeline's answer to the code just verified, ready to speak in the language of the call."""

    verdict: Verdict
    spoken: Spoken


@value
class Recorded:
    """A spoken report was kept."""


@value
class TransferFailed:
    """The other side was busy, did not answer, or could not be called."""


@value
class HungUp:
    """The caller is gone, or a transfer that worked is over."""


Event = Started | Keys | Silence | Answered | Recorded | TransferFailed | HungUp
