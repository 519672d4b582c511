"""Pushing to WeChat's API over the real HTTP client, against a loopback server that plays it, on good days and bad."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from app.adapters.cache.memory import MemoryCache
from app.adapters.http import AiohttpCalls
from app.bootstrap.wechat_menu import put_menu
from app.core.errors import NotFound, RuleBroken, StoreUnavailable
from app.core.model.reply import Accepted, ReplyAddress, ReplyId
from app.settings import Settings, load_settings
from channels.abilities import Deferred, ErrandFailed, OutgoingText, Rejected, Unknown
from channels.wechat.platform.client import Platform
from channels.wechat.platform.menu import load_menu
from channels.wechat.platform.senders import make_senders
from channels.wechat.settings import Account, AccountKind
from tests.fakes.clock import FakeClock
from tests.fakes.wechat_platform import (
    CUSTOMER_SERVICE,
    MENU,
    MOST_UNANSWERED,
    SESSION,
    STABLE_TOKEN,
    SUBSCRIBE,
    TICKET,
    WINDOW_S,
    Answered,
    Fault,
    WechatPlatform,
)

OPENID = "oABCdefGHI_jkl-0123456789xyz"
TEMPLATE = "template-of-recalls"
NOTICE = {"page": "pages/check/check", "data": {"thing1": {"value": "清茗龙井"}}}


class Machine:
    """One process of ours: its client, and the senders over it."""

    def __init__(
        self,
        wechat: WechatPlatform,
        calls: AiohttpCalls,
        clock: FakeClock,
        cache: MemoryCache,
        **more: object,
    ) -> None:
        fields: dict[str, object] = {
            "name": "mini-program",
            "kind": AccountKind.MINI_PROGRAM,
            "tokens": ("token-of-the-console",),
            "app_id": wechat.account.app_id,
            "app_secret": wechat.account.app_secret,
            "recall_template": TEMPLATE,
            **more,
        }
        account = Account(**fields)  # type: ignore[arg-type]
        self.platform = Platform(account, api_base=wechat.url, calls=calls, cache=cache, clock=clock)
        self.messages, self.recalls = make_senders(account, self.platform)

    async def push(self, text: str = "与记录相符，首次查验。", to: str = OPENID) -> object:
        return await self.messages.send(outgoing("mini-program", text, to))

    async def recall(self) -> object:
        return await self.recalls.send(outgoing("mini-program/recall", json.dumps(NOTICE), OPENID))


def outgoing(sender: str, text: str, to: str) -> OutgoingText:
    return OutgoingText(reply_id=ReplyId(1), address=ReplyAddress(sender=sender, recipient=to), text=text)


@pytest.fixture
async def wechat() -> AsyncIterator[WechatPlatform]:
    async with WechatPlatform().running() as server:
        server.hear_from(OPENID)
        yield server


@pytest.fixture
async def calls() -> AsyncIterator[AiohttpCalls]:
    made = AiohttpCalls()
    yield made
    await made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def machine(wechat: WechatPlatform, calls: AiohttpCalls, clock: FakeClock) -> AsyncIterator[Machine]:
    made = Machine(wechat, calls, clock, MemoryCache(clock))
    yield made
    await made.platform.close()


async def test_a_text_arrives_whole(wechat: WechatPlatform, machine: Machine) -> None:
    text = '与记录相符\n“引号” \\ ]]> 😀 "double"'
    assert await machine.push(text) == Accepted()
    (sent,) = wechat.sent
    assert (sent.app_id, sent.openid, sent.text) == (wechat.account.app_id, OPENID, text)


async def test_fifty_pushes_without_a_token_ask_for_one(wechat: WechatPlatform, machine: Machine) -> None:
    people = [f"o{number:027d}" for number in range(50)]
    for openid in people:
        wechat.hear_from(openid)
    results = await asyncio.gather(*(machine.push(to=openid) for openid in people))
    assert results == [Accepted()] * 50
    assert wechat.calls.count(STABLE_TOKEN) == 1
    assert sorted(sent.openid for sent in wechat.sent) == people


@pytest.mark.parametrize("how", ["expired", "forgotten"])
async def test_fifty_pushes_with_a_dead_token_renew_it_once(
    wechat: WechatPlatform, machine: Machine, how: str
) -> None:
    people = [f"o{number:027d}" for number in range(50)]
    assert await machine.push() == Accepted()
    if how == "expired":
        wechat.advance(7200)
    else:
        wechat.forget_tokens()
    for openid in people:
        wechat.hear_from(openid)
    results = await asyncio.gather(*(machine.push(to=openid) for openid in people))
    assert results == [Accepted()] * 50
    assert wechat.calls.count(STABLE_TOKEN) == 2
    assert len(wechat.sent) == 51


async def test_two_machines_on_one_cache_renew_once(
    wechat: WechatPlatform, calls: AiohttpCalls, clock: FakeClock
) -> None:
    cache = MemoryCache(clock)
    machines = [Machine(wechat, calls, clock, cache) for _ in range(2)]
    first = await asyncio.gather(*(machine.push() for machine in machines))
    assert first == [Accepted()] * 2
    assert wechat.calls.count(STABLE_TOKEN) == 1
    wechat.forget_tokens()
    again = await asyncio.gather(*(machine.push() for machine in machines))
    assert again == [Accepted()] * 2
    assert wechat.calls.count(STABLE_TOKEN) == 2


async def test_a_token_that_is_refused_again_is_not_renewed_for_ever(
    wechat: WechatPlatform, machine: Machine
) -> None:
    wechat.inject(Answered(errcode=40001), path=CUSTOMER_SERVICE, times=10)
    assert await machine.push() == Deferred(why="token_refused_twice", after_s=60.0)
    assert await machine.push() == Deferred(why="token_refused_twice", after_s=60.0)
    assert wechat.calls == [STABLE_TOKEN, CUSTOMER_SERVICE, STABLE_TOKEN, CUSTOMER_SERVICE]


async def test_one_refusal_of_a_token_is_got_over(wechat: WechatPlatform, machine: Machine) -> None:
    wechat.inject(Answered(errcode=42001), path=CUSTOMER_SERVICE)
    assert await machine.push() == Accepted()
    assert len(wechat.sent) == 1


async def test_the_window_and_its_five_messages_are_the_platforms(
    wechat: WechatPlatform, machine: Machine
) -> None:
    for _ in range(MOST_UNANSWERED):
        assert await machine.push() == Accepted()
    assert await machine.push() == Rejected(why="too_many_unanswered")
    wechat.hear_from(OPENID)
    assert await machine.push() == Accepted()
    wechat.advance(WINDOW_S)
    assert await machine.push() == Rejected(why="past_48_hours")
    assert await machine.push(to="oNobody") == Rejected(why="bad_recipient")


async def test_a_consent_is_one_notice(wechat: WechatPlatform, machine: Machine) -> None:
    wechat.account.consent(OPENID, TEMPLATE)
    assert await machine.recall() == Accepted(provider_id="1")
    assert wechat.sent[0].document == {"touser": OPENID, "template_id": TEMPLATE, **NOTICE}
    assert await machine.recall() == Rejected(why="not_subscribed")


async def test_a_quota_is_left_alone_until_the_pause_is_over(
    wechat: WechatPlatform, machine: Machine, clock: FakeClock
) -> None:
    wechat.quotas[CUSTOMER_SERVICE] = 1
    assert await machine.push() == Accepted()
    assert await machine.push() == Deferred(why="quota_used_up", after_s=600.0)
    called = len(wechat.calls)
    results = await asyncio.gather(*(machine.push() for _ in range(20)))
    assert results == [Deferred(why="quota_used_up", after_s=600.0)] * 20
    assert len(wechat.calls) == called
    wechat.quotas.clear()
    clock.advance(600)
    assert await machine.push() == Accepted()


@pytest.mark.parametrize(
    ("fault", "meant", "taken"),
    [
        (Answered(errcode=-1), Deferred(why="platform_busy", after_s=5.0), 0),
        (Answered(status=500), Unknown(why="unexpected_status"), 0),
        (Answered(status=502), Unknown(why="unexpected_status"), 0),
        (Answered(status=503), Deferred(why="platform_busy", after_s=30.0), 0),
        (Fault.CLOSE_BEFORE, Unknown(why="no_answer"), 0),
        (Fault.CLOSE_AFTER, Unknown(why="no_answer"), 1),
        (Fault.CUT, Unknown(why="no_answer"), 1),
        (Fault.NONSENSE, Unknown(why="unreadable_answer"), 1),
    ],
)
async def test_faults_are_told_apart_and_nothing_is_sent_twice(
    wechat: WechatPlatform, machine: Machine, fault: Fault | Answered, meant: object, taken: int
) -> None:
    wechat.inject(fault, path=CUSTOMER_SERVICE)
    assert await machine.push() == meant
    assert wechat.calls.count(CUSTOMER_SERVICE) == 1
    assert len(wechat.sent) == taken


async def test_a_platform_that_does_not_answer_is_not_waited_for(
    wechat: WechatPlatform, machine: Machine
) -> None:
    wechat.inject(Fault.HANG, path=SESSION)
    wechat.account.sign_in(OPENID, "code-1")
    async with asyncio.timeout(30):
        assert await machine.platform.open_session("code-1") == ErrandFailed(why="no_answer")


async def test_nobody_there_is_certainly_not_received(
    wechat: WechatPlatform, calls: AiohttpCalls, clock: FakeClock, unused_tcp_port: int
) -> None:
    wechat.url = f"http://127.0.0.1:{unused_tcp_port}"
    machine = Machine(wechat, calls, clock, MemoryCache(clock))
    assert await machine.push() == Deferred(why="not_connected", after_s=5.0)
    assert await machine.platform.open_session("code-1") == ErrandFailed(why="not_connected")


async def test_a_wrong_secret_is_the_operators_to_mend(
    wechat: WechatPlatform, calls: AiohttpCalls, clock: FakeClock
) -> None:
    machine = Machine(wechat, calls, clock, MemoryCache(clock), app_secret="of-another")
    assert await machine.push() == Deferred(why="setup_wrong", after_s=60.0)
    assert await machine.platform.open_session("code-1") == ErrandFailed(why="setup_wrong")


async def test_a_sign_in_code_works_once(wechat: WechatPlatform, machine: Machine) -> None:
    wechat.account.sign_in(OPENID, "code-1")
    assert await machine.platform.open_session("code-1") == OPENID
    used = ErrandFailed(why="code_used_before", refused=True)
    assert await machine.platform.open_session("code-1") == used
    unknown = ErrandFailed(why="code_invalid", refused=True)
    assert await machine.platform.open_session("code-2") == unknown


async def test_a_ticket_is_asked_for_once(wechat: WechatPlatform, machine: Machine) -> None:
    tickets = await asyncio.gather(*(machine.platform.jsapi_ticket() for _ in range(10)))
    assert len(set(tickets)) == 1
    assert (wechat.calls.count(STABLE_TOKEN), wechat.calls.count(TICKET)) == (1, 1)


async def test_two_accounts_keep_their_own_tokens(
    wechat: WechatPlatform, machine: Machine, calls: AiohttpCalls, clock: FakeClock
) -> None:
    other = wechat.add_account("wxfedcba9876543210", "secret-of-the-other")
    theirs = Machine(
        wechat, calls, clock, MemoryCache(clock), app_id=other.app_id, app_secret=other.app_secret
    )
    wechat.hear_from(OPENID, other.app_id)
    assert await machine.push() == await theirs.push() == Accepted()
    assert [sent.app_id for sent in wechat.sent] == [wechat.account.app_id, other.app_id]


async def test_nothing_secret_or_personal_is_logged(
    wechat: WechatPlatform, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wechat.account.sign_in(OPENID, "code-1")
    wechat.inject(Answered(errcode=40001), path=CUSTOMER_SERVICE)
    wechat.inject(Fault.CUT, path=SUBSCRIBE)
    results = [
        await machine.push(),
        await machine.recall(),
        await machine.platform.open_session("code-1"),
        await machine.push(to="oNobody"),
    ]
    told = caplog.text + repr(results[:2]) + repr(results[3])
    for secret in (OPENID, wechat.account.app_secret, wechat.account.stable_token, "code-1", "c2Vzc2lvbi1r"):
        assert secret not in told


# -- the command line's way to the menu -----------------------------------------------------------------------


def settings_for(wechat: WechatPlatform, **account: object) -> Settings:
    official = {
        "token": "token-of-the-console",
        "app_id": wechat.account.app_id,
        "app_secret": wechat.account.app_secret,
        **account,
    }
    return load_settings(flags={"wechat": {"api_base": wechat.url, "official_account": official}})


async def test_the_menu_is_put_on_the_account(wechat: WechatPlatform) -> None:
    settings = settings_for(wechat)
    assert await put_menu(settings) == "official-account"
    assert wechat.account.menu == load_menu()
    assert await put_menu(settings, "official-account") == "official-account"


async def test_a_menu_that_is_not_taken_says_what_to_do(wechat: WechatPlatform) -> None:
    with pytest.raises(NotFound, match="Those set up: official-account"):
        await put_menu(settings_for(wechat), "brand-two")
    with pytest.raises(RuleBroken, match="app_id and app_secret"):
        await put_menu(settings_for(wechat, app_secret="wrong"))
    with pytest.raises(RuleBroken, match="needs app_id"):
        await put_menu(settings_for(wechat, app_secret=""))
    wechat.inject(Answered(errcode=48001), path=MENU)
    with pytest.raises(RuleBroken, match="48001"):
        await put_menu(settings_for(wechat))
    wechat.inject(Fault.CUT, path=MENU)
    with pytest.raises(StoreUnavailable, match="no_answer"):
        await put_menu(settings_for(wechat))
    with pytest.raises(RuleBroken, match="No official account"):
        await put_menu(load_settings(flags={}))
