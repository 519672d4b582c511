"""The nginx configuration we ship: what it writes of an address holds no code, and known addresses stay readable."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = "01482620618826653427"


def logged(address: str) -> str:
    """Return what the map of config/nginx-masking.conf makes of an address; as nginx does, the first match wins."""
    text = (ROOT / "config/nginx-masking.conf").read_text(encoding="utf-8")
    block = re.search(r"^map \$request_uri \$yanzhen_path \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert block
    for line in block[1].splitlines():
        pattern, value = line.strip().rstrip(";").split()
        if pattern == "default":
            return value
        found = re.search(pattern.removeprefix("~").replace("(?<", "(?P<"), address)
        if found:
            return found[value.removeprefix("$")] if value.startswith("$") else value
    raise AssertionError("the map has no default")


@pytest.mark.parametrize(
    "address",
    [
        f"/q/{CODE}",
        f"/q/{CODE}?lang=en",
        f"/01/06901234567892/21/{CODE}",
        f"//q/{CODE}",
        f"/%71/{CODE}",
        f"/x/../q/{CODE}",
        f"/verify?code={CODE}",
        f"/verify/{CODE}",
        f"/api/v1/verifications?code={CODE}",
        f"/static/{CODE}.css",
        f"/static/../q/{CODE}",
        f"/?{CODE}",
        f"/{CODE}",
    ],
)
def test_no_code_is_written(address: str) -> None:
    assert CODE not in logged(address)


def test_result_addresses_are_masked() -> None:
    assert logged("/r/PjiFGBzkBYA95wQYugNN-Q") == "/r/**"


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("/", "/"),
        ("/?lang=en", "/"),
        ("/verify", "/verify"),
        ("/readyz", "/readyz"),
        ("/api/v1/verifications", "/api/v1/verifications"),
        ("/static/page.css?v=79dae71bd2", "/static/page.css"),
        ("/static/vendor/zxing_reader.wasm", "/static/vendor/zxing_reader.wasm"),
        (f"/q/{CODE}", "/q/**"),
    ],
)
def test_known_addresses_stay_readable(address: str, written: str) -> None:
    assert logged(address) == written


def test_the_error_log_keeps_no_request_line() -> None:
    text = (ROOT / "config/nginx-masking.conf").read_text(encoding="utf-8")
    levels = re.findall(r"^\s*error_log \S+ (\w+);", text, re.MULTILINE)
    assert levels == ["emerg"] * text.count("server_name")


@pytest.mark.parametrize(
    "address", ["/channels/sms/kannel/SECRET?text=1", "/channels/sms/gateway/alibaba/SECRET"]
)
def test_the_secret_of_a_provider_is_not_logged(address: str) -> None:
    assert "SECRET" not in logged(address)
    assert logged(address).startswith("/channels/sms/")


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/channels/wechat/official-account", "/channels/wechat/official-account"),
        ("/channels/wechat/official-account/brand-two", "/channels/wechat/official-account"),
        ("/channels/wechat/mini-program", "/channels/wechat/mini-program"),
        ("/channels/wechat/mini-program/", "/channels/wechat/mini-program"),
        ("/channels/wechat/js-sdk", "/channels/wechat/js-sdk"),
        ("/channels/wechat/elsewhere", "/**"),
        ("//channels/wechat/mini-program", "/**"),
        ("/api/v1/wechat/verifications", "/api/v1/wechat/verifications"),
        ("/api/v1/wechat/session", "/api/v1/wechat/session"),
    ],
)
def test_nobody_who_wrote_in_wechat_is_logged(path: str, written: str) -> None:
    query = f"signature=0f&timestamp=1&nonce=2&openid=OPENID&url=/q/{CODE}"
    assert logged(f"{path}?{query}") == written


@pytest.mark.parametrize("address", ["/channels/wechat/OPENID", "/channels/wechat/mini-program-OPENID"])
def test_what_stands_in_the_path_of_wechat_is_not_logged(address: str) -> None:
    assert "OPENID" not in logged(address)
