"""Structured logs: one event a line, facts as fields, JSON or columns, everything personal masked.

Lines are rendered and written by a thread of their own, so the event loop never waits for a log. Facts that
come once a verification are put in the queue as they are and rendered there.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any, BinaryIO, Final, Protocol, cast

import orjson
import structlog

LOG_FORMATS: Final = ("auto", "json", "console")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

REQUEST_NUMBER: ContextVar[int] = ContextVar("request_number", default=0)
"""The number of the request being served, 0 outside of any; :func:`request_id` writes it."""

_BATCH_S: Final = 0.2
_CHUNK: Final = 128
_IDLE_S: Final = 5.0

_EventDict = MutableMapping[str, Any]


class Logger(Protocol):
    """What a log is to those who write to it: a constant event name and facts as fields."""

    def debug(self, event: str, **facts: object) -> None:
        """Say what only somebody looking for a fault wants."""
        ...

    def info(self, event: str, **facts: object) -> None:
        """Say that something happened as it should."""
        ...

    def warning(self, event: str, **facts: object) -> None:
        """Say what an operator should look at some day."""
        ...

    def error(self, event: str, **facts: object) -> None:
        """Say what an operator should look at now."""
        ...


# -- what may never be read in a log --------------------------------------------------------------------------

_SEPARATED: Final = r"\d(?:[ \-\u2010-\u2015]?\d)"
_MASKS: Final = (
    (re.compile(_SEPARATED + r"{11,}"), "[digits]"),
    (re.compile(r"(?<![\d.])(?:\+?86[ \-]?)?1[3-9]\d(?:[ \-]?\d{4}){2}(?!\d)"), "[phone]"),
    (re.compile(r"\+\d(?:[ \-]?\d){6,14}"), "[phone]"),
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{24,}(?![0-9A-Za-z])"), "[token]"),
    (re.compile(r"(?<=/r/)[\w\-]{22}"), "[result]"),
    # Base64 of 30 bytes or more; plain words and paths do not mix all three kinds of characters in one run.
    (re.compile(r"(?<![\w\-])(?=[\w\-]*\d)(?=[\w\-]*[a-z])(?=[\w\-]*[A-Z])[\w\-]{40,}={0,2}"), "[token]"),
)
_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")
_LARGEST_PLAIN_NUMBER: Final = 10**11


def redact(text: str) -> str:
    """Mask codes (12 digits or more, also grouped), phone numbers, long tokens and result ids in ``text``."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def in_letters(hexadecimal: str) -> str:
    """Return hexadecimal digits as letters a to p, which nobody reading a log takes for a code."""
    return hexadecimal.translate(_LETTERS)


def _redacted(value: object) -> object:
    match value:
        case bool() | None | float():
            return value
        case int():
            return value if abs(value) < _LARGEST_PLAIN_NUMBER else "[digits]"
        case str():
            return redact(str(value))
        case Mapping():
            return {redact(str(key)): _redacted(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(item) for item in value]
        case _:
            return redact(repr(value))


def redact_facts(_logger: object, _method: str, facts: _EventDict) -> _EventDict:
    """Mask every field of one log event; the structlog processor that stands last before the rendering."""
    return {redact(key): _redacted(value) for key, value in facts.items()}


# -- the writer -----------------------------------------------------------------------------------------------

_Rendering = Callable[[], bytes | None]


class LineWriter:
    """Writes lines to ``stream`` from a thread of its own, in batches at most 200 ms old.

    At most ``bound`` lines wait; further ones are dropped and counted. ``start`` makes the thread, ``stop`` writes
    what is left; before ``start`` and after ``stop`` every line is written at once, as a command line wants it.
    """

    def __init__(self, stream: BinaryIO, *, bound: int = 65_536) -> None:
        self._stream = stream
        self._bound = bound
        self._queue: deque[_Rendering | bytes] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False
        self.dropped = 0
        self.lost = 0

    @property
    def running(self) -> bool:
        """True between ``start`` and ``stop``."""
        return self._thread is not None

    def start(self) -> None:
        """Start the writing thread."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write every waiting line and end the thread."""
        if self._thread is not None:
            self._stopping.set()
            self._wake.set()
            self._thread.join()
            self._thread = None
        self._write_all()

    def put(self, line: _Rendering | bytes) -> bool:
        """Queue one line, or what renders it (None: no line). Returns False where the queue was full."""
        queue = self._queue
        if len(queue) >= self._bound:
            self.dropped += 1
            return False
        queue.append(line)
        if self._asleep:
            self._asleep = False
            self._wake.set()
        elif self._thread is None:
            self._write_all()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._write_all()
            # A pause between batches costs one wake-up for thousands of lines; an empty queue sleeps until told.
            self._stopping.wait(_BATCH_S)
            if not self._queue and not self._stopping.is_set():
                self._wake.clear()
                self._asleep = True
                if not self._queue:
                    self._wake.wait(_IDLE_S)
                self._asleep = False

    def _write_all(self) -> None:
        """Write what waits in chunks: rendering holds the interpreter for some 100 us at a time, never longer."""
        queue = self._queue
        while queue:
            lines = []
            for _ in range(min(_CHUNK, len(queue))):
                line = queue.popleft()
                try:
                    text = line if isinstance(line, bytes) else line()
                except Exception:  # noqa: BLE001 - a fact that cannot be written must not end the log
                    self.lost += 1
                    continue
                if text is not None:
                    lines.append(text)
            if lines:
                self._write(b"".join(lines))

    def _write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += data.count(
                b"\n"
            )  # a closed pipe or a full disk: nobody is left to be told but the metrics


# -- the log --------------------------------------------------------------------------------------------------

_LEVEL_NUMBERS: Final = {name: number for name, number in logging.getLevelNamesMapping().items() if number}
_request_numbers = count(1)


def next_request() -> None:
    """Give the request that this task serves a number of its own."""
    REQUEST_NUMBER.set(next(_request_numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The log of one process: ``writer`` takes lines, ``columns`` tells a person reads them, ``level`` is a number.

    ``worker`` is the number that stands in every line where a service has several workers.
    """

    writer: LineWriter
    columns: bool
    level: int
    process: str = ""
    worker: int | None = None

    def start(self) -> None:
        """Write from a thread from now on."""
        self.writer.start()

    def stop(self) -> None:
        """Write what is left, then at once."""
        self.writer.stop()

    def logger(self, name: str) -> Logger:
        """Return the logger of one part of the program."""
        return cast(Logger, structlog.get_logger(name))

    def request_id(self, number: int) -> str:
        """Return the id under which the lines of one request stand together."""
        return f"{self.process}{number}"

    def render(self, facts: Mapping[str, Any]) -> bytes:
        """Return one line: ``at``, ``level`` and ``event`` first, then the facts."""
        if self.worker is not None:
            facts = {**facts, "worker": self.worker}
        if not self.columns:
            return orjson.dumps(facts, default=repr, option=_JSON_OPTIONS)
        at = facts.get("at", "")
        stamp = at if isinstance(at, str) else at.isoformat(timespec="milliseconds")
        head = f"{stamp[11:23]} {facts.get('level', 'info'):<7} {facts.get('event', ''):<24}"
        rest = [
            f"{key}={value}" for key, value in facts.items() if key not in _HEAD and value not in ("", None)
        ]
        trace = facts.get("exception")
        return f"{' '.join([head, *rest])}{f'{chr(10)}{trace}' if trace else ''}\n".encode("utf-8", "replace")


_HEAD: Final = frozenset({"at", "level", "event", "exception"})
_JSON_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def configure_logs(
    *,
    log_format: str = "auto",
    level: str = "info",
    stream: BinaryIO | None = None,
    process: str | None = None,
    worker: int | None = None,
) -> Logs:
    """Set up the one log of this process, the standard library's loggers included; replaces an earlier set-up.

    ``log_format`` is auto (columns on a terminal, else JSON), json or console; ``stream`` is standard error by default;
    ``process`` begins every request id, made from the process id by default; ``worker`` stands in every line. Raises
    ``ValueError`` for an unknown format or level.
    """
    if log_format not in LOG_FORMATS:
        raise ValueError(f"log_format is {log_format!r}: use one of {', '.join(LOG_FORMATS)}")
    if level not in LOG_LEVELS:
        raise ValueError(f"log_level is {level!r}: use one of {', '.join(LOG_LEVELS)}")
    columns = log_format == "console" or (log_format == "auto" and stream is None and sys.stderr.isatty())
    number = _LEVEL_NUMBERS[level.upper()]
    writer = LineWriter(stream or sys.stderr.buffer)
    name = f"{in_letters(f'{os.getpid():x}')}-" if process is None else process
    logs = Logs(writer=writer, columns=columns, level=number, process=name, worker=worker)

    def write(_logger: object, _method: str, facts: _EventDict) -> str:
        writer.put(logs.render(facts))
        raise structlog.DropEvent

    def name_request(_logger: object, _method: str, facts: _EventDict) -> _EventDict:
        request = REQUEST_NUMBER.get()
        if request:
            facts["request"] = logs.request_id(request)
        return facts

    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            redact_facts,
            name_request,
            _head_first,
            write,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: None,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _ToStructlog)]:
        root.removeHandler(handler)
    root.addHandler(_ToStructlog())
    root.setLevel(max(number, logging.INFO))
    return logs


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")


def _head_first(logger: object, method: str, facts: _EventDict) -> _EventDict:
    """Put the time and the level first; after the masking, which would take a time for digits."""
    head: _EventDict = {
        "at": "",
        "level": "error" if method == "exception" else method,
        "event": facts.pop("event", ""),
    }
    _stamp(logger, method, head)
    head.update(facts)
    return head


class _ToStructlog(logging.Handler):
    """Carries a library's log records into the same lines, masked like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        name = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        write = getattr(log, name, log.info)
        write("library_message", source=record.name, message=record.getMessage(), exc_info=record.exc_info)
