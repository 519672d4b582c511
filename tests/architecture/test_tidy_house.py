"""The measures of a tidy house (docs/architecture.md): sizes, purity, nothing at import, forbidden patterns."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(path for folder in ("app", "channels") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_MODULE_LINES = 450
MAX_FUNCTION_LINES = 56  # "about 50": a signature of one argument a line is not length
MAX_CONTRACT_LINES = 200
FORBIDDEN_MODULES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"}
FORBIDDEN_IN_NAMES = re.compile(r"Manager|Helper|Util")
FORBIDDEN_VERBS = re.compile(r"_?(process|handle|manage)(_|$)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> Iterator[str]:
    for path in PRODUCT:
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_no_module_is_too_long() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PRODUCT}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}
    assert lengths["channels/base.py"] < MAX_CONTRACT_LINES


def test_no_function_is_too_long() -> None:
    too_long = {}
    for path in PRODUCT:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_long[f"{name_of(path)}:{node.name}"] = lines
    assert too_long == {}


def test_every_module_says_its_job_in_one_to_five_lines() -> None:
    wrong = []
    for path in PRODUCT:
        text = ast.get_docstring(tree_of(path))
        if not text or len(text.splitlines()) > 6:  # five and the blank line after the first
            wrong.append(name_of(path))
    assert wrong == []


# overridden, so the name is not ours to choose
AIOHTTPS_OWN_NAME = "app/web/broken_requests.py: handle_error"


def test_names_are_the_fields_words() -> None:
    wrong = [name_of(path) for path in PRODUCT if path.stem in FORBIDDEN_MODULES]
    for path in PRODUCT:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and FORBIDDEN_IN_NAMES.search(node.name):
                wrong.append(f"{name_of(path)}: class {node.name}")
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and FORBIDDEN_VERBS.match(node.name):
                wrong.append(f"{name_of(path)}: {node.name}")
    assert wrong == [AIOHTTPS_OWN_NAME]


# -- what may happen at import ----------------------------------------------------------------------------------

PROBE = """
import json, sys, sysconfig, threading
from importlib import import_module
roots = tuple(map(str, {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}))
seen, watching = [], True

def note(event, arguments):
    cached = event in ("open", "os.mkdir") and "__pycache__" in str(arguments[0])
    if not watching or cached:
        return
    if event.startswith(("socket.bind", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir")):
        seen.append(f"{event} {arguments[:1]!r}")
    if event == "sqlite3.connect":
        seen.append(event)
    if event == "open" and isinstance(arguments[0], str):
        written = isinstance(arguments[1], str) and any(letter in arguments[1] for letter in "wax+")
        data = arguments[0].endswith((".toml", ".json", ".db", ".sql", ".html", ".css"))
        if written or (data and "site-packages" not in arguments[0]):
            seen.append(f"open {arguments[0]}")

sys.addaudithook(note)
for name in sys.argv[1:]:
    before = threading.active_count()
    import_module(name)
    if threading.active_count() > before:
        seen.append(f"a thread by {name}")
watching = False
print(json.dumps(seen))
"""


# What these import tries an IPv6 socket as it loads (urllib3), so they are imported at their first use, off the loop.
OPENING_LIBRARIES = frozenset({"channels.sms.twilio.rest", "channels.wechat.library"})


def test_importing_opens_nothing() -> None:
    names = [name for name in modules() if name != "app.__main__" and name not in OPENING_LIBRARIES]
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_the_core_loads_no_third_party_module() -> None:
    names = [name for name in modules() if name.startswith("app.core")]
    probe = (
        "import sys; before = set(sys.modules)\n"
        "from importlib import import_module\n"
        "for name in sys.argv[1:]: import_module(name)\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(loaded - sys.stdlib_module_names - {'app'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", probe, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.split() == []


# -- forbidden patterns -------------------------------------------------------------------------------------------

CLOCK_CALLS = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns))\(")
ENVIRONMENT = re.compile(r"\bos\.(environ|getenv|putenv)\b")
SLEEPS = re.compile(r"\b(time\.sleep|asyncio\.sleep)\((?!0\))")
MOCKS = re.compile(r"unittest\.mock|MagicMock|\bmocker\b")
SKIPS = re.compile(r"pytest\.(skip|mark\.skip|mark\.skipif|importorskip)|@unittest\.skip")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")


def found(paths: list[Path], pattern: re.Pattern[str], *, but: tuple[str, ...] = ()) -> list[str]:
    here = name_of(Path(__file__))
    return [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in paths
        if name_of(path) != here and not name_of(path).startswith(but or ("\0",))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_only_the_clock_adapter_reads_the_clock() -> None:
    assert found(PRODUCT, CLOCK_CALLS, but=("app/adapters/clock.py",)) == []


def test_only_the_settings_read_the_environment() -> None:
    assert found(PRODUCT, ENVIRONMENT, but=("app/settings/tree.py",)) == []


def test_no_test_sleeps_mocks_or_skips() -> None:
    bench = ("tests/bench/",)
    assert found(TESTS, SLEEPS, but=bench) == []
    assert found(TESTS, MOCKS) == []
    assert found(TESTS, SKIPS) == []


def test_nothing_is_left_unfinished() -> None:
    assert found([*PRODUCT, *TESTS], UNFINISHED) == []


def test_values_that_cross_a_boundary_are_frozen_slotted_and_keyword_only() -> None:
    boundary = [path for path in PRODUCT if name_of(path).startswith(("app/core/model/", "channels/base.py"))]
    wrong = []
    for path in boundary:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if text.startswith("dataclass") and not all(
                    f"{option}=True" in text for option in ("frozen", "slots", "kw_only")
                ):
                    wrong.append(f"{name_of(path)}: {node.name}")
    assert wrong == []


# -- what the repository may say ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed() -> dict[str, str]:
    """Every committed text file by name; a tree without git history is taken as it lies, without what is built."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    names = [name for name in listing.stdout.decode().split("\0") if name]
    if listing.returncode != 0 or not names:
        built = {".venv", "node_modules", "var", "__pycache__", ".git", "vendor"}
        names = [name_of(p) for p in ROOT.rglob("*") if p.is_file() and not built & set(p.parts)]
    texts = {}
    for name in names:
        path = ROOT / name
        if path.is_file():
            data = path.read_bytes()
            if b"\0" not in data[:8192]:
                texts[name] = data.decode("utf-8", "replace")
    return texts


def test_no_committed_file_names_a_registry_or_this_machine(committed: dict[str, str]) -> None:
    # put together here, so that this file does not name them either
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
    ]
    hosts += [
        ".".join(parts) for parts in (("npmmirror", "com"), ("anaconda", "org"), ("proxy", "golang", "org"))
    ]
    machine = [
        "/".join(parts)
        for parts in (("", "root", ""), ("", "work", "main"), ("..", "shared"), ("tmp", "briefs"))
    ]
    wrong = [
        f"{name}: {word}" for name, text in committed.items() for word in (*hosts, *machine) if word in text
    ]
    assert wrong == []
