"""The signature with which a page may use WeChat's JS-SDK (微信JS-SDK说明文档, appendix 1)."""

from __future__ import annotations

import hashlib


def sign_page(*, ticket: str, nonce: str, timestamp_s: int, url: str) -> str:
    """Return the hexadecimal SHA-1 over ``ticket``, ``nonce``, seconds since 1970 and ``url`` without its fragment.

    ``url`` is exactly what the browser has, its query included; ``nonce`` is letters and digits.
    """
    page, _, _ = url.partition("#")
    signed = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp_s}&url={page}"
    return hashlib.sha1(signed.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
