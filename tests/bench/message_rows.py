"""P9: what a message costs by provider: its adapter by a bare request, the whole of it by a web verification."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tests.bench.http_rows import bare_load, whole_path_load
from tests.bench.measures import Goal, Result, WrongAnswerError, interleave, middle, of_rounds, ratio
from tests.bench.message_samples import BATCH, PROVIDERS
from tests.bench.plan import Plan
from tests.bench.prefill import ROOT, local_labels, write_codes
from tests.bench.serving import Load

_NAMES: Final = {
    "twilio": "Twilio",
    "kannel": "Kannel",
    "gateway": f"gateway, batches of {BATCH}",
    "smpp": "SMPP",
    "wechat-encrypted": "WeChat, encrypted",
    "wechat-plain": "WeChat, plain",
    "wechat-mini-program": "WeChat, mini-program",
}
ADAPTERS: Final = {
    provider: Goal(
        row=f"P9{letter}", title=f"{_NAMES[provider]}: adapter", floor=2.5, target=0.5, at_most=True
    )
    for provider, letter in zip(PROVIDERS, "abcdjkl", strict=True)
}
WHOLE: Final = {
    provider: Goal(
        row=f"P9{letter}", title=f"{_NAMES[provider]}: whole message", floor=None, target=None, at_most=True
    )
    for provider, letter in zip(PROVIDERS, "efghmno", strict=True)
}
COURIER: Final = Goal(row="P9i", title="a reply by outbox and courier", floor=None, target=None, at_most=True)
ROWS: Final = ("P9", *(goal.row for goal in (*ADAPTERS.values(), *WHOLE.values(), COURIER)))
_CODES: Final = 120_000
_TEXTS_A_SECOND: Final = 1000
_MOST_S: Final = 6
_RUN_S: Final = 240  # many times what it takes
Spent = dict[str, float]


def measure_messages(plan: Plan) -> list[Result]:
    """Return the adapters by the bare handler, and whole messages by API verifications of the same pipeline."""
    return [*_adapters(plan), *_whole(plan)]


def _adapters(plan: Plan) -> list[Result]:
    folder = plan.folder_of(1_000_000)
    codes = write_codes(folder, local_labels(folder.recorded, _CODES), plan.scratch / "local.txt")
    runs: dict[str, Callable[[], Any]] = {
        "bare": partial(bare_load, plan, codes),
        "web": partial(whole_path_load, plan, folder, codes),
        "adapters": partial(_run, "adapters", str(codes), str(_count(plan))),
    }
    made = interleave(plan.size.rounds, runs)
    bare, web = (of_rounds(made[name], _cpu_of_load) for name in ("bare", "web"))
    results = []
    for provider, goal in ADAPTERS.items():
        ours = of_rounds(made["adapters"], partial(_cpu_of, provider))
        by_web = ratio(ours, web)
        note = (
            f"{middle(ours, float):.0f} us of CPU; a bare request {middle(bare, float):.0f},"
            f" a whole verification over HTTP {middle(web, float):.0f}:"
            f" {by_web.value:.2f} [{by_web.low:.2f}..{by_web.high:.2f}] of it"
        )
        results.append(Result(goal=goal, figure=ratio(ours, bare), notes=(note,)))
    return results


def _whole(plan: Plan) -> list[Result]:
    folder = plan.folder_of(1_000_000)
    codes = write_codes(folder, local_labels(folder.recorded, _CODES), plan.scratch / "local.txt")
    copy = folder.copied(plan.scratch / "texted")
    rounds = plan.size.rounds
    made: dict[str, list[list[Spent]]] = _run(
        "whole", str(copy.path), str(codes), str(_count(plan)), str(rounds), seconds=_RUN_S * rounds
    )
    web = of_rounds(made["api"], _cpu_us)
    results = []
    for name, goal in (*WHOLE.items(), ("courier", COURIER)):
        ours = made[name]
        rates = [1e6 / spent["wall_us"] for turn in ours for spent in turn]
        note = (
            f"{middle(ours, _cpu_us):.0f} of {middle(web, float):.0f} us CPU;"
            f" {1e6 / middle(ours, _wall_us):,.0f}/s [{min(rates):,.0f}..{max(rates):,.0f}]"
        )
        results.append(Result(goal=goal, figure=ratio(of_rounds(ours, _cpu_us), web), notes=(note,)))
    return results


def _count(plan: Plan) -> int:
    """Return the texts of one run, whole batches."""
    return min(plan.size.seconds, _MOST_S) * _TEXTS_A_SECOND // BATCH * BATCH


def _run(*words: str, seconds: int = _RUN_S) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.message_runs", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if run.returncode:
        raise WrongAnswerError(f"The run of messages ({words[0]}) failed:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def _cpu_of_load(load: Load) -> float:
    return load.cpu_us


def _cpu_of(provider: str, spent: dict[str, Spent]) -> float:
    return spent[provider]["cpu_us"]


def _cpu_us(spent: Spent) -> float:
    return spent["cpu_us"]


def _wall_us(spent: Spent) -> float:
    return spent["wall_us"]
