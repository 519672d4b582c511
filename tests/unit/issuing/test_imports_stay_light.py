"""A server that recognises codes loads none of the libraries that only label files and artwork need."""

import subprocess
import sys

import pytest

_HEAVY = ("numpy", "segno", "reportlab", "pyrage", "PIL", "zipfile")


@pytest.mark.parametrize(
    "module",
    ["recogniser", "key_file", "keyring", "codebook", "batches", "life_cycle", "imports", "artwork", "slips"],
)
def test_no_heavy_library_is_loaded(module: str) -> None:
    program = f"import sys, app.issuing.{module}; print([m for m in {_HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
