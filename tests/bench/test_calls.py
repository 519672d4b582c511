"""The turns that the rows of calls are measured with: every call is another number's, and a proof that holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.core.errors import NotAuthentic
from app.issuing.key_file import KeyFile
from channels.turns import CallNoted, CodeSubmitted
from tests.bench import call_rows
from tests.bench.__main__ import PARTS
from tests.bench.call_runs import Calls
from tests.fakes.clock import START

CODES = ["12345678901234567801", "98765432109876543298"]
COUNT = 40


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    KeyFile(tmp_path / "keys.json").create(now=START)
    return Calls(tmp_path)


def test_every_turn_is_another_call_about_its_code(calls: Calls) -> None:
    turns = []
    for request in calls.codes(CODES, 0, COUNT):
        calls.adapter.authenticate(request)
        turn = calls.adapter.decode(request)
        assert isinstance(turn, CodeSubmitted)
        turns.append(turn.request)
    assert [turn.code.digits for turn in turns] == CODES * (COUNT // 2)
    assert len({turn.message_id for turn in turns}) == COUNT
    assert len({turn.caller.token for turn in turns}) == COUNT


def test_greetings_begin_a_record_each_and_what_is_forged_is_refused(calls: Calls) -> None:
    begun = set()
    for request in calls.greetings(CODES, 0, COUNT):
        calls.adapter.authenticate(request)
        turn = calls.adapter.decode(request)
        assert isinstance(turn, CallNoted)
        assert turn.how is None
        begun.add(turn.call_id)
    assert len(begun) == COUNT
    headers = {**request.headers, "x-twilio-signature": "x"}
    with pytest.raises(NotAuthentic):
        calls.adapter.authenticate(replace(request, headers=headers))


def test_all_rows_can_be_asked_for() -> None:
    assert any(set(call_rows.ROWS) == set(part.rows) for part in PARTS)
