"""The closed error family. A docstring is the default message and says the remedy.

Adapters turn library errors into these at the edge; ``public_key`` names the wording a stranger may see.
"""

from __future__ import annotations

from typing import ClassVar


class YanzhenError(Exception):
    """Something went wrong; the log has the details."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    public_key: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class StoreUnavailable(YanzhenError):
    """The database did not record in time. Check disk space and permissions, then try again."""

    code = "store_unavailable"
    retryable = True
    public_key = "unavailable"


class SchemaOutdated(YanzhenError):
    """The database schema does not match this program. Run `yanzhen db upgrade`, then start again."""

    code = "schema_outdated"


class InvariantBroken(YanzhenError):
    """The record contradicts what was told. Look at a backup with `yanzhen restore --verify-only`, and report it."""

    code = "invariant_broken"
    public_key = "unavailable"


class WorkersFailed(YanzhenError):
    """No worker process could start. What the worker wrote says why: correct it and start again."""

    code = "workers_failed"


class CatalogueChanged(YanzhenError):
    """The catalogue changed since it was read. Load it again and repeat the step."""

    code = "catalogue_changed"
    retryable = True


class KeyMissing(YanzhenError):
    """A key this database needs is not in the key file. Restore the key file from its backup."""

    code = "key_missing"
    public_key = "unavailable"


class KeyFileInvalid(YanzhenError):
    """The key file cannot be used. Restore it from its backup; never create a new one over old labels."""

    code = "key_file_invalid"


class FileUnwritable(YanzhenError):
    """A file cannot be written. Check the folder's permissions and the free space, then repeat the step."""

    code = "file_unwritable"
    retryable = True


class BackupInvalid(YanzhenError):
    """The backup cannot be used. Nothing was changed; take another backup."""

    code = "backup_invalid"


class SpeechUnavailable(YanzhenError):
    """No voice can be synthesised here. Install the extra `speech` (pip install ".[speech]" in the source folder)."""

    code = "speech_unavailable"


class SettingsInvalid(YanzhenError):
    """Some settings are wrong. Correct each named field and start again."""

    code = "settings_invalid"


class RuleBroken(YanzhenError):
    """The request breaks a rule of the service. The message names the rule and what would do instead."""

    code = "rule_broken"


class NotFound(YanzhenError):
    """There is no such entry. List the existing ones and use an id from the list."""

    code = "not_found"


class NotAuthentic(YanzhenError):
    """The request does not prove who sent it. Check the channel's secret, signature and address list."""

    code = "not_authentic"
    public_key = "refused"


class Undecodable(YanzhenError):
    """The request is not of the form this channel understands. Send it as the channel's documentation shows."""

    code = "undecodable"
    public_key = "malformed"
