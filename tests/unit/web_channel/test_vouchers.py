"""Over a limit: what work buys, what a wait buys, and what neither ever buys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

import altcha
import orjson
import pytest

from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle, with_vouchers
from app.core.model.verdict import Outcome
from channels.base import InboundRequest, OutboundResponse
from channels.pipeline import Pipeline
from channels.web.api import ApiAdapter
from channels.web.pages import WebAdapter
from channels.web.settings import WebOptions
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service

WEB = Limit(queries=2, window_s=3600, wrong=2, wrong_window_s=3600)
ADDRESS = Limit(queries=20, window_s=60, wrong=20, wrong_window_s=600)
LIMITS = {**DEFAULT_LIMITS, "web": WEB, "address": ADDRESS}
SMALL_ADDRESS = {
    **LIMITS,
    "web": DEFAULT_LIMITS["web"],
    "address": Limit(queries=4, window_s=60, wrong=4, wrong_window_s=60),
}


@dataclass(slots=True)
class Shop:
    """The service with the website over it; numbers of codes go up, so that every query is about another label."""

    service: SampleService
    web: WebAdapter
    api: ApiAdapter
    pipeline: Pipeline
    number: int = -1

    def code(self) -> str:
        self.number += 1
        return self.service.code(number=self.number)

    def wrong_code(self) -> str:
        return self.service.unknown_code()

    def limited(self, limits: Mapping[str, Limit]) -> None:
        self.pipeline = self.service.pipeline_with(
            throttle=MemoryThrottle(self.service.clock, with_vouchers(limits))
        )


@dataclass(slots=True)
class Visitor:
    """A browser: its cookies, its address, and the fields of the last page."""

    shop: Shop
    remote: str = "192.0.2.7"
    keeps_cookies: bool = True
    cookies: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    page: str = ""

    async def open(self) -> None:
        await self._carry("GET", "/")

    async def ask(self, code: str, **fields: str) -> int:
        answer = await self._carry("POST", "/verify", {**self.fields, "proof": "", **fields, "code": code})
        return answer.status

    async def ask_anew(self, code: str, **fields: str) -> int:
        """Ask from a freshly opened page: nothing but the cookies goes along."""
        await self.open()
        return await self.ask(code, **fields)

    async def work(self) -> str:
        """Fetch a challenge as the page's script does, and solve it."""
        answer = await self._carry("GET", "/challenge", query={"nonce": self.fields.get("nonce", "")})
        assert answer.content_type == "application/json"
        return solve(answer)

    async def _carry(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> OutboundResponse:
        headers = {
            "accept-language": "en",
            "content-type": "application/x-www-form-urlencoded",
            "origin": PUBLIC_URL,
        }
        if self.cookies and self.keeps_cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = InboundRequest(
            method=method,
            route=path,
            path=path,
            query=query or {},
            headers=headers,
            body=urlencode(form or {}).encode(),
            remote=self.remote,
            received_at=self.shop.service.clock.now(),
        )
        answer = await self.shop.pipeline.carry(self.shop.web, request)
        for name, value in answer.headers:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if answer.content_type.startswith("text/html"):
            self.page = unescape(answer.body.decode())
            self.fields = dict(re.findall(r'name="(nonce|lang|wait)" value="([^"]*)"', self.page))
        return answer


def solve(answer: OutboundResponse) -> str:
    challenge = altcha.Challenge.from_dict(orjson.loads(answer.body))
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    return altcha.Payload(challenge, solution).to_base64()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    service = await start_sample_service(settings={"web": WebOptions(proof_rounds=1)})
    shop = Shop(service, WebAdapter(service.context), ApiAdapter(service.context), service.pipeline)
    shop.limited(LIMITS)
    yield shop
    await service.engine.close()


async def over_limit(shop: Shop, **options: str) -> Visitor:
    """Return a visitor who used up their own queries and was refused one more."""
    visitor = Visitor(shop, **options)  # type: ignore[arg-type]
    await visitor.open()
    for _ in range(WEB.queries):
        assert await visitor.ask_anew(shop.code()) == 303
    assert await visitor.ask_anew(shop.code()) == 429
    return visitor


async def test_a_page_over_the_limit_offers_work_and_a_wait(shop: Shop) -> None:
    visitor = await over_limit(shop)
    assert 'data-challenge="/challenge?nonce=' in visitor.page
    assert 'data-wait="1800"' in visitor.page
    assert visitor.fields["wait"]


async def test_work_buys_five_queries_and_no_sixth(shop: Shop) -> None:
    visitor = await over_limit(shop)
    proof = await visitor.work()
    assert await visitor.ask(shop.code(), proof=proof) == 303
    assert [await visitor.ask_anew(shop.code()) for _ in range(6)] == [303, 303, 303, 303, 429, 429]
    assert len(shop.service.store.facts) == WEB.queries + 5


async def test_the_same_form_may_be_sent_again_with_work(shop: Shop) -> None:
    """The refusal is kept for retries of the message; work asks anew, and its own retry gets the one answer."""
    visitor = await over_limit(shop)
    code, fields = shop.code(), dict(visitor.fields)
    assert await visitor.ask(code, **fields) == 429
    proof = await visitor.work()
    assert [await visitor.ask(code, **fields, proof=proof) for _ in range(3)] == [303, 303, 303]
    assert len(shop.service.store.facts) == WEB.queries + 1


async def test_a_solution_is_redeemed_once(shop: Shop) -> None:
    visitor = await over_limit(shop)
    proof = await visitor.work()
    assert await visitor.ask(shop.code(), proof=proof) == 303
    del visitor.cookies["__Host-yz_pass"]
    assert await visitor.ask_anew(shop.code(), proof=proof) == 429
    assert "data-challenge" not in visitor.page  # no second piece of work in vain
    assert "__Host-yz_pass" not in visitor.cookies


async def test_a_solution_and_its_pass_are_one_visitors_in_one_network(shop: Shop) -> None:
    visitor = await over_limit(shop)
    proof = await visitor.work()
    stranger = await over_limit(shop)
    assert await stranger.ask(shop.code(), proof=proof) == 429
    elsewhere = await over_limit(shop, remote="198.51.100.1")
    elsewhere.cookies = dict(visitor.cookies)
    await elsewhere.ask_anew(shop.code())
    await elsewhere.ask_anew(shop.code())
    assert await elsewhere.ask_anew(shop.code(), proof=proof) == 429
    assert await visitor.ask(shop.code(), proof=proof) == 303
    stranger.cookies["__Host-yz_pass"] = visitor.cookies["__Host-yz_pass"]
    assert await stranger.ask_anew(shop.code()) == 429
    assert await visitor.ask_anew(shop.code()) == 303


async def test_work_and_its_pass_end(shop: Shop) -> None:
    visitor = await over_limit(shop)
    late = await visitor.work()
    shop.service.clock.advance(601)
    assert await visitor.ask(shop.code(), proof=late) == 429
    assert await visitor.ask(shop.code(), proof=await visitor.work()) == 303
    shop.service.clock.advance(601)
    assert await visitor.ask_anew(shop.code()) == 429


@pytest.mark.parametrize("forged", ["", "x", "bm90IGpzb24=", "eyJjaGFsbGVuZ2UiOnt9fQ=="])
async def test_a_forged_solution_is_as_good_as_none(shop: Shop, forged: str) -> None:
    visitor = await over_limit(shop)
    assert await visitor.ask(shop.code(), proof=forged, wait=forged) == 429
    assert "data-challenge" in visitor.page


async def test_a_wrong_code_ends_the_pass_so_every_guess_costs_work(shop: Shop) -> None:
    visitor = await over_limit(shop)
    assert await visitor.ask(shop.wrong_code(), proof=await visitor.work()) == 303
    assert await visitor.ask_anew(shop.code()) == 429
    for _ in range(3):
        assert await visitor.ask_anew(shop.wrong_code(), proof=await visitor.work()) == 303
        assert await visitor.ask_anew(shop.wrong_code()) == 429


async def test_work_buys_a_network_no_endless_guesses(shop: Shop) -> None:
    """However much somebody computes: half as many wrong codes again as the network has without, then no more."""
    visitor = await over_limit(shop)
    guesses = 0
    while await visitor.ask_anew(shop.wrong_code(), proof=await visitor.work()) == 303:
        guesses += 1
        shop.service.clock.advance(2.5)  # slower than the network's queries a minute
        assert guesses <= ADDRESS.wrong
    assert guesses == ADDRESS.wrong // 2
    refused = [one for one in shop.service.journal.answers if one[1].outcome is Outcome.THROTTLED]
    assert refused


async def test_who_waited_is_let_in_ahead_of_strangers_at_the_address(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    crowd, visitor = Visitor(shop), Visitor(shop)
    await visitor.open()
    while await crowd.ask_anew(shop.code()) == 303:
        crowd.cookies.clear()
    assert await visitor.ask(shop.code()) == 429
    for _ in range(15):
        shop.service.clock.advance(1)
        crowd.cookies.clear()
        await crowd.ask_anew(shop.code())  # whatever becomes free, the crowd takes
    assert await visitor.ask(shop.code()) == 303


async def test_asking_too_early_makes_no_wait_longer(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    crowd, visitor = Visitor(shop), Visitor(shop)
    await visitor.open()
    while await crowd.ask_anew(shop.code()) == 303:
        crowd.cookies.clear()
    told = []
    for _ in range(20):
        told.append(await visitor.ask(shop.code()))
        shop.service.clock.advance(1)
        crowd.cookies.clear()
        await crowd.ask_anew(shop.code())
    assert told.index(303) <= 16


async def test_a_wait_lifts_no_limit_of_ones_own(shop: Shop) -> None:
    visitor = await over_limit(shop)
    early = dict(visitor.fields)
    shop.service.clock.advance(1800)
    assert await visitor.ask(shop.code()) == 303  # the limit's own time
    assert await visitor.ask_anew(shop.code(), wait=early["wait"]) == 429


async def test_never_locked_out_for_longer_than_the_limit(shop: Shop) -> None:
    visitor = await over_limit(shop)
    waited = 0
    for _ in range(100):
        shop.service.clock.advance(60)
        waited += 60
        if await visitor.ask(shop.code()) == 303:
            break
    assert waited <= WEB.window_s / WEB.queries


async def test_a_wait_is_one_visitors_and_ends(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    visitor, stranger = Visitor(shop), Visitor(shop)
    await visitor.open()
    await stranger.open()
    for _ in range(4):
        assert await Visitor(shop).ask(shop.code()) == 303
    assert await visitor.ask(shop.code()) == 429
    wait = visitor.fields["wait"]
    shop.service.clock.advance(20)
    assert await Visitor(shop).ask(shop.code()) == 303
    assert await stranger.ask(shop.code(), wait=wait) == 429
    shop.service.clock.advance(700)
    for _ in range(4):
        assert await Visitor(shop).ask(shop.code()) == 303
    assert await visitor.ask(shop.code(), wait=wait) == 429


async def test_waits_together_open_an_address_by_half(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    visitors = [Visitor(shop) for _ in range(12)]
    for visitor in visitors:
        await visitor.open()
    first = [await visitor.ask(shop.code()) for visitor in visitors]
    assert first.count(303) == 4
    shop.service.clock.advance(15)
    again = [await visitor.ask(shop.code()) for visitor in visitors[4:]]
    assert again.count(303) == 1 + 2  # the address's next one, and half of its window for those who waited


async def test_without_cookies_work_is_bound_to_the_page(shop: Shop) -> None:
    """Each page is then a visitor, so the address is what limits."""
    shop.limited(SMALL_ADDRESS)
    visitor = Visitor(shop, keeps_cookies=False)
    await visitor.open()
    for _ in range(4):
        assert await Visitor(shop).ask(shop.code()) == 303
    assert await visitor.ask(shop.code()) == 429
    assert await visitor.ask(shop.code(), proof=await visitor.work()) == 303


async def test_switched_off_there_is_no_work_but_the_wait(shop: Shop) -> None:
    service = await start_sample_service(settings={"web": WebOptions()})
    shop = Shop(service, WebAdapter(service.context), ApiAdapter(service.context), service.pipeline)
    shop.limited(LIMITS)
    visitor = await over_limit(shop)
    assert "challenge" not in visitor.page
    assert visitor.fields["wait"]
    assert "/challenge" not in {route.path for route in (*shop.web.routes(), *shop.api.routes())}
    await service.engine.close()


# -- the JSON API ------------------------------------------------------------------------------------------------


async def api_ask(shop: Shop, code: str, **headers: str) -> OutboundResponse:
    return await shop.pipeline.carry(
        shop.api,
        InboundRequest(
            method="POST",
            route="/api/v1/verifications",
            path="/api/v1/verifications",
            headers={
                "content-type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            body=orjson.dumps({"code": code}),
            remote="192.0.2.7",
            received_at=shop.service.clock.now(),
        ),
    )


async def api_work(shop: Shop) -> str:
    path = "/api/v1/challenge"
    request = InboundRequest(
        method="GET", route=path, path=path, remote="192.0.2.7", received_at=shop.service.clock.now()
    )
    return solve(await shop.pipeline.carry(shop.api, request))


async def test_the_api_names_where_to_work_and_takes_each_solution_once(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    while (answer := await api_ask(shop, shop.code())).status == 200:
        pass
    problem = orjson.loads(answer.body)
    assert (answer.status, problem["code"], problem["challenge"]) == (429, "throttled", "/api/v1/challenge")
    proof = await api_work(shop)
    assert (await api_ask(shop, shop.code(), proof_of_work=proof)).status == 200
    assert (await api_ask(shop, shop.code(), proof_of_work=proof)).status == 429
    assert (await api_ask(shop, shop.code(), proof_of_work="forged")).status == 429


async def test_an_idempotency_key_that_was_refused_may_come_again_with_work(shop: Shop) -> None:
    shop.limited(SMALL_ADDRESS)
    while (await api_ask(shop, shop.code())).status == 200:
        pass
    code, facts = shop.code(), len(shop.service.store.facts)
    assert (await api_ask(shop, code, idempotency_key="one")).status == 429
    proof = await api_work(shop)
    answers = [await api_ask(shop, code, idempotency_key="one", proof_of_work=proof) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[0].body == answers[1].body == answers[2].body
    assert len(shop.service.store.facts) == facts + 1
