"""The client of WeChat's API: one token for all, one renewal, pauses that are kept, and never a call too many."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.adapters.cache.memory import MemoryCache
from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered
from channels.abilities import ErrandFailed
from channels.wechat.platform.answers import Granted, NotTaken, Refused, Unclear, read_answer
from channels.wechat.platform.client import ERRAND_WITHIN_S, PUSH_WITHIN_S
from channels.wechat.platform.credentials import Credential, SharedCredential
from tests.fakes.clock import FakeClock
from tests.unit.wechat.platform.clients import (
    API,
    APP_ID,
    OPENID,
    SECRET,
    TAKEN,
    Stage,
    answer,
    lent,
    path_of,
    query_of,
    refusal,
    stage,
)

MESSAGE = "/cgi-bin/message/custom/send"
NOBODY = {"touser": OPENID}


async def post(made: Stage) -> Granted | Refused | NotTaken | Unclear:
    return await made.platform.post(MESSAGE, NOBODY, within_s=PUSH_WITHIN_S)


async def test_a_token_is_asked_for_once_and_shown_with_every_call() -> None:
    made = stage([lent("t&k=1"), TAKEN, TAKEN])
    assert isinstance(await post(made), Granted)
    assert isinstance(await post(made), Granted)
    first, second, third = made.calls.made
    assert (first.method, first.url) == ("POST", f"{API}/cgi-bin/stable_token")
    assert json.loads(first.body) == {"grant_type": "client_credential", "appid": APP_ID, "secret": SECRET}
    assert (second.method, path_of(second)) == ("POST", f"/relay{MESSAGE}")
    assert query_of(second) == query_of(third) == {"access_token": "t&k=1"}
    assert json.loads(second.body) == NOBODY
    assert all(deadline_s <= PUSH_WITHIN_S for deadline_s in made.calls.deadlines_s)


@pytest.mark.parametrize(("life_s", "kept_s"), [(7200, 6900), (900, 600), (400, 200), (300, 150)])
async def test_a_token_is_given_up_well_before_its_end(life_s: int, kept_s: int) -> None:
    made = stage([lent("token-1", life_s), TAKEN, TAKEN, lent("token-2"), TAKEN])
    await post(made)
    made.clock.advance(kept_s - 1)
    await post(made)
    assert made.tokens_shown == ["", "token-1", "token-1"]
    made.clock.advance(1)
    await post(made)
    assert made.tokens_shown[3:] == ["", "token-2"]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_refused_token_is_renewed_once_and_the_call_repeated_once(code: int) -> None:
    made = stage([lent("token-1"), refusal(code), lent("token-2"), TAKEN, TAKEN])
    assert isinstance(await post(made), Granted)
    assert made.tokens_shown == ["", "token-1", "", "token-2"]
    assert isinstance(await post(made), Granted)
    assert made.tokens_shown[4:] == ["token-2"]


async def test_a_second_refusal_ends_it_and_leaves_the_address_alone() -> None:
    made = stage([lent("token-1"), refusal(40001), lent("token-2"), refusal(40001)], otherwise=TAKEN)
    assert await post(made) == NotTaken(why="token_refused_twice", after_s=60.0)
    calls = len(made.calls.made)
    assert await post(made) == NotTaken(why="token_refused_twice", after_s=60.0)
    assert len(made.calls.made) == calls == 4
    made.clock.advance(60)
    assert isinstance(await post(made), Granted)


@pytest.mark.parametrize(
    ("said", "why", "pause_s"),
    [
        (refusal(-1), "platform_busy", 5.0),
        (refusal(45011), "too_frequent", 60.0),
        (refusal(45009), "quota_used_up", 600.0),
        (HttpAnswer(status=503), "platform_busy", 30.0),
        (HttpAnswer(status=429), "platform_busy", 30.0),
    ],
)
async def test_a_pause_is_kept_at_the_address_that_asked_for_it(
    said: HttpAnswer, why: str, pause_s: float
) -> None:
    made = stage([lent(), said], otherwise=TAKEN)
    assert await post(made) == NotTaken(why=why, after_s=pause_s)
    made.clock.advance(pause_s - 1)
    assert await post(made) == NotTaken(why=why, after_s=1.0)
    assert made.paths == ["stable_token", "send"]
    assert isinstance(await made.platform.post("/cgi-bin/menu/create", {}, within_s=1.0), Granted)
    made.clock.advance(1)
    assert isinstance(await post(made), Granted)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (NotCalled(why="connection"), NotTaken(why="not_connected", after_s=5.0)),
        (Unanswered(why="deadline"), Unclear(why="no_answer")),
        (HttpAnswer(status=500, body=b"oops"), Unclear(why="unexpected_status")),
        (HttpAnswer(status=302), NotTaken(why="setup_wrong", after_s=60.0)),
        (HttpAnswer(status=404), NotTaken(why="setup_wrong", after_s=60.0)),
        (HttpAnswer(status=204), Unclear(why="unexpected_status")),
        (HttpAnswer(status=200, body=b"<html>"), Unclear(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b"[" * 60_000), Unclear(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b"[0]"), Unclear(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b'{"errcode": "0"}'), Unclear(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b'{"errcode": true}'), Unclear(why="unreadable_answer")),
        (refusal(45015), Refused(code=45015)),
    ],
)
async def test_what_was_not_received_is_told_from_what_nobody_knows(
    said: HttpAnswer | NotCalled | Unanswered, meant: object
) -> None:
    made = stage([lent(), said])
    assert read_answer(said) == meant
    assert await post(made) == meant
    assert made.paths == ["stable_token", "send"]  # nothing is repeated


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (refusal(40125), "setup_wrong"),  # wrong secret
        (refusal(40164), "setup_wrong"),  # address not on the list
        (refusal(40001), "setup_wrong"),
        (refusal(-1), "platform_busy"),
        (NotCalled(why="connection"), "not_connected"),
        (Unanswered(why="deadline"), "no_answer"),
        (HttpAnswer(status=500), "unexpected_status"),
        (answer(access_token="", expires_in=7200), "unreadable_answer"),
        (answer(access_token="a b", expires_in=7200), "unreadable_answer"),
        (answer(access_token="token", expires_in=0), "unreadable_answer"),
        (answer(access_token="token", expires_in="7200"), "unreadable_answer"),
        (answer(access_token="token", expires_in=10**12), "unreadable_answer"),
        (answer(expires_in=7200), "unreadable_answer"),
    ],
)
async def test_without_a_token_nothing_is_sent(said: HttpAnswer | NotCalled | Unanswered, why: str) -> None:
    made = stage([said])
    outcome = await post(made)
    assert isinstance(outcome, NotTaken)
    assert outcome.why == why
    assert made.paths == ["stable_token"]


async def test_a_wrong_secret_is_not_tried_again_at_once() -> None:
    made = stage([refusal(40125), lent(), TAKEN])
    assert await post(made) == NotTaken(why="setup_wrong", after_s=60.0)
    assert await post(made) == NotTaken(why="setup_wrong", after_s=60.0)
    assert made.paths == ["stable_token"]
    made.clock.advance(60)
    assert isinstance(await post(made), Granted)


async def test_two_processes_share_a_token_through_the_cache() -> None:
    first = stage([lent("token-1"), TAKEN])
    await post(first)
    second = stage([TAKEN], cache=first.cache, clock=first.clock)
    assert isinstance(await post(second), Granted)
    assert second.tokens_shown == ["token-1"]


class WatchedCache(MemoryCache):
    """Tells when somebody found a claim taken."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.turned_away = asyncio.Event()

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        taken = await super().claim(key, ttl_s=ttl_s)
        if not taken:
            self.turned_away.set()
        return taken


async def test_a_refused_token_that_another_process_has_renewed_costs_no_request() -> None:
    made = stage()
    await made.cache.put("wechat/x/access-token", b"token-2", ttl_s=6900)
    shared = SharedCredential("wechat/x/access-token", cache=made.cache, clock=made.clock, fetch=unasked)
    assert await shared.get(within_s=1.0, refused="token-1") == "token-2"


async def test_of_two_processes_one_renews_and_the_other_waits_for_it() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def fetch() -> Credential | NotTaken:
        asked.set()
        await go_on.wait()
        return Credential(secret="token-2", expires_in_s=7200)

    clock = FakeClock()
    cache = WatchedCache(clock)
    await cache.put("wechat/x/access-token", b"token-1", ttl_s=6900)
    here = SharedCredential("wechat/x/access-token", cache=cache, clock=clock, fetch=fetch)
    there = SharedCredential("wechat/x/access-token", cache=cache, clock=clock, fetch=unasked)
    renewing = asyncio.create_task(here.get(within_s=5.0, refused="token-1"))
    await asked.wait()
    waiting = asyncio.create_task(there.get(within_s=5.0, refused="token-1"))
    await cache.turned_away.wait()
    go_on.set()
    assert list(await asyncio.gather(renewing, waiting)) == ["token-2", "token-2"]


async def test_a_process_takes_over_from_one_that_could_not_renew() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def fail() -> Credential | NotTaken:
        asked.set()
        await go_on.wait()
        return NotTaken(why="not_connected", after_s=5.0)

    async def fetch() -> Credential | NotTaken:
        return Credential(secret="token-2", expires_in_s=7200)

    clock = FakeClock()
    cache = WatchedCache(clock)
    here = SharedCredential("wechat/x/access-token", cache=cache, clock=clock, fetch=fail)
    there = SharedCredential("wechat/x/access-token", cache=cache, clock=clock, fetch=fetch)
    failing = asyncio.create_task(here.get(within_s=5.0))
    await asked.wait()
    waiting = asyncio.create_task(there.get(within_s=5.0))
    await cache.turned_away.wait()
    go_on.set()
    assert await failing == NotTaken(why="not_connected", after_s=5.0)
    assert await waiting == "token-2"


async def unasked() -> Credential | NotTaken:
    raise AssertionError("asked for a credential that is there")


class Absent:
    """A cache that is down: it knows nothing and every claim succeeds."""

    async def find(self, key: str) -> bytes | None:
        return None

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        return

    async def drop(self, key: str) -> None:
        return

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        return True


async def test_while_the_cache_is_down_the_process_keeps_its_own() -> None:
    asked = 0

    async def fetch() -> Credential | NotTaken:
        nonlocal asked
        asked += 1
        return Credential(secret=f"token-{asked}", expires_in_s=7200)

    clock = FakeClock()
    shared = SharedCredential("wechat/x/access-token", cache=Absent(), clock=clock, fetch=fetch)
    assert [await shared.get(within_s=1.0) for _ in range(3)] == ["token-1"] * 3
    assert await shared.get(within_s=1.0, refused="token-1") == "token-2"
    clock.advance(6900)
    assert await shared.get(within_s=1.0) == "token-3"


async def test_a_renewal_outlives_whoever_wanted_it() -> None:
    asked = 0
    go_on = asyncio.Event()

    async def fetch() -> Credential | NotTaken:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return Credential(secret="token-1", expires_in_s=7200)

    made = stage()
    shared = SharedCredential("wechat/x/access-token", cache=made.cache, clock=made.clock, fetch=fetch)
    hurried = await shared.get(within_s=0.0)
    assert isinstance(hurried, NotTaken)
    go_on.set()
    assert await shared.get(within_s=1.0) == "token-1"
    assert asked == 1


async def test_closing_ends_a_renewal_and_gives_its_lease_back() -> None:
    async def fetch() -> Credential | NotTaken:
        await asyncio.Event().wait()
        raise AssertionError

    made = stage()
    shared = SharedCredential("wechat/x/access-token", cache=made.cache, clock=made.clock, fetch=fetch)
    assert isinstance(await shared.get(within_s=0.01), NotTaken)
    assert not await made.cache.claim("wechat/x/access-token/renewal", ttl_s=1.0)
    await shared.close()
    assert await made.cache.claim("wechat/x/access-token/renewal", ttl_s=1.0)


# -- sign-in and the JS-SDK's ticket --------------------------------------------------------------------------


async def test_a_sign_in_code_gives_an_openid_and_nothing_else() -> None:
    made = stage([answer(openid=OPENID, session_key="c2VjcmV0", unionid="u")])
    assert await made.platform.open_session("0f3&x=1") == OPENID
    (call,) = made.calls.made
    assert (call.method, path_of(call)) == ("GET", "/relay/sns/jscode2session")
    assert query_of(call) == {
        "appid": APP_ID,
        "secret": SECRET,
        "js_code": "0f3&x=1",
        "grant_type": "authorization_code",
    }
    assert made.calls.deadlines_s == [ERRAND_WITHIN_S]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (40029, "code_invalid"),
        (40163, "code_used_before"),
        (41008, "code_missing"),
        (40226, "caller_blocked"),
    ],
)
async def test_a_wrong_sign_in_code_is_refused_for_good(code: int, why: str) -> None:
    made = stage([refusal(code)])
    assert await made.platform.open_session("0f3") == ErrandFailed(why=why, refused=True)


@pytest.mark.parametrize("js_code", ["", " ", "code\n", "码", "x" * 129])
async def test_what_cannot_be_a_sign_in_code_costs_no_call(js_code: str) -> None:
    made = stage()
    assert await made.platform.open_session(js_code) == ErrandFailed(why="code_invalid", refused=True)
    assert made.calls.made == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (refusal(-1), "platform_busy"),
        (refusal(45011), "too_frequent"),
        (refusal(40013), "setup_wrong"),
        (NotCalled(why="connection"), "not_connected"),
        (Unanswered(why="deadline"), "no_answer"),
        (answer(errcode=0), "unreadable_answer"),
        (answer(openid="o/../x"), "unreadable_answer"),
        (answer(openid=7), "unreadable_answer"),
    ],
)
async def test_a_sign_in_that_failed_may_be_tried_again(
    said: HttpAnswer | NotCalled | Unanswered, why: str
) -> None:
    made = stage([said])
    assert await made.platform.open_session("0f3") == ErrandFailed(why=why)


async def test_one_person_who_signs_in_too_often_keeps_others_out_for_seconds_only() -> None:
    made = stage([refusal(45011)], otherwise=answer(openid=OPENID))
    assert await made.platform.open_session("one") == ErrandFailed(why="too_frequent")
    assert await made.platform.open_session("two") == ErrandFailed(why="too_frequent")
    assert len(made.calls.made) == 1
    made.clock.advance(5)
    assert await made.platform.open_session("two") == OPENID


async def test_a_ticket_is_kept_like_a_token() -> None:
    made = stage([lent(), answer(errcode=0, ticket="ticket-1", expires_in=7200)])
    assert await made.platform.jsapi_ticket() == "ticket-1"
    assert await made.platform.jsapi_ticket() == "ticket-1"
    assert made.paths == ["stable_token", "getticket"]
    assert query_of(made.calls.made[1]) == {"access_token": "token-1", "type": "jsapi"}
    assert made.calls.made[1].method == "GET"


async def test_a_ticket_that_is_not_given_says_why() -> None:
    assert await stage([lent(), refusal(48001)]).platform.jsapi_ticket() == ErrandFailed(why="setup_wrong")
    assert await stage([refusal(-1)]).platform.jsapi_ticket() == ErrandFailed(why="platform_busy")


def test_no_value_shows_what_it_holds() -> None:
    credential = Credential(secret=SECRET, expires_in_s=7200)
    granted = Granted(document={"openid": OPENID, "session_key": SECRET})
    call = HttpCall(method="GET", url=f"{API}/sns/jscode2session?secret={SECRET}", body=OPENID.encode())
    shown = f"{credential!r} {granted!r} {call!r} {stage().platform!r}"
    assert SECRET not in shown
    assert OPENID not in shown
