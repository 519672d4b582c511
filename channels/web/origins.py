"""Whether a POST comes from a page of ours (service rules, section 3): by ``Sec-Fetch-Site`` and ``Origin``.

Our pages send ``Referrer-Policy: no-referrer``, and under it browsers write ``Origin: null`` on a plain form
(Fetch standard, "append a request Origin header"). So ``null`` is believed where Sec-Fetch-Site vouches for it
or, in browsers too old for that header, where the SameSite=Lax cookie came along, which other sites cannot send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_OWN_SITES: Final = frozenset({"same-origin", "none"})


class Origins:
    """Knows the origin of the configured public URL; the request's own Host is accepted beside it."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        self._public = f"{parts.scheme}://{parts.netloc}".lower()

    def foreign(self, headers: Mapping[str, str], *, own_cookie: bool) -> bool:
        """Tell whether the request's headers say that another site's page sent it."""
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site")
        if origin is None and site is None:
            return False
        if site is not None and site.strip().lower() not in _OWN_SITES:
            return True
        if origin is None:
            return False
        if origin == "null":
            return site is None and not own_cookie
        origin = origin.strip().lower()
        host = headers.get("host", "").strip().lower()
        return origin != self._public and origin not in (f"http://{host}", f"https://{host}")
