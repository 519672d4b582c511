"""A recall is told once to everybody who asked to be told, whatever fails on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.label import LabelSummary
from app.core.model.reply import ReplyAddress
from app.core.model.verification import VerificationRequest
from channels.recalls import RecallNotices
from channels.wording.locales import LOCALES
from channels.wording.recall import MOST_CHARACTERS, RecallWords
from tests.fakes.clock import START
from tests.fakes.sample_service import SampleService, start_sample_service

ADDRESS = ReplyAddress(sender="mini-program/recall", recipient="oOpenid-of-the-one")
ONE = Caller(kind=CallerKind.WECHAT, token=b"caller-number-01")
WORDS = RecallWords.load("Asia/Shanghai")


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


class Delivered:
    """Counts the nudges."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def notices_of(service: SampleService, delivered: Delivered | None = None) -> RecallNotices:
    return RecallNotices(
        watches=service.watches,
        outbox=service.outbox,
        words=WORDS,
        journal=service.journal,
        clock=service.clock,
        deliver=delivered or Delivered(),
    )


async def look(notices: RecallNotices, *, nudges: int = 0) -> None:
    """Let it look once, and again at each nudge."""
    task = asyncio.create_task(notices.run())
    for _ in range(nudges + 1):
        for _ in range(50):
            await asyncio.sleep(0)
        notices.nudge()
    task.cancel()
    await asyncio.wait((task,))


async def watched(
    service: SampleService, caller: Caller = ONE, *, number: int = 0, locale: str = "zh-CN"
) -> None:
    """Verify a label and ask to be told of a recall."""
    request = VerificationRequest(
        code=Code.parse(service.code(number=number)),
        caller=caller,
        channel="wechat",
        account="mini-program",
        received_at=service.clock.now(),
    )
    verdict = await service.engine.verify(request)
    assert verdict.verification_id is not None
    assert await service.watches.watch(
        verdict.verification_id, caller, ADDRESS, locale=locale, now=service.clock.now()
    )


async def test_a_recall_is_told_once_and_never_twice(service: SampleService) -> None:
    delivered = Delivered()
    notices = notices_of(service, delivered)
    await watched(service)
    await look(notices)
    assert service.outbox.replies == []
    service.recall()
    await look(notices, nudges=3)
    (reply,) = service.outbox.replies
    assert reply.address == ADDRESS
    assert json.loads(reply.text) == {
        "page": "pages/check/check",
        "data": {
            "thing1": {"value": "海岸婴儿配方奶粉 800 克"},
            "time2": {"value": "2026-03-05 09:12"},
            "thing3": {"value": "请停止使用，联系品牌办理退换"},
        },
    }
    service.recall(lift=True)
    await look(notices)
    service.recall()
    await look(notices)
    assert len(service.outbox.replies) == delivered.times == 1
    assert service.journal.counts["recall_notice_owed", "mini-program/recall"] == 1


async def test_a_recall_that_was_lifted_in_time_tells_nobody(service: SampleService) -> None:
    await watched(service)
    service.recall()
    service.recall(lift=True)
    await look(notices_of(service))
    assert service.outbox.replies == []


async def test_a_crash_between_owing_and_ending_owes_nothing_twice(service: SampleService) -> None:
    await watched(service)
    service.recall()
    (notice,) = await service.watches.due()
    await service.outbox.owe(notice.key, notice.address, text="{}", now=START)
    await look(notices_of(service))
    assert len(service.outbox.replies) == 1
    assert await service.watches.due() == []
    assert service.journal.counts == {}


async def test_many_who_watch_are_all_told(service: SampleService) -> None:
    for number in range(230):
        caller = Caller(kind=CallerKind.WECHAT, token=number.to_bytes(16, "big"))
        await watched(service, caller, number=number)
    service.recall()
    delivered = Delivered()
    task = asyncio.create_task(notices_of(service, delivered).run())
    for _ in range(2000):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert len(service.outbox.replies) == 230
    assert delivered.times == 3


@pytest.mark.parametrize("broken", ["watches", "outbox"])
async def test_while_a_store_is_down_a_notice_waits(service: SampleService, broken: str) -> None:
    notices = notices_of(service)
    await watched(service)
    service.recall()
    store = service.watches if broken == "watches" else service.outbox
    store.down = True
    await look(notices, nudges=1)
    assert service.outbox.replies == []
    assert {type(error) for _, error in service.journal.failures} == {StoreUnavailable}
    store.down = False
    await look(notices)
    assert len(service.outbox.replies) == 1


# -- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "product", ["奶粉", "乳" * 20, "乳" * 21, "Extra long name of a product of the brand", "👨‍👩‍👧" * 9]
)
def test_every_field_fits_the_template(locale: str, product: str) -> None:
    fields = WORDS.fields(LabelSummary(brand="青禾", product=product), START, locale)
    assert all(0 < len(text) <= MOST_CHARACTERS for text in fields.values())
    whole = len(product) <= MOST_CHARACTERS
    assert (fields["thing1"] == product) is whole
    assert fields["thing1"].endswith("…") is not whole
    assert product.startswith(fields["thing1"].removesuffix("…"))


def test_english_speaks_of_the_english_name() -> None:
    label = LabelSummary(brand="青禾", product="奶粉", product_en="Infant formula")
    assert WORDS.fields(label, START, "en-US") == {
        "thing1": "Infant formula",
        "time2": "2026-03-05 09:12",
        "thing3": "Please stop using it",
    }
    assert WORDS.fields(label, START, "fr")["thing1"] == "奶粉"
