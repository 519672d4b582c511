"""What happened, for logs and metrics: facts as fields, no code, number or address in clear."""

from __future__ import annotations

from typing import Protocol

from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest


class Journal(Protocol):
    """Promise: every method returns at once, never raises and does no I/O on the caller's thread."""

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        """Note one verdict on its way out."""
        ...

    def refused(self, channel: str, reason: str) -> None:
        """Note a request that was refused before it became a query (not authentic, malformed)."""
        ...

    def committed(self, drafts: int, took_ms: float) -> None:
        """Note one group commit."""
        ...

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        """Count something that happened to a message (silenced, pushed, resent). ``event`` is a constant name."""
        ...

    def failed(self, event: str, error: BaseException) -> None:
        """Note an unexpected failure, for the operator."""
        ...
