from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from app.logs import LineWriter, Logs, configure_logs, next_request, redact

CANARIES = (
    "20000000123456789012",
    "2000 0000 1234 5678 9012",
    "2000-0000-1234-5678-9012",
    "２０００００００１２３４５６７８９０１２",
    "123456789012",
    "13800138000",
    "138 0013 8000",
    "+86 138-0013-8000",
    "+4915123456789",
    "0f" * 16,
    "0F" * 12,
    "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEf0=",
)


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def logs(stream: io.BytesIO) -> Iterator[Logs]:
    yield configure_logs(log_format="json", stream=stream, process="t-")
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler).__module__ == "app.logs":
            root.removeHandler(handler)
    structlog.reset_defaults()


def lines(stream: io.BytesIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_gets_into_a_line_by_any_way(canary: str, logs: Logs, stream: io.BytesIO) -> None:
    log = logs.logger("test")
    log.info(
        "plain", text=f"a {canary} b", nested={"deep": [canary, {"key": (canary,)}]}, data=canary.encode()
    )
    log.warning(canary, **{canary: 1})
    logging.getLogger("some.library").error("about %s", canary)
    try:
        raise ValueError(canary)
    except ValueError as error:
        log.error("failed", exc_info=error, error=error)  # noqa: TRY400 - ours, not the standard library's
    written = stream.getvalue().decode()
    assert written.count("\n") == 4
    assert canary not in written
    assert "".join(char for char in canary if char.isdigit())[:12] not in written or len(canary) < 12


def test_long_numbers_are_masked_as_numbers_too(logs: Logs, stream: io.BytesIO) -> None:
    logs.logger("test").info(
        "plain", serial=20000000123456789, size=4096, ratio=0.123456789012345, ok=True, none=None
    )
    (line,) = lines(stream)
    assert line["serial"] == "[digits]"
    assert (line["size"], line["ratio"], line["ok"], line["none"]) == (4096, 0.123456789012345, True, None)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T07:05:00.123456Z",
        "port 8315",
        "took 12.345 ms",
        "app.web.server",
        "400-800-1234",
        "/api/v1/verifications",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert redact(text) == text


def test_a_result_id_in_an_address_is_masked() -> None:
    assert redact("GET /r/abcdefghijklmnopqrstuv") == "GET /r/[result]"


def test_a_line_begins_with_time_level_and_event(logs: Logs, stream: io.BytesIO) -> None:
    logs.logger("test").warning("limits_off", remedy="x")
    (line,) = lines(stream)
    assert list(line)[:3] == ["at", "level", "event"]
    assert (line["level"], line["event"], line["remedy"]) == ("warning", "limits_off", "x")


def test_a_request_has_one_id_on_all_its_lines(logs: Logs, stream: io.BytesIO) -> None:
    def serve() -> None:
        next_request()
        logs.logger("one").info("first")
        logs.logger("two").info("second")

    import contextvars

    contextvars.copy_context().run(serve)
    contextvars.copy_context().run(serve)
    ids = [line["request"] for line in lines(stream)]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    logs.logger("outside").info("third")
    assert "request" not in lines(stream)[4]


def test_levels_filter(stream: io.BytesIO) -> None:
    logs = configure_logs(log_format="json", level="warning", stream=stream)
    logs.logger("test").info("quiet")
    logging.getLogger("library").info("quiet")
    logs.logger("test").error("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_columns_for_people(stream: io.BytesIO) -> None:
    logs = configure_logs(log_format="console", stream=stream)
    logs.logger("test").info("listening", port=8315)
    try:
        raise RuntimeError("oh")
    except RuntimeError as error:
        logs.logger("test").error("failed", exc_info=error)
    text = stream.getvalue().decode()
    assert "info    listening" in text
    assert "port=8315\n" in text
    assert "\nTraceback" in text


@pytest.mark.parametrize("change", [{"log_format": "xml"}, {"level": "loud"}])
def test_an_unknown_format_or_level_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="use one of"):
        configure_logs(stream=io.BytesIO(), **change)  # type: ignore[arg-type]


class GatedStream(io.BytesIO):
    """A stream whose writes wait until the gate opens, and that tells when one is waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.waiting = threading.Event()

    def write(self, data: object) -> int:
        self.waiting.set()
        self.gate.wait(10)
        return super().write(data)  # type: ignore[arg-type]


def test_a_slow_stream_holds_nobody_up_and_overflow_is_counted() -> None:
    stream = GatedStream()
    writer = LineWriter(stream, bound=10)
    writer.start()
    writer.put(b"first\n")
    assert stream.waiting.wait(10)
    taken = sum(writer.put(b"line\n") for _ in range(50))
    assert (taken, writer.dropped) == (10, 40)
    stream.gate.set()
    writer.stop()
    assert stream.getvalue() == b"first\n" + b"line\n" * 10


def test_stop_writes_everything_in_order() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writer.start()
    for number in range(5000):
        writer.put(b"%d\n" % number if number % 2 else lambda number=number: b"%d\n" % number)
    writer.stop()
    assert not writer.running
    assert stream.getvalue() == b"".join(b"%d\n" % number for number in range(5000))


def test_a_sleeping_writer_wakes_for_a_line() -> None:
    stream = GatedStream()
    writer = LineWriter(stream)
    writer.start()
    try:
        writer.put(b"line\n")
        assert stream.waiting.wait(10)
    finally:
        stream.gate.set()
        writer.stop()


def test_a_broken_stream_and_a_broken_fact_are_counted_not_raised() -> None:
    class Broken(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    def bad() -> bytes:
        raise RuntimeError

    writer = LineWriter(Broken())
    writer.put(b"line\n")
    writer.put(bad)
    assert writer.lost == 2


def test_lines_after_stop_are_still_written() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writer.start()
    writer.stop()
    writer.put(b"late\n")
    assert stream.getvalue() == b"late\n"
