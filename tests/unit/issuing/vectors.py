"""The published vectors (docs/codebook-vectors.json) as values for the tests of the codebook."""

import json
from pathlib import Path
from typing import Any, Final

from app.issuing.codebook import Codebook

_FILE: Final = Path(__file__).parents[3] / "docs" / "codebook-vectors.json"
PUBLISHED: Final[dict[str, Any]] = json.loads(_FILE.read_text("utf-8"))
PERMUTATION_KEYS: Final = {int(k): bytes.fromhex(v) for k, v in PUBLISHED["keys"]["permutation"].items()}
TAG_KEYS: Final = {int(k): bytes.fromhex(v) for k, v in PUBLISHED["keys"]["tag"].items()}
DIGEST_KEY: Final = bytes.fromhex(PUBLISHED["keys"]["digest"])


def codebook() -> Codebook:
    """Return the codebook under the published test keys."""
    return Codebook(permutation_keys=PERMUTATION_KEYS, tag_keys=TAG_KEYS)
