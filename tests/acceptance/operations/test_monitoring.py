"""What we ship for monitoring speaks of metrics and log lines that a running service really has."""

import io
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.logs import configure_logs
from channels.base import RefusalKind
from channels.registry import CHANNELS
from tests.acceptance.cli.shell import ROOT, Shell

CONFIG = ROOT / "config"
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("app", "channels")
    for path in (ROOT / folder).rglob("*.py")
)
OF_PROMETHEUS = {"up", "ALERTS"}
OF_THE_SCRAPE = {"job", "instance", "alertname", "alertstate", "le"}
A_METRIC = re.compile(r"\b(up|ALERTS|(?:yanzhen|process|python)_[a-z_]+)\b(?:\{([^}]*)\})?")
A_MATCHER = re.compile(r'([a-z_]+)(?:=~|!~|!=|=)"([^"]*)"')
A_GROUPING = re.compile(r"\b(?:by|without|on|ignoring) ?\(([^)]*)\)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, int]:
    """The exposition and the log of a service that answered 20 queries and refused one, and how many it answered."""
    shell = Shell(tmp_path_factory.mktemp("monitored") / "data")
    shell.run("init")
    with shell.serving() as server:
        for number in range(20):
            assert server.verify(f"{number:020d}")[0] in {200, 429}
        server.get("/readyz")
        exposition = server.get("/metrics")[1]
    return exposition, server.log.read_text(encoding="utf-8"), 20


def served(exposition: str) -> set[str]:
    """Return every name that may be asked for: a family without samples is served all the same."""
    names = set()
    for line in exposition.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            names |= (
                {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "histogram" else {name}
            )
    return names


def labels_of_everything() -> Mapping[str, set[str]]:
    """Return the labels of each metric, from a journal to which everything happened once."""
    journal = ServiceJournal(configure_logs(log_format="json", stream=io.BytesIO()))
    request = VerificationRequest(
        code=Code.parse("20000000123456789012"),
        caller=Caller(kind=CallerKind.WEB, token=bytes(16)),
        channel="api",
        message_id="1",
        locale="en",
        received_at=datetime(2026, 3, 5, tzinfo=UTC),
    )
    for verdict in (
        Verdict(outcome=Outcome.NOT_FOUND),
        Verdict(outcome=Outcome.UNAVAILABLE, reasons=(Detail.BUSY,), retry_after_s=5),
    ):
        for duplicate in (True, False):
            journal.answered(request, verdict, duplicate=duplicate, took_ms=1)
    journal.refused("api", "malformed")
    journal.counted("pushed", "sms")
    journal.failed("commit_failed", ValueError())
    journal.committed(1, 1)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(PrometheusMetrics(journal, version="1").render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression that we ship, with where it stands."""
    rules = yaml.safe_load((CONFIG / "alerts.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((CONFIG / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.get("definition", ""))
        if asked:
            yield variable["name"], f"count by ({asked[2]}) ({asked[1]})"


def test_every_metric_and_label_asked_for_is_served(service: tuple[str, str, int]) -> None:
    names, labels = served(service[0]), labels_of_everything()
    assert {sample for sample in labels if sample.startswith("yanzhen")} <= names
    used, wrong = set(), []
    for where, expression in expressions():
        known = set(OF_THE_SCRAPE)
        for name, matchers in A_METRIC.findall(A_GROUPING.sub("", expression)):
            used.add(name)
            own = labels.get(name, set()) | OF_THE_SCRAPE
            known |= own
            if name not in names | OF_PROMETHEUS:
                wrong.append(f"{where}: {name}")
            wrong += [f"{where}: {name}{{{key}}}" for key, _ in A_MATCHER.findall(matchers) if key not in own]
        for grouping in A_GROUPING.findall(expression):
            wrong += [f"{where}: by {key}" for key in re.findall(r"\w+", grouping) if key not in known]
    assert wrong == []
    assert len(used) > 15


def test_every_label_value_asked_for_can_occur() -> None:
    allowed = {
        "outcome": {outcome.value for outcome in Outcome},
        "reason": {kind.value for kind in RefusalKind},
        "channel": {*CHANNELS, "$channel"},
    }
    wrong = []
    for where, expression in expressions():
        for key, text in A_MATCHER.findall(expression):
            for value in text.split("|"):
                if key == "event" and not event_occurs(value.removesuffix(".*")):
                    wrong.append(f"{where}: {value}")
                if key in allowed and value not in allowed[key]:
                    wrong.append(f"{where}: {value}")
    assert wrong == []


def event_occurs(event: str) -> bool:
    """Tell whether the product has an event of this name, whole or put together of a constant and a reason."""
    if quoted(event):
        return True
    cuts = [place for place, char in enumerate(event, start=1) if char == "_"]
    return any(f'"{event[:cut]}{{' in SOURCES and (cut == len(event) or quoted(event[cut:])) for cut in cuts)


def quoted(word: str) -> bool:
    return f'"{word}"' in SOURCES or f"'{word}'" in SOURCES


def test_names_that_do_not_occur_are_noticed() -> None:
    assert event_occurs("given_up_")
    assert not event_occurs("given_in_")
    assert not event_occurs("silent_never_heard_of")


def test_every_metric_is_documented(service: tuple[str, str, int]) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    families = {line.split()[2] for line in service[0].splitlines() if line.startswith("# TYPE yanzhen_")}
    assert [name for name in sorted(families) if f"`{name}" not in page] == []


def test_every_alert_says_what_to_do_and_whom_to_wake() -> None:
    rules = yaml.safe_load((CONFIG / "alerts.yml").read_text(encoding="utf-8"))
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in CONFIG.glob("alerts*.test.yml"))
    alerts: list[dict[str, Any]] = [rule for group in rules["groups"] for rule in group["rules"]]
    for rule in alerts:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert f"`{rule['alert']}`" in page, (
            f"docs/operations.md does not say what to do about {rule['alert']}"
        )
        assert rule["alert"] in tests, f"no test sees {rule['alert']} fire"
    assert len({rule["alert"] for rule in alerts}) == len(alerts)


@pytest.mark.parametrize(
    "words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml", "alerts-week.test.yml")]
)
def test_promtool_finds_nothing_wrong(words: tuple[str, ...]) -> None:
    run = subprocess.run(
        ["promtool", *words], cwd=CONFIG, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads((CONFIG / "grafana-dashboard.json").read_text(encoding="utf-8"))
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


def documented_fields(page: Path) -> dict[str, str]:
    """Return the fields of a verification's line as the page tells them, in order: name -> example as JSON."""
    section = page.read_text(encoding="utf-8").partition("## Log lines")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", section, re.MULTILINE))


def test_each_verification_is_one_line_of_the_documented_shape(service: tuple[str, str, int]) -> None:
    _, log, answered = service
    lines = [json.loads(line) for line in log.splitlines()]
    assert all(list(line)[:3] == ["at", "level", "event"] for line in lines)
    answers = [line for line in lines if line["event"] == "verification"]
    assert len(answers) == answered
    assert len({line["request"] for line in answers}) == answered, "every request has an id of its own"
    fields = documented_fields(ROOT / "docs/operations.md")
    for line in answers:
        assert list(line) == list(fields)
        for name, example in fields.items():
            assert line[name] is None or isinstance(line[name], type(json.loads(example))), name
        assert datetime.fromisoformat(line["at"]).tzinfo is not None
