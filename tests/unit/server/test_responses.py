from __future__ import annotations

import gzip
from datetime import timedelta

import pytest

from app.web.responses import Responses, accepts_gzip, gzip_bytes
from channels.base import OutboundResponse
from tests.fakes.clock import START


def head_of(outbound: OutboundResponse, *, https: bool = False, **headers: str) -> tuple[list[str], bytes]:
    """Return the head's lines and the body as they would go out."""
    response = Responses(https=https).make(outbound, now=START, headers=headers)
    text = response.head.decode()
    assert text.endswith("\r\n\r\n")
    assert text.count("\r\n\r\n") == 1
    return text[:-4].split("\r\n"), response.payload


PAGE = OutboundResponse(status=200, body=b"<p>" * 500, content_type="text/html")
DATA = OutboundResponse(status=200, body=b"{}" * 1000, content_type="application/json")


def test_a_page_has_every_security_header() -> None:
    lines, _ = head_of(PAGE)
    assert lines[0] == "HTTP/1.1 200 OK"
    assert "Content-Type: text/html; charset=utf-8" in lines
    policy = next(line for line in lines if line.startswith("Content-Security-Policy: "))
    for part in (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert part in policy
    assert "unsafe-inline" not in policy
    for line in (
        "Referrer-Policy: no-referrer",
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cache-Control: no-store",
        "Date: Thu, 05 Mar 2026 01:12:00 GMT",
        "Content-Length: 1500",
    ):
        assert line in lines
    assert any(line.startswith("Permissions-Policy: camera=(self)") for line in lines)
    assert not any(line.startswith(("Strict-Transport-Security", "Server")) for line in lines)


def test_https_adds_hsts_everywhere() -> None:
    for outbound in (PAGE, DATA):
        lines, _ = head_of(outbound, https=True)
        assert any(line.startswith("Strict-Transport-Security: max-age=") for line in lines)


def test_a_channel_s_own_cache_rule_is_not_said_twice() -> None:
    outbound = OutboundResponse(status=200, content_type="text/html", headers=(("cache-control", "private"),))
    lines, _ = head_of(outbound)
    assert [line for line in lines if line.lower().startswith("cache-control")] == ["cache-control: private"]


def test_pages_are_compressed_for_those_who_take_it_and_data_never() -> None:
    lines, body = head_of(PAGE, **{"accept-encoding": "gzip, br"})
    assert "Content-Encoding: gzip" in lines
    assert "Vary: Accept-Encoding" in lines
    assert f"Content-Length: {len(body)}" in lines
    assert gzip.decompress(body) == PAGE.body
    lines, body = head_of(PAGE)
    assert "Vary: Accept-Encoding" in lines
    assert body == PAGE.body
    lines, body = head_of(DATA, **{"accept-encoding": "gzip"})
    assert body == DATA.body
    assert not any(line.startswith(("Vary", "Content-Encoding")) for line in lines)


def test_a_small_page_is_not_worth_it() -> None:
    _, body = head_of(
        OutboundResponse(status=200, body=b"x" * 1024, content_type="text/html"),
        **{"accept-encoding": "gzip"},
    )
    assert body == b"x" * 1024


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_who_takes_gzip(header: str, taken: bool) -> None:
    assert accepts_gzip(header) is taken


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_name_no_length(status: int) -> None:
    lines, body = head_of(OutboundResponse(status=status, body=b"ignored"))
    assert body == b""
    assert not any(line.startswith(("Content-Length", "Content-Type")) for line in lines)
    assert lines[-1].startswith("Date: ")


@pytest.mark.parametrize("bad", ["a\r\nSet-Cookie: x=y", "a\nb", "a\0b", "a\x7fb"])
def test_a_header_cannot_be_broken_out_of(bad: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        head_of(OutboundResponse(status=303, headers=(("Location", bad),)))


def test_the_date_follows_the_clock_either_way() -> None:
    responses = Responses(https=False)
    seen = []
    for seconds in (0, 0.9, 1, 3600, 3599.5, -1):
        response = responses.make(DATA, now=START + timedelta(seconds=seconds), headers={})
        seen.append(
            next(line for line in response.head.decode().split("\r\n") if line.startswith("Date"))[-12:]
        )
    assert seen == [
        "01:12:00 GMT",
        "01:12:00 GMT",
        "01:12:01 GMT",
        "02:12:00 GMT",
        "02:11:59 GMT",
        "01:11:59 GMT",
    ]


def test_kept_heads_stay_few() -> None:
    responses = Responses(https=False)
    for number in range(1000):
        outbound = OutboundResponse(
            status=200, content_type="application/json", headers=(("Set-Cookie", f"a={number}"),)
        )
        head = responses.make(outbound, now=START, headers={}).head
        assert f"Set-Cookie: a={number}\r\n".encode() in head
    assert responses.kept == 0


def test_gzip_bytes_are_the_same_every_time() -> None:
    assert gzip_bytes(b"x" * 5000, 6) == gzip_bytes(b"x" * 5000, 6)
