from __future__ import annotations

import io
import json
import random
from collections import Counter

from app.adapters.bursts import Burst, WrongCodeBursts
from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.logs import configure_logs
from tests.fakes.clock import START, FakeClock

MINUTE, HOUR = 60.0, 3600.0


def steady(bursts: WrongCodeBursts, *, hours: float, per_minute: int, start: float = 0.0) -> float:
    """Count so many wrong codes a minute; return when it ended."""
    for minute in range(int(hours * 60)):
        for _ in range(per_minute):
            bursts.note("sms", start + minute * MINUTE)
    return start + hours * HOUR


def test_thirty_within_ten_minutes_are_a_burst_where_there_is_no_past() -> None:
    bursts = WrongCodeBursts(0.0)
    onsets = [bursts.note("sms", number * 20.0) for number in range(30)]
    assert onsets[:29] == [None] * 29
    assert onsets[29] == Burst(recent=30, baseline=0.0, on=True)
    assert bursts.note("sms", 600.0) is None  # told once


def test_spread_over_more_than_ten_minutes_they_are_none() -> None:
    bursts = WrongCodeBursts(0.0)
    assert [bursts.note("sms", number * 30.0) for number in range(200)] == [None] * 200


def test_a_busy_day_is_its_own_measure() -> None:
    bursts = WrongCodeBursts(0.0)
    now = steady(bursts, hours=24, per_minute=4)
    burst = bursts.look(now - MINUTE)["sms"]
    assert (burst.recent, burst.baseline, burst.on) == (40, 40.0, False)
    for _ in range(160):
        assert bursts.note("sms", now - MINUTE) is None
    onset = bursts.note("sms", now - MINUTE)
    assert onset is not None
    assert onset.recent == 201


def test_a_service_that_has_run_an_hour_knows_an_hour() -> None:
    bursts = WrongCodeBursts(0.0)
    now = steady(bursts, hours=1, per_minute=4)
    burst = bursts.look(now - MINUTE)["sms"]
    assert (burst.recent, burst.baseline, burst.on) == (40, 40.0, False)


def test_it_ends_by_itself_and_the_next_one_is_told_again() -> None:
    bursts = WrongCodeBursts(0.0)
    now = 24 * HOUR
    assert [bursts.note("sms", now) is not None for _ in range(40)].count(True) == 1
    assert bursts.look(now)["sms"].on
    assert bursts.look(now + 10 * MINUTE)["sms"] == Burst(recent=0, baseline=40 / 144, on=False)
    assert [bursts.note("sms", now + HOUR) is not None for _ in range(40)].count(True) == 1
    assert bursts.look(now + 30 * HOUR)["sms"] == Burst(recent=0, baseline=0.0, on=False)
    assert bursts._channels["sms"].slots == {}


def test_channels_are_measured_apart() -> None:
    bursts = WrongCodeBursts(0.0)
    for _ in range(40):
        bursts.note("sms", 0.0)
    bursts.note("web", 0.0)
    assert {name: burst.on for name, burst in bursts.look(0.0).items()} == {"sms": True, "web": False}


def test_the_running_sums_are_those_of_a_plain_count() -> None:
    dice, bursts, minutes, minute = random.Random(3), WrongCodeBursts(0.0), Counter[int](), 0
    for _ in range(3000):
        minute += dice.choice((0, 0, 0, 1, 3, 40))
        minutes[minute] += 1
        bursts.note("sms", minute * MINUTE)
        burst = bursts.look(minute * MINUTE)["sms"]
        past = sum(count for at, count in minutes.items() if minute - 1450 < at <= minute - 10)
        assert burst.recent == sum(count for at, count in minutes.items() if minute - 10 < at)
        assert burst.baseline == past / max(min(minute - 9, 1440) / 10, 1.0)
    assert len(bursts._channels["sms"].slots) <= 1450


def test_the_journal_warns_once_and_the_metrics_show_it_until_it_is_over() -> None:
    clock, stream = FakeClock(), io.BytesIO()
    journal = ServiceJournal(configure_logs(log_format="json", stream=stream), clock)
    metrics = PrometheusMetrics(journal, version="1")
    request = VerificationRequest(
        code=Code.parse("20000000123456789012"),
        caller=Caller(kind=CallerKind.PHONE),
        channel="sms",
        received_at=START,
    )
    for _ in range(50):
        journal.answered(request, Verdict(outcome=Outcome.NOT_FOUND), duplicate=False, took_ms=1)
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    (warning,) = [line for line in lines if line["level"] == "warning"]
    assert (warning["event"], warning["channel"], warning["recent"]) == ("wrong_code_burst", "sms", 30)
    assert 'yanzhen_wrong_code_burst{channel="sms"} 1.0\n' in metrics.render().decode()
    clock.advance(10 * MINUTE)
    assert 'yanzhen_wrong_code_burst{channel="sms"} 0.0\n' in metrics.render().decode()


def test_the_warning_is_written_where_verifications_are_not() -> None:
    for level, lines in (("warning", 1), ("error", 0)):
        stream = io.BytesIO()
        journal = ServiceJournal(configure_logs(log_format="json", level=level, stream=stream), FakeClock())
        request = VerificationRequest(
            code=Code.parse(""), caller=Caller(kind=CallerKind.PHONE), channel="sms", received_at=START
        )
        for _ in range(40):
            journal.answered(request, Verdict(outcome=Outcome.NOT_FOUND), duplicate=False, took_ms=1)
        assert stream.getvalue().count(b"\n") == lines
