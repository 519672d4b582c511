"""Wrong codes that lie close together, and everything that only looks so."""

from __future__ import annotations

import io
import json
import random

import pytest

from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.adapters.neighbourhoods import Closeness, Neighbourhoods
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Outcome, Verdict, VerificationId
from app.core.model.verification import VerificationRequest
from app.logs import configure_logs
from tests.fakes.clock import START, FakeClock

DAY = 86_400.0
LABEL = "31415926535897932384"


def changed(code: str, *places: int, by: int = 1) -> str:
    digits = list(code)
    for place in places:
        digits[place] = str((int(digits[place]) + by) % 10)
    return "".join(digits)


def note(seen: Neighbourhoods, codes: list[str], now_s: float = 0.0) -> list[tuple[Closeness, ...]]:
    return [seen.note_wrong(code, now_s) for code in codes]


def test_five_tags_on_one_serial_are_told_once() -> None:
    tags = [f"{LABEL[:11]}{tag:09}" for tag in range(8)]
    assert note(Neighbourhoods(), tags) == [()] * 4 + [(Closeness.WRONG_TAGS,)] + [()] * 3


def test_one_wrong_code_asked_by_many_is_no_guessing() -> None:
    assert note(Neighbourhoods(), [LABEL] * 50) == [()] * 50


def test_lengths_that_carry_no_tag_have_no_serial() -> None:
    assert note(Neighbourhoods(), [f"123{tag:09}" for tag in range(9)]) == [()] * 9


@pytest.mark.parametrize("length", [12, 16, 20, 24, 30])
@pytest.mark.parametrize("places", [(0,), (0, 5), (0, 4, 9), (1, 2, 3), (3, 7, 11)])
def test_codes_within_three_digits_of_a_label_are_told(length: int, places: tuple[int, ...]) -> None:
    label = (LABEL * 2)[:length]
    seen = Neighbourhoods()
    seen.note_label(label)
    told = note(seen, [changed(label, *places, by=by) for by in range(1, 8)])
    assert told.index((Closeness.NEAR_LABEL,)) == 4
    assert sum(Closeness.NEAR_LABEL in one for one in told) == 1


def test_four_digits_away_is_another_code() -> None:
    seen = Neighbourhoods()
    seen.note_label(LABEL)
    assert note(seen, [changed(LABEL, 0, 1, 2, 3, by=by) for by in range(1, 9)]) == [()] * 8


def test_a_days_rest_begins_anew() -> None:
    seen = Neighbourhoods()
    tags = [f"{LABEL[:11]}{tag:09}" for tag in range(10)]
    note(seen, tags[:4])
    assert note(seen, tags[4:8], DAY) == [()] * 4
    assert note(seen, tags[8:9], DAY) == [(Closeness.WRONG_TAGS,)]


def test_strangers_without_end_take_no_memory_without_end() -> None:
    dice, seen = random.Random(7), Neighbourhoods()
    told = []
    for _ in range(30_000):
        seen.note_label(f"{dice.randrange(10**20):020}")
        told += seen.note_wrong(f"{dice.randrange(10**20):020}", 0.0)
    assert told == []  # codes drawn by lot lie near nothing
    assert len(seen._serials) == 10_000
    assert len(seen._ring) == 20_000
    seen.note_label(LABEL)
    near = [changed(LABEL, 2, 8, 13, by=by) for by in range(1, 6)]
    assert note(seen, near)[-1] == (Closeness.NEAR_LABEL,)


def test_a_label_asked_about_again_and_again_pushes_nobody_out() -> None:
    seen = Neighbourhoods()
    seen.note_label(LABEL)
    for _ in range(25_000):
        seen.note_label(LABEL[::-1])
    assert note(seen, [changed(LABEL, 0, by=by) for by in range(1, 6)])[-1] == (Closeness.NEAR_LABEL,)


def test_the_journal_warns_with_no_code_in_clear_and_the_metrics_count() -> None:
    stream = io.BytesIO()
    journal = ServiceJournal(configure_logs(log_format="json", level="warning", stream=stream), FakeClock())
    metrics = PrometheusMetrics(journal, version="1")
    assert 'yanzhen_neighbourhood_bursts_total{kind="near_label"} 0.0\n' in metrics.render().decode()

    def answered(code: str, outcome: Outcome, *, ordinal: int | None = None, duplicate: bool = False) -> None:
        request = VerificationRequest(
            code=Code.parse(code), caller=Caller(kind=CallerKind.WEB), channel="web", received_at=START
        )
        verdict = Verdict(outcome=outcome, ordinal=ordinal, verification_id=VerificationId(1))
        journal.answered(request, verdict, duplicate=duplicate, took_ms=1)

    answered(LABEL, Outcome.FIRST, ordinal=1)
    for by in range(1, 6):
        answered(changed(LABEL, 0, 7, by=by), Outcome.NOT_FOUND)
        answered(changed(LABEL, 0, 7, by=by), Outcome.NOT_FOUND, duplicate=True)
        answered(changed(LABEL, 19, by=by), Outcome.MISTYPED)  # a slip is no made-up code
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["level"], line["event"], line["kind"]) == ("warning", "neighbourhood_burst", "near_label")
    assert line["channel"] == "web"
    assert LABEL[:8] not in stream.getvalue().decode()
    assert changed(LABEL, 0, 7, by=5)[:8] not in stream.getvalue().decode()
    assert 'yanzhen_neighbourhood_bursts_total{kind="near_label"} 1.0\n' in metrics.render().decode()
    assert 'yanzhen_neighbourhood_bursts_total{kind="wrong_tags"} 0.0\n' in metrics.render().decode()
