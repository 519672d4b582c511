"""`yanzhen reference`: the reference pages and config/default.toml, made from the code so that they never lag."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

import app
from app.cli.exits import EXIT_MEANINGS
from app.cli.output import write_line
from app.cli.registry import COMMANDS
from app.core.errors import RuleBroken, YanzhenError
from app.core.model.verdict import Outcome, Verdict

UNRECORDED: Final = frozenset({Outcome.MISTYPED, Outcome.THROTTLED, Outcome.UNAVAILABLE})
UNCOUNTED: Final = frozenset(
    {Outcome.NOT_FOUND, Outcome.NOT_ACTIVE, Outcome.VOIDED}
)  # a test compares the rules
STATUS: Final = {Outcome.THROTTLED: 429, Outcome.UNAVAILABLE: 503}
_MADE: Final = "made by `yanzhen reference --write`; change the code, not this file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("page", nargs="?", choices=sorted(_PAGES), help="the page to print")
    parser.add_argument("--write", action="store_true", help="write every page into the source tree instead")


def run(arguments: argparse.Namespace) -> int:
    """Print one page, or write all."""
    if arguments.write:
        root = Path(__file__).resolve().parents[2]
        if not (root / "pyproject.toml").exists():
            raise RuleBroken(
                "--write needs the source tree. Print a page instead, for example: reference settings"
            )
        for name, text in pages().items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
            write_line(name)
    else:
        _, make = _PAGES[arguments.page or "commands"]
        write_line(make().rstrip("\n"))
    return 0


def pages() -> Mapping[str, str]:
    """Return every generated file: path from the root of the source tree -> text."""
    return {path: make() for path, make in _PAGES.values()}


# -- settings -------------------------------------------------------------------------------------------------


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict) and not value:
        return "{}"
    return f'"{value}"'


def settings_page() -> str:
    """Return docs/settings.md."""
    from app.settings import describe_settings

    lines = [
        "# Settings",
        f"<!-- {_MADE} -->",
        "",
        "A later source wins: default, TOML file (`--config FILE`, see `config/default.toml`), environment, flags",
        "(`--set NAME=VALUE`, and `--host`, `--port`, `--public-url`, `--data-dir` where a command shows them). In the",
        "environment a list is written with commas. A secret may stand in a file: `file:/path/to/it`, one a line. All",
        "wrong settings are reported at once.",
        "",
        "| setting | environment | default | what it does |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{setting.path}` | `{setting.environment}` | `{_toml(setting.default)}` | {setting.help} |"
        for setting in describe_settings()
    ]
    lines += [
        "",
        "The defaults of `database_url` and `key_file` follow `data_dir`; that of `public_url` follows `port`.",
        "`database_url` may hold a password later, so it is never printed.",
    ]
    return "\n".join(lines) + "\n"


def default_toml() -> str:
    """Return config/default.toml: complete; a value that follows another setting is commented out."""
    from app.settings import describe_settings

    lines = ["# Every setting with its default. Copy what you change into a file of your own and give it to --config.",
             f"# {_MADE}"]  # fmt: skip
    section = ""
    for setting in describe_settings():
        parent, _, name = setting.path.rpartition(".")
        if parent != section:
            section = parent
            lines += ["", f"[{section}]"]
        mark = "# " if setting.follows else ""
        lines += ["", f"# {setting.help}", f"{mark}{name} = {_toml(setting.default)}"]
    return "\n".join(lines) + "\n"


# -- outcomes and errors --------------------------------------------------------------------------------------


def outcomes_page() -> str:
    """Return docs/outcomes.md: every outcome in its words, and every error code with its remedy."""
    from channels.wording.locales import LOCALES
    from channels.wording.reply import Wording

    wording = Wording.load("Asia/Shanghai")
    lines = [
        "# Outcomes and error codes",
        f"<!-- {_MADE} -->",
        "",
        "Every answer on every channel is one of these outcomes. The API gives a verdict with status 200.",
        "",
        f"| outcome | recorded | counted | API | {' | '.join(LOCALES)} |",
        f"|---|---|---|---|{'---|' * len(LOCALES)}",
    ]
    for outcome in Outcome:
        words = (wording.reply(Verdict(outcome=outcome), locale) for locale in LOCALES)
        headlines = " | ".join(reply.book.meanings[reply.variant].headline for reply in words)
        recorded = "no" if outcome in UNRECORDED else "yes"
        counted = "no" if outcome in UNRECORDED | UNCOUNTED else "yes"
        lines.append(
            f"| `{outcome.value}` | {recorded} | {counted} | {STATUS.get(outcome, 200)} | {headlines} |"
        )
    lines += [
        "",
        "*Recorded*: the query is kept for good before the answer leaves. *Counted*: it gets an ordinal.",
        "",
        "## Error codes",
        "",
        "| code | retry helps | meaning and remedy |",
        "|---|---|---|",
    ]
    for kind in _error_kinds():
        text = " ".join((kind.__doc__ or "").split())
        lines.append(f"| `{kind.code}` | {'yes' if kind.retryable else 'no'} | {text} |")
    return "\n".join(lines) + "\n"


def _error_kinds() -> list[type[YanzhenError]]:
    """Return every error of the family, wherever in the program it is defined, by code."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.startswith("app.__main__"):
            import_module(module.name)
    found: dict[str, type[YanzhenError]] = {}
    waiting: list[type[YanzhenError]] = [YanzhenError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith(("app.", "channels.")) and "code" in vars(kind):
            found[kind.code] = kind
    return [found[code] for code in sorted(found)]


# -- commands -------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Return docs/commands.md: every command with its flags, and what the exit codes mean."""
    lines = [
        "# Commands",
        f"<!-- {_MADE} -->",
        "",
        "`yanzhen COMMAND`, in `.venv/bin/` after `make setup`. Every command also takes `--config FILE`,",
        "`--data-dir DIR` and `--set NAME=VALUE` (see settings.md). The answer goes to standard output, all else to",
        "standard error. Commands that issue and administer also work while a server runs on the same data.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code.value} | {meaning} |" for code, meaning in EXIT_MEANINGS.items()),
    ]
    for command in COMMANDS:
        parser = argparse.ArgumentParser(add_help=False)
        import_module(command.module).add_arguments(parser)
        lines += ["", f"## yanzhen {command.name}", f"{command.help[0].upper()}{command.help[1:]}.", ""]
        everything = parser._actions  # noqa: SLF001 - argparse has no public list of its arguments
        actions = [action for action in everything if action.help != argparse.SUPPRESS]
        lines += [
            f"- `{_usage(action)}`{'' if action.required else ' (optional)'}: {action.help}"
            for action in actions
        ]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _usage(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest).upper()
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return action.option_strings[0] + value


def hotline_page() -> str:
    """Return docs/hotline-dialogue.md."""
    from channels.ivr.diagram import dialogue_page
    from channels.wording.reply import Wording

    return dialogue_page(Wording.load("Asia/Shanghai"))


_PAGES: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "settings": ("docs/settings.md", settings_page),
    "toml": ("config/default.toml", default_toml),
    "outcomes": ("docs/outcomes.md", outcomes_page),
    "commands": ("docs/commands.md", commands_page),
    "dialogue": ("docs/hotline-dialogue.md", hotline_page),
}
