"""The cookies of the pages: their names, how they are read and how they are set.

Behind HTTPS a name begins with ``__Host-``, so that browsers take the cookie from this very host alone and over TLS
alone (RFC 6265bis, section 4.1.3.2); on plain HTTP they would refuse such a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from channels.web.visitors import is_secret

CALLER: Final = "yz_caller"
LANGUAGE: Final = "yz_lang"
PASS: Final = "yz_pass"  # noqa: S105 - a name
_HOST: Final = "__Host-"
_LONGEST: Final = 4096  # of a header that is read

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cookies:
    """``secure`` is whether visitors come by HTTPS."""

    secure: bool

    @staticmethod
    def of(public_url: str) -> Cookies:
        """Return the cookies of a service with this address."""
        return Cookies(secure=public_url.startswith("https://"))

    def name(self, cookie: str) -> str:
        """Return what browsers know ``cookie`` by."""
        return f"{_HOST}{cookie}" if self.secure else cookie

    def find(self, headers: Headers, cookie: str) -> str:
        """Return a cookie's value, empty where there is none."""
        sent = headers.get("cookie")
        if sent is None or cookie not in sent:
            return ""
        return _read(sent).get(self.name(cookie), "")

    def find_secret(self, headers: Headers) -> str | None:
        """Return the caller's secret, or None where there is none of ours."""
        secret = self.find(headers, CALLER)
        return secret if is_secret(secret) else None

    def set(self, cookie: str, value: str, *, seconds: int, for_scripts: bool = False) -> tuple[str, str]:
        """Return the header field that sets a cookie for this host."""
        only = "" if for_scripts else " HttpOnly;"
        tls = "; Secure" if self.secure else ""
        text = f"{self.name(cookie)}={value}; Path=/; Max-Age={seconds};{only} SameSite=Lax{tls}"
        return ("Set-Cookie", text)


def _read(sent: str) -> dict[str, str]:
    """Return the request's cookies (RFC 6265, section 5.4); of equal names the first."""
    cookies: dict[str, str] = {}
    for pair in sent[:_LONGEST].split(";"):
        name, separator, value = pair.strip().partition("=")
        if separator:
            cookies.setdefault(name, value)
    return cookies
