"""What the website and the JSON API are set up with, as plain values; app/settings holds the tree they come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """``js_sdk``: pages opened inside WeChat may use its scanner, because an official account signs for them.

    ``proof_rounds``: whoever is over a limit may work for a query instead of waiting; this many rounds are one of some
    four thousand tries. 0 offers no work.
    """

    js_sdk: bool = False
    proof_rounds: int = 0
