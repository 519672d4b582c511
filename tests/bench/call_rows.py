"""P11: what a turn of a call costs by a web verification, and how many calls in progress one process holds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from tests.bench.call_runs import BURST
from tests.bench.measures import Goal, Result, WrongAnswerError, middle, of_rounds, ratio
from tests.bench.message_runs import Spent
from tests.bench.plan import Plan
from tests.bench.prefill import ROOT, local_labels, write_codes

CODE: Final = Goal(row="P11a", title="Twilio call: a turn with a code", floor=None, target=None, at_most=True)
GREETING: Final = Goal(row="P11b", title="Twilio call: the greeting", floor=None, target=None, at_most=True)
ROWS: Final = ("P11", CODE.row, GREETING.row)
TURN_S: Final = 6.0  # service rules, section 3
# A first match over Twilio, measured by tests/acceptance/ivr: greeted, answered, the menu left alone, ended.
CALL_S: Final = 50.0
_CODES: Final = 120_000
_TURNS_A_SECOND: Final = 800
_MOST_S: Final = 6
_RUN_S: Final = 300


def measure_calls(plan: Plan) -> list[Result]:
    """Return the turns by API verifications of the same pipeline, and the calls that a core carries."""
    folder = plan.folder_of(1_000_000)
    codes = write_codes(folder, local_labels(folder.recorded, _CODES), plan.scratch / "local.txt")
    copy = folder.copied(plan.scratch / "called")
    count = min(plan.size.seconds, _MOST_S) * _TURNS_A_SECOND
    made = _run(
        str(copy.path), str(codes), str(count), str(plan.size.rounds), seconds=_RUN_S * plan.size.rounds
    )
    slowest = made.pop("slowest_s")
    api, greeting, code = (of_rounds(made[kind], _cpu_us) for kind in ("api", "greeting", "code"))
    if slowest > TURN_S:
        raise WrongAnswerError(f"Of {BURST} turns at one moment one took {slowest:.1f} s.")
    call_us = middle(made["code"], _wall_us) + 3 * middle(made["greeting"], _wall_us)
    held = CALL_S * 1e6 / call_us
    notes = (
        f"{middle(code, float):.0f} of {middle(api, float):.0f} us CPU; {1e6 / middle(made['code'], _wall_us):,.0f}/s",
        f"{BURST:,} callers who key in at one moment: the last is answered after {slowest:.2f} s of {TURN_S:g}",
        f"calls of {CALL_S:g} s with a code and three turns without: {held:,.0f} in progress fill one core",
    )
    return [
        Result(goal=CODE, figure=ratio(code, api), notes=notes),
        Result(
            goal=GREETING,
            figure=ratio(greeting, api),
            notes=(f"{middle(greeting, float):.0f} us CPU",),
        ),
    ]


def _run(*words: str, seconds: int) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.call_runs", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if run.returncode:
        raise WrongAnswerError(f"The run of calls failed:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def _cpu_us(spent: Spent) -> float:
    return spent["cpu_us"]


def _wall_us(spent: Spent) -> float:
    return spent["wall_us"]
