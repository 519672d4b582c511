"""What the service does while a call fails: each deed is tried with its first, second, third ... call failing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from app.core.errors import YanzhenError
from app.core.model.reply import Accepted, ReplyAddress
from app.core.model.verdict import Outcome
from tests.fakes.clock import FakeClock
from tests.proof.io_faults.service import ASKED_BEFORE, LABELS, Broken, Service, other_caller, question

T = TypeVar("T")
Deed = Callable[[Service], Awaitable[None]]

_ADDRESS: Final = ReplyAddress(sender="twilio", recipient="+8613800000000", ours="1069")
_TRIES: Final = 5  # more than calls that fail in a row
_HONEST: Final = (Outcome.UNAVAILABLE, Outcome.FIRST, Outcome.REPEAT, Outcome.REPEAT_OWN)


class PlainSealing:
    """Seals nothing: the same bytes every time."""

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        return about + plain

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        return sealed.removeprefix(about)


async def first(service: Service) -> None:
    """A label that nobody asked about."""
    await _ask_and_again(service, LABELS - 1, expected=1)


async def repeat(service: Service) -> None:
    """A label that was asked about and folded."""
    await _ask_and_again(service, 3, expected=2)


async def many(service: Service) -> None:
    """A batch of several labels, one of them asked about twice in it."""
    numbers = (20, 21, 22, 20, 5)
    asked = [
        question(number, caller=place, message=f"together {place}") for place, number in enumerate(numbers)
    ]
    verdicts = await asyncio.gather(*map(service.ask, asked))
    if any(verdict.outcome not in _HONEST for verdict in verdicts):
        raise Broken(f"answered {[verdict.outcome for verdict in verdicts]}")
    service.journal.failures.clear()
    for request in asked:
        await service.recover(request)


async def retry(service: Service) -> None:
    """A message that was answered before."""
    request = question(2, caller=90, message="before 2")
    verdict = await service.ask(request)
    if verdict.outcome not in _HONEST:
        raise Broken(f"a retry was answered {verdict.outcome}")
    if (again := await service.recover(request)).ordinal != 1:
        raise Broken(f"a retry was counted: {again}")


async def unknown(service: Service) -> None:
    """A code in no batch: looked for among imported codes, recorded without an ordinal."""
    request = question(LABELS + 1000, message="unknown")
    verdict = await service.ask(request)
    if verdict.outcome not in (Outcome.UNAVAILABLE, Outcome.NOT_FOUND):
        raise Broken(f"answered {verdict.outcome}")
    if (again := await service.recover(request)).outcome is not Outcome.NOT_FOUND:
        raise Broken(f"answered {again.outcome}")


async def fold(service: Service) -> None:
    """The label state moving into its rows, as when nothing is asked."""
    await service.recover(question(30, message="to be folded"))
    for _ in range(3):
        try:
            await service.storage._writer.submit(lambda _db, histories: histories.fold(1))
        except YanzhenError:
            continue
    await _ask_and_again(service, 30, expected=2)


async def checkpoint(service: Service) -> None:
    """The log copied back."""
    await service.recover(question(31, message="to be copied"))
    await asyncio.to_thread(service.storage._checkpointer.empty_log)
    await _ask_and_again(service, 31, expected=2)


async def reply(service: Service) -> None:
    """An answer owed, taken and settled."""
    outbox, now = service.storage.outbox(PlainSealing()), FakeClock().now()
    key = b"owed".ljust(16, b".")
    try:
        await outbox.owe(key, _ADDRESS, now=now, text="正品。")
        for one in await outbox.take(now, limit=5):
            await outbox.settle(one.id, Accepted(provider_id="SM1"), now=now)
    except YanzhenError:
        pass
    await _ask_and_again(service, 32, expected=1)
    await _until_it_works(lambda: outbox.owe(key, _ADDRESS, now=now, text="正品。"))  # twice is once
    if len(await _until_it_works(lambda: outbox.take(now, limit=5))) > 1:
        raise Broken("one reply is owed twice")


async def page(service: Service) -> None:
    """A result page read."""
    verdict = await service.recover(question(33, caller=7, message="page"))
    assert verdict.verification_id is not None
    number = verdict.verification_id
    record = await _until_it_works(lambda: service.engine.find_record(number, b"caller-number-07"))
    if record is None or record.verification.ordinal != 1:
        raise Broken(f"the page shows {record}")


async def restart(service: Service) -> None:
    """The service closed and opened again; where opening fails it says why, and the next try succeeds."""
    await service.recover(question(34, message="before the end"))
    await service.close()
    await _until_it_works(service.open)
    await _ask_and_again(service, 34, expected=2)


async def _until_it_works(work: Callable[[], Awaitable[T]]) -> T:
    """Do ``work``, again where it fails, as somebody would; each refusal says what to do."""
    for _ in range(_TRIES):
        try:
            return await work()
        except YanzhenError as error:
            if not str(error).endswith("."):
                raise Broken(f"unclear: {error}") from error
    raise Broken("it does not work again")


async def _ask_and_again(service: Service, number: int, *, expected: int) -> None:
    """Ask; the same message again once all is well; then somebody else."""
    request = question(number, caller=1, message=f"deed {number}")
    verdict = await service.ask(request)
    if verdict.outcome not in _HONEST:
        raise Broken(f"answered {verdict.outcome}")
    again = await service.recover(request)
    if again.ordinal != expected or again.outcome is Outcome.UNAVAILABLE:
        raise Broken(f"asked again: {again.outcome} {again.ordinal}, not {expected}")
    other = await service.recover(other_caller(request))
    if other.ordinal != expected + 1 or other.outcome is Outcome.FIRST:
        raise Broken(f"somebody else: {other.outcome} {other.ordinal}, not {expected + 1}")


assert ASKED_BEFORE > 5  # the labels 2, 3 and 5 above have a past
DEEDS: Final[Mapping[str, Deed]] = {
    deed.__name__: deed
    for deed in (first, repeat, many, retry, unknown, fold, checkpoint, reply, page, restart)
}
