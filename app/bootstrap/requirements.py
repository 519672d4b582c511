"""What must hold before anything opens: a database is there, and the keys are those it was made with."""

from __future__ import annotations

from app.core.errors import KeyFileInvalid, KeyMissing, StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.issuing.key_file import KeyFile
from app.issuing.keyring import Keyring
from app.settings import Settings


def require_database(settings: Settings) -> None:
    """Raise ``StoreUnavailable`` with the remedy where there is no database file; a server shows when it is opened."""
    path = settings.database_path
    if path is not None and not path.exists():
        raise StoreUnavailable(
            f"There is no database at {path}. Run `yanzhen init` first, or set YANZHEN_DATA_DIR to "
            "the folder it is in."
        )


def require_fit(ring: Keyring, catalogue: Catalogue, key_file: KeyFile) -> None:
    """Raise ``KeyMissing`` or ``KeyFileInvalid`` where the keys are not those the database was made with."""
    own = ring.checks()
    missing = sorted(name for name in catalogue.key_checks if name not in own)
    if missing:
        raise KeyMissing(
            f"The key file {key_file.path} lacks {', '.join(missing)}, which this database needs. Restore the newest "
            "backup of the key file."
        )
    if not ring.fits(catalogue.key_checks):
        raise KeyFileInvalid(
            f"The key file {key_file.path} belongs to another database. Restore the right one from its backup, or set "
            "YANZHEN_KEY_FILE."
        )
