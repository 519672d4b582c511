"""What the command line's exit codes mean, and which error ends in which."""

from __future__ import annotations

from enum import IntEnum

from app.core import errors


class CommandInvalid(errors.YanzhenError):
    """The command's flags do not go together. See `--help` of the command."""

    code = "command_invalid"


class Exit(IntEnum):
    """The exit codes of every command; `EXIT_MEANINGS` says each in words."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    INTERNAL = 70
    INTERRUPTED = 130


EXIT_MEANINGS = {
    Exit.OK: "done; for `verify` any verdict was given, whichever it is",
    Exit.REFUSED: "a rule of the service refuses it, or a list cannot be taken: nothing was changed; for "
    "`doctor` a check failed",
    Exit.USAGE: "the command or a setting is wrong",
    Exit.NOT_FOUND: "there is no entry with this id",
    Exit.UNAVAILABLE: "database, keys or a file cannot be used now; for `verify` no verdict could be given",
    Exit.INTERNAL: "something unexpected; please report it",
    Exit.INTERRUPTED: "stopped by Ctrl-C",
}

_BY_ERROR: tuple[tuple[type[errors.YanzhenError], Exit], ...] = (
    (CommandInvalid, Exit.USAGE),
    (errors.SettingsInvalid, Exit.USAGE),
    (errors.Undecodable, Exit.USAGE),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.StoreUnavailable, Exit.UNAVAILABLE),
    (errors.SchemaOutdated, Exit.UNAVAILABLE),
    (errors.CatalogueChanged, Exit.UNAVAILABLE),
    (errors.KeyMissing, Exit.UNAVAILABLE),
    (errors.KeyFileInvalid, Exit.UNAVAILABLE),
    (errors.FileUnwritable, Exit.UNAVAILABLE),
    (errors.BackupInvalid, Exit.UNAVAILABLE),
    (errors.SpeechUnavailable, Exit.UNAVAILABLE),
    (errors.WorkersFailed, Exit.UNAVAILABLE),
)


def exit_for(error: errors.YanzhenError) -> Exit:
    """Return the exit code of an error of the closed family."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.REFUSED)
