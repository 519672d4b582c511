"""The five seconds of the platform: kept over HTTP while the record cannot be written, and across a kill."""

from __future__ import annotations

import asyncio
import time

from channels.wechat.simulate import text_message
from tests.acceptance.wechat.chat_site import OFFICIAL, PROGRAM, Folder, served
from tests.fakes.wechat_platform import CUSTOMER_SERVICE, STABLE_TOKEN, Fault, WechatPlatform

OPENID = "oSlowRecordShopper-0000000001"
_PLATFORM_WAITS_S = 5.0


async def test_three_deliveries_before_a_record_that_is_locked_get_one_answer(
    folder: Folder, platform: WechatPlatform
) -> None:
    """The lock outlasts two deliveries of four seconds each; the third finds the answer on its way."""
    code, before = folder.codes.pop(), folder.recorded()
    message = text_message(f"请查 {code}", openid=OPENID, message_id=71, created_at=int(time.time()))
    async with served(folder, platform) as site:
        platform.hear_from(OPENID)
        with folder.nobody_writing():
            deliveries = [await site.bring(OFFICIAL, site.webhook(OFFICIAL, message)) for _ in range(2)]
        deliveries.append(await site.bring(OFFICIAL, site.webhook(OFFICIAL, message)))
        await site.until_sent(1)
        deliveries.append(await site.bring(OFFICIAL, site.webhook(OFFICIAL, message)))
    assert sum(delivery.lasted_s for delivery in deliveries[:2]) > _PLATFORM_WAITS_S, "the record was slow"
    for delivery in deliveries:
        assert delivery.took_s < _PLATFORM_WAITS_S
        assert delivery.answer is None or delivery.answer.kind == "", "said in a response, and pushed as well"
    assert [delivery.status for delivery in deliveries[2:]] == [200, 200]
    (pushed,) = platform.sent
    assert pushed.openid == OPENID
    assert pushed.path == CUSTOMER_SERVICE
    assert "首次" in pushed.text
    assert "青禾" in pushed.text
    ordinals = folder.read("SELECT ordinal FROM verification ORDER BY id LIMIT -1 OFFSET ?", before)
    assert ordinals == [(1,)]


async def test_an_acknowledged_message_is_answered_after_a_kill_and_once(
    folder: Folder, platform: WechatPlatform
) -> None:
    code, before = folder.codes.pop(), folder.recorded()
    platform.inject(Fault.HANG, path=STABLE_TOKEN)  # so that the kill falls between the promise and the push
    async with served(folder, platform) as site:
        acknowledged = await site.text(PROGRAM, f"请查 {code}", openid=OPENID, message_id=72)
        async with asyncio.timeout(60):
            await platform.until_called(STABLE_TOKEN)
        site.kill()
    assert acknowledged.status == 200
    assert platform.sent == []
    platform.release()
    folder.end_leases()
    async with served(folder, platform) as site:
        await site.until_sent(1)
        again = await site.text(PROGRAM, f"请查 {code}", openid=OPENID, message_id=72)
        assert (again.status, again.answer and again.answer.kind) == (200, "")
    (pushed,) = platform.sent
    assert (pushed.app_id, pushed.openid) == (PROGRAM.app_id, OPENID)
    assert "首次" in pushed.text
    assert folder.recorded() == before + 1
    assert folder.read("SELECT state, count(*) FROM reply WHERE sender = ? GROUP BY state", PROGRAM.name) == [
        ("sent", 1)
    ]
