"""The whole way over SMPP: a text from a centre that is not ours, its record, and the reply on the same bind."""

from __future__ import annotations

import asyncio
from functools import partial

from app.adapters.clock import SystemClock
from channels.sms.adapter import SmsAdapter
from channels.sms.smpp.dialect import SmppDialect
from tests.fakes.sample_service import start_sample_service
from tests.integration.sms.centres import DEADLINE_S, QUICK, NodeCentre, options


async def test_a_code_is_verified_once_and_its_reply_is_pushed_by_the_same_bind() -> None:
    centre = await NodeCentre.start()
    service = await start_sample_service()
    dialect = SmppDialect(options(centre.port), clock=SystemClock(), pace=QUICK)
    adapter = SmsAdapter(dialect, service.context)
    courier = asyncio.create_task(service.courier(adapter.senders()).run())
    listener = asyncio.create_task(dialect.link.listen(partial(service.pipeline.carry, adapter)))
    try:
        await centre.see("bound")
        text = {"message": f"真的吗 {service.code()}", "data_coding": 8}
        await centre.order("deliver", name="1", **text)
        await centre.order("deliver", name="2", **text)  # the centre did not wait for the acknowledgement
        await centre.see("answered", name="1", status=0)
        await centre.see("answered", name="2", status=0)
        sent = await centre.see("submit")
        assert [fact.verification.ordinal for fact in service.store.facts] == [1]
        await centre.order(
            "deliver", name="r", octets="", esm_class=4, receipted_message_id=sent["id"], message_state=2
        )
        await centre.see("answered", name="r", status=0)
        await centre.see_acknowledgements_settled()
        await centre.order("deliver", name="3", **text)
        await centre.see("answered", name="3", status=0)
        again = await centre.see("submit")
        assert all("海岸牧场" in reply["text"] and reply["udh"] == [] for reply in (sent, again))
        assert not centre.has_seen("submit")  # one reply a query
        assert ("reply_delivered", "sms") in service.journal.counts
        assert [fact.verification.ordinal for fact in service.store.facts] == [1, 2]
    finally:
        for task in (listener, courier):
            task.cancel()
        await asyncio.wait({listener, courier}, timeout=DEADLINE_S)
        await centre.stop()
        await service.engine.close()
