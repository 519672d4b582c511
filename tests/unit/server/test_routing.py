from __future__ import annotations

import pytest

from app.web.routing import Endpoint, Router
from channels.base import InboundRequest, OutboundResponse, Refusal, Route


async def answer(_inbound: InboundRequest) -> OutboundResponse:
    return OutboundResponse(status=200)


def refuse(_refusal: Refusal) -> OutboundResponse:
    return OutboundResponse(status=400)


def endpoint(method: str, path: str) -> Endpoint:
    return Endpoint(route=Route(method=method, path=path), answer=answer, refuse=refuse, channel="test")


@pytest.fixture
def router() -> Router:
    router = Router()
    for method, path in (
        ("GET", "/"),
        ("GET", "/q/{digits}"),
        ("GET", "/q/help"),
        ("GET", "/01/{gtin}/21/{digits}"),
        ("POST", "/verify"),
        ("GET", "/r/{result}"),
        ("DELETE", "/r/{result}"),
    ):
        router.add(endpoint(method, path))
    return router


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/", {}),
        ("/verify", {}),
        ("/q/123", {"digits": "123"}),
        ("/q/help", {}),
        ("/q/1%202", {"digits": "1 2"}),
        ("/q/a%2Fb", {"digits": "a/b"}),
        ("/q/%E9%AA%8C", {"digits": "验"}),
        ("/q/%ff%00", {"digits": "\ufffd\0"}),
        ("/q/%", {"digits": "%"}),
        ("/01/069/21/456", {"gtin": "069", "digits": "456"}),
    ],
)
def test_an_address_is_found_with_its_parts(router: Router, path: str, parts: dict[str, str]) -> None:
    found = router.find(path)
    assert found is not None
    assert found.parts == parts


@pytest.mark.parametrize(
    "path",
    ["", "//", "/q", "/q/", "/q/1/2", "/verify/", "/Verify", "/01/069/22/456", "/q/../verify", "*", "x"],
)
def test_nothing_else_is_found(router: Router, path: str) -> None:
    assert router.find(path) is None


def test_methods_of_an_address(router: Router) -> None:
    found = router.find("/r/x")
    assert found is not None
    assert found.allowed == "DELETE, GET, HEAD"
    verify = router.find("/verify")
    assert verify is not None
    assert verify.allowed == "POST"


@pytest.mark.parametrize("path", ["/", "/q/{other}"])
def test_two_answers_for_one_address_are_refused(router: Router, path: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        router.add(endpoint("GET", path))
