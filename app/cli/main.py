"""The entry point `yanzhen`: finds the command, parses its flags, turns every error into one sentence.

Imports nothing but the standard library, and of that little: `--help` must not cost more than a few bare
interpreters. A command's module, and through it the service, is imported when the command runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from app.cli.registry import COMMANDS, GROUPS, Command

TYPE_CHECKING = False  # see app.cli.registry
if TYPE_CHECKING:
    from typing import Final, NoReturn, Protocol

    class _CommandModule(Protocol):
        def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

        def run(self, arguments: argparse.Namespace) -> int: ...


_USAGE: Final = 2


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong and where to look."""

    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code (docs/commands.md)."""
    words = sys.argv[1:] if argv is None else argv
    named = _named(words)
    chosen = _find_command(named)
    module: _CommandModule | None = import_module(chosen.module) if chosen else None
    arguments = _parser(named, chosen, module).parse_args(words)
    if module is None:
        return _USAGE
    return _run(module, arguments)


def _run(module: _CommandModule, arguments: argparse.Namespace) -> int:
    from app.cli.exits import Exit, exit_for
    from app.core.errors import YanzhenError

    as_json = bool(getattr(arguments, "json", False))
    try:
        code = module.run(arguments)
        sys.stdout.flush()
        return code
    except YanzhenError as error:
        _complain(error.code, str(error), as_json=as_json)
        return exit_for(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # whoever read our output had enough; a second flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(
            "os_error", f"{where}{error.strerror}. Check the path and its permissions.", as_json=as_json
        )
        return Exit.UNAVAILABLE
    except Exception as error:
        if getattr(arguments, "traceback", False):
            raise
        say = f"Something unexpected happened ({type(error).__name__}). Run it again with --traceback and report it."
        _complain("error", say, as_json=as_json)
        return Exit.INTERNAL


def _complain(code: str, message: str, *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stderr.write(json.dumps({"error": code, "message": message}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"yanzhen: {message}\n")


def _named(words: list[str]) -> list[str]:
    """Return the first words that are neither flags nor the value of a flag that stands before the command."""
    named: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in {"--config", "--data-dir", "--set"}:
            skip = True
        elif not word.startswith("-"):
            named.append(word)
    return named[:2]


def _find_command(named: list[str]) -> Command | None:
    for length in (2, 1):
        name = " ".join(named[:length])
        for command in COMMANDS:
            if command.name == name:
                return command
    return None


def _formatter(prog: str) -> argparse.HelpFormatter:
    # a width of our own, because argparse imports shutil, and with it all compression modules, to find one
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        columns = 100
    return argparse.HelpFormatter(prog, max_help_position=28, width=max(60, min(columns, 110) - 2))


def _parser(
    named: list[str], chosen: Command | None, module: _CommandModule | None
) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="yanzhen",
        description="Item-level label verification: one engine, one final answer on every channel.",
        epilog="`yanzhen COMMAND --help` explains a command. Settings: docs/settings.md.",
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action=_Version)
    _add_settings(parser, default=None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[_Parser]] = {}
    for command in COMMANDS:
        group, _, name = command.name.rpartition(" ")
        if group and group not in groups:
            parent = subparsers.add_parser(group, help=GROUPS[group], formatter_class=_formatter)
            groups[group] = parent.add_subparsers(title="commands", metavar="COMMAND", required=True)
        if group and group not in named[:1]:
            continue
        target = groups[group] if group else subparsers
        text = command.help[0].upper() + command.help[1:] + "."
        child = target.add_parser(name, help=command.help, description=text, formatter_class=_formatter)
        if command is chosen and module is not None:
            child.register("type", int, _whole_number)  # argparse itself says "invalid int value"
            module.add_arguments(child)
            _add_settings(child, default=argparse.SUPPRESS)
    return parser


def _add_settings(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Add the flags of every command. In a command they may follow its own, and then they win."""
    group = parser.add_argument_group("settings")
    group.add_argument("--config", metavar="FILE", default=default, help="read settings from a TOML file")
    group.add_argument(
        "--data-dir", metavar="DIR", default=default, help="folder of database, keys and exports"
    )
    group.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=default,
        help="set one setting, for example port=80",
    )
    group.add_argument(
        "--traceback",
        action="store_true",
        default=default or False,
        help="show where an unexpected error arose",
    )


class _Version(argparse.Action):
    """Prints the installed version; looked up only when asked, because the look-up is slow."""

    def __init__(self, option_strings: list[str], dest: str, **_: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser.exit(0, f"yanzhen {version('yanzhen')}\n")
