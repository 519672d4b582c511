"""Tables line up though hanzi take two cells; JSON is one document a line; bars are for terminals."""

import json
from datetime import UTC, datetime

import pytest

from app.cli.output import Progress, visible, write_json, write_table
from app.core.model.label import Disclosure


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("ID", "NAME", "LINE"), [(1, "青禾", "400"), (22, "abcd", None)])
    assert capsys.readouterr().out == "ID  NAME  LINE\n1   青禾  400\n22  abcd  -\n"


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("ID", "NAME"), [])
    assert capsys.readouterr().out == "ID  NAME\n"


def test_json_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"name": "青禾", "at": datetime(2026, 3, 5, 1, 2, tzinfo=UTC), "disclosure": Disclosure.FULL})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "青禾", "at": "2026-03-05T01:02:00Z", "disclosure": "full"}
    assert out.count("\n") == 1


HOSTILE = "a\x1b[2J\x9b31m\r\n\t\x00\x7f\u202e\u2028\u200b\ud800\U000e0041b"
SEEN = r"a\x1b[2J\x9b31m\r\n\t\x00\x7f\u202e\u2028\u200b\ud800\U000e0041b"


def test_what_a_terminal_would_obey_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert visible(HOSTILE) == SEEN
    plain = "封口\u3000像是 被打开过 🍼 Café\u00a0é \\o/"
    assert visible(plain) == plain
    write_table(("TOLD",), [(HOSTILE,)])
    assert capsys.readouterr().out == f"TOLD\n{SEEN}\n"
    write_json([HOSTILE, plain])
    out = capsys.readouterr().out
    assert json.loads(out) == [HOSTILE, plain]
    assert visible(out.removesuffix("\n")) == out.removesuffix("\n")


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("writing")
    progress.show(1, 2)
    progress.close()
    assert capsys.readouterr().err == ""
