"""A list of codes holds what its lines hold: where quotation marks are broken, nothing of it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import RuleBroken
from app.issuing.code_lists import read_code_list


@pytest.mark.parametrize(
    "text",
    [
        '"1234567890"123456\n',  # read leniently, a code that stands on no line
        'code\n1234567890123456\n"1234567890123457',  # cut off
    ],
)
def test_broken_quotation_marks_are_no_list(text: str, tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text(text)
    with pytest.raises(RuleBroken, match="is not a CSV file"):
        list(read_code_list(path))


def test_quoted_codes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_bytes('"Code","note"\r\n"1234567890123456","a ""b"", c"\r\n'.encode("utf-8-sig"))
    assert [(one.line, one.text) for one in read_code_list(path)] == [(2, "1234567890123456")]
