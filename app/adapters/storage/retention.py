"""How long personal data and messages are kept (service rules, section 6), alike in every store."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MESSAGES_KEPT: Final = timedelta(days=8)
REPLIES_KEPT: Final = timedelta(days=8)
CALLERS_KEPT: Final = timedelta(days=730)
SPENDING_KEPT: Final = timedelta(days=3)
PLACE_KEPT: Final = timedelta(days=1)
RECORDINGS_KEPT: Final = timedelta(days=90)
