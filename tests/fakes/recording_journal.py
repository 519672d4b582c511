"""A journal that keeps what it was told, so that a test can look at it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest


@dataclass(slots=True)
class RecordingJournal:
    """Keeps every event in order."""

    answers: list[tuple[VerificationRequest, Verdict, bool]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    failures: list[tuple[str, BaseException]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (event, channel)

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        self.answers.append((request, verdict, duplicate))

    def refused(self, channel: str, reason: str) -> None:
        self.refusals.append((channel, reason))

    def committed(self, drafts: int, took_ms: float) -> None:
        self.commits.append(drafts)

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        self.counts[event, channel] += number

    def failed(self, event: str, error: BaseException) -> None:
        self.failures.append((event, error))
