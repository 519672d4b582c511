"""Message ids for providers that have none (service rules, section 1: sender, time and text)."""

from __future__ import annotations

from hashlib import sha256


def text_digest(*parts: str) -> str:
    """Return an id made of what identifies a message; equal parts, equal id. The store keys it once more."""
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return "d-" + sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()
