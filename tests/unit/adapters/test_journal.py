from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.core.invariants import BREACH_EVENTS
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.logs import Logs, configure_logs
from tests.fakes.clock import START

CODE = "20000000123456789012"
REQUEST = VerificationRequest(
    code=Code.parse(CODE),
    caller=Caller(kind=CallerKind.WEB, token=bytes(range(200, 216))),
    channel="api",
    message_id="provider-id-1",
    locale="13800138000",
    received_at=START,
)
FIRST = Verdict(outcome=Outcome.FIRST, ordinal=1, recorded_at=START)


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def logs(stream: io.BytesIO) -> Logs:
    return configure_logs(log_format="json", stream=stream)


def test_one_line_a_verification_and_nothing_in_clear(logs: Logs, stream: io.BytesIO) -> None:
    ServiceJournal(logs).answered(REQUEST, FIRST, duplicate=False, took_ms=1.234)
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line == {
        "at": "2026-03-05T01:12:00Z",
        "level": "info",
        "event": "verification",
        "request": None,
        "channel": "api",
        "outcome": "first",
        "ordinal": 1,
        "reasons": "",
        "code": "20:**12",
        "entry": "typed",
        "caller": "web:cocpcacbcccd",
        "duplicate": False,
        "took_ms": 1.23,
    }


def test_below_the_level_nothing_is_written_but_all_is_counted(stream: io.BytesIO) -> None:
    journal = ServiceJournal(configure_logs(log_format="json", level="warning", stream=stream))
    journal.answered(REQUEST, FIRST, duplicate=False, took_ms=1)
    assert stream.getvalue() == b""
    assert journal.tallies().answers["api", "first"] == 1


def test_a_failure_is_written_masked_with_its_traceback(logs: Logs, stream: io.BytesIO) -> None:
    journal = ServiceJournal(logs)
    try:
        raise RuntimeError(f"about {CODE}")
    except RuntimeError as error:
        journal.failed("commit_failed", error)
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line["event"] == "commit_failed"
    assert "Traceback" in line["exception"]
    assert CODE not in stream.getvalue().decode()


def test_metrics_show_what_happened(logs: Logs) -> None:
    journal = ServiceJournal(logs)
    journal.answered(REQUEST, FIRST, duplicate=False, took_ms=1.5)
    journal.answered(REQUEST, FIRST, duplicate=True, took_ms=0.5)
    journal.answered(REQUEST, Verdict(outcome=Outcome.NOT_FOUND), duplicate=False, took_ms=3)
    busy = Verdict(outcome=Outcome.UNAVAILABLE, reasons=(Detail.BUSY,), retry_after_s=5)
    journal.answered(REQUEST, busy, duplicate=False, took_ms=9000)
    journal.refused("web", "malformed")
    journal.committed(3, 0.7)
    journal.failed("x", ValueError())
    journal.counted("pushed", "sms")
    journal.counted("pushed", "sms", 2)
    text = PrometheusMetrics(journal, version="1.2.3").render().decode()
    for line in (
        'yanzhen_build{version="1.2.3"} 1.0',
        'yanzhen_verifications_total{channel="api",outcome="first"} 2.0',
        'yanzhen_verifications_total{channel="api",outcome="not_found"} 1.0',
        'yanzhen_duplicates_total{channel="api"} 1.0',
        'yanzhen_wrong_codes_total{channel="api"} 1.0',
        'yanzhen_queue_rejects_total{channel="api"} 1.0',
        'yanzhen_refusals_total{channel="web",reason="malformed"} 1.0',
        'yanzhen_failures_total{event="x"} 1.0',
        'yanzhen_messages_total{channel="sms",event="pushed"} 3.0',
        'yanzhen_answer_seconds_bucket{channel="api",le="0.001"} 1.0',
        'yanzhen_answer_seconds_bucket{channel="api",le="0.005"} 3.0',
        'yanzhen_answer_seconds_bucket{channel="api",le="+Inf"} 4.0',
        'yanzhen_answer_seconds_count{channel="api"} 4.0',
        "yanzhen_commit_seconds_count 1.0",
        'yanzhen_commit_verifications_bucket{le="4"} 1.0',
        "yanzhen_commit_verifications_sum 3.0",
        "yanzhen_log_lines_dropped_total 0.0",
    ):
        assert f"{line}\n" in text, line


def test_labels_stay_few_whatever_fails(logs: Logs) -> None:
    journal = ServiceJournal(logs)
    for number in range(500):
        journal.failed(f"event_{number}", ValueError())
        journal.counted(f"event_{number}", "sms")
    assert len(journal.tallies().messages) == 257
    assert journal.tallies().messages["other", "other"] == 244
    assert len(journal.tallies().failures) == 65
    assert journal.tallies().failures["other"] == 439
    assert all(journal.tallies().failures[event] == 0 for event in BREACH_EVENTS.values()), (
        "always to be seen"
    )


@pytest.mark.parametrize(
    "name", ["channel_{}", "acct-{}\n# HELP x", '"}}{}', "\u202e{}", "x" * 5000 + "{}", "{} DROP", ""]
)
def test_a_flood_of_names_meets_a_bound(logs: Logs, name: str) -> None:
    """Series, bytes and lines of the exposition stay bounded, and nothing in a name is read as another line."""
    journal = ServiceJournal(logs)
    journal.answered(REQUEST, FIRST, duplicate=False, took_ms=1)
    for number in range(600):
        hostile = name.format(number)
        request = replace(REQUEST, channel=hostile)
        journal.answered(request, FIRST, duplicate=True, took_ms=1)
        journal.answered(request, Verdict(outcome=Outcome.NOT_FOUND), duplicate=False, took_ms=1)
        journal.refused(hostile, hostile)
        journal.counted(hostile, hostile)
        journal.failed(hostile, ValueError())
    text = PrometheusMetrics(journal, version="1").render().decode()
    families = list(text_string_to_metric_families(text))
    labelled = [sample for family in families for sample in family.samples]
    assert len(labelled) < 3500
    assert len(text) < 400_000
    for sample in labelled:
        for label in ("channel", "event", "reason"):
            assert re.fullmatch(r"[a-z][a-z0-9_.-]{0,63}", sample.labels.get(label, "x"))
    counted = sum(s.value for s in labelled if s.name == "yanzhen_verifications_total")
    assert counted == 1201
    assert journal.tallies().answers["api", "first"] == 1


def test_answers_are_counted_by_the_writer_thread_and_none_is_lost(stream: io.BytesIO) -> None:
    logs = configure_logs(log_format="json", stream=stream)
    journal = ServiceJournal(logs)
    logs.start()
    for _ in range(3000):
        journal.answered(REQUEST, FIRST, duplicate=False, took_ms=1)
    logs.stop()
    assert journal.tallies().answers["api", "first"] == 3000
    assert stream.getvalue().count(b"\n") == 3000
