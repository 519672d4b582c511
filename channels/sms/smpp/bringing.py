"""A deliver_sm becomes a request, the request is carried, and its response decides how the centre is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiosmpplib.state import SmppCommandStatus

from app.core.model.value import value
from channels.abilities import Carry
from channels.base import Clock, InboundRequest
from channels.sms.digests import text_digest
from channels.sms.smpp.alphabets import decode_text
from channels.sms.smpp.arrivals import Arrivals, message_ids
from channels.sms.smpp.parts import Assembly, Joining, Part, read_part
from channels.sms.smpp.receipts import read_receipt
from channels.sms.smpp.session import Pace
from channels.sms.smpp.wire import (
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    USER_MESSAGE_REFERENCE,
    Delivery,
)

METHOD: Final = "DELIVER"
PATH: Final = "smpp"
REPORT: Final = "report"
TEXT: Final = "text"
MEDIA: Final = "media"

_AT_ONCE: Final = 64
_MOST_TRIES: Final = 5
_RECEIPTS: Final = frozenset({0x04, 0x20})  # a receipt, and one on the way to it

TAKEN: Final = SmppCommandStatus.ESME_ROK
AGAIN: Final = SmppCommandStatus.ESME_RX_T_APPN
NEVER: Final = SmppCommandStatus.ESME_RX_R_APPN


@value
class Acknowledgement:
    """How a deliver_sm is acknowledged. ``content`` names the message whose acknowledgement this is, "" for none."""

    status: SmppCommandStatus
    content: str = ""


class Bringing:
    """Brings what a centre delivers to ``carry``, up to 64 at once so that their records share commits."""

    def __init__(
        self,
        clock: Clock,
        *,
        token: str,
        pace: Pace,
        arrivals: Arrivals,
        settling_s: Callable[[str], float],
    ) -> None:
        self.carry: Carry | None = None
        self._clock = clock
        self._token = token
        self._pace = pace
        self._arrivals = arrivals
        self._settling_s = settling_s
        self._assembly = Assembly(clock, missing_s=pace.missing_s)
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def bring(self, delivery: Delivery) -> Acknowledgement:
        """Carry a delivery; return once it is recorded, or known not to be."""
        if delivery.message_type in _RECEIPTS:
            return await self._bring_receipt(delivery)
        if delivery.message_type:
            return Acknowledgement(
                status=TAKEN
            )  # acknowledgements by the shopper's telephone say nothing to us
        part, octets = read_part(delivery)
        if part is not None:
            return await self._bring_part(part)
        references = (
            delivery.tlvs.get(tag, b"").hex() for tag in (USER_MESSAGE_REFERENCE, RECEIPTED_MESSAGE_ID)
        )
        return await self._bring_text(
            delivery, decode_text(delivery.data_coding, octets), octets, " ".join(references)
        )

    async def bring_overdue(self) -> None:
        """Carry texts whose missing parts will not come any more."""
        for joining in self._assembly.take_overdue():
            joining.tries += 1
            if joining.tries > _MOST_TRIES:
                self._assembly.give_up(joining)
            else:
                await self._bring_joined(joining)

    async def _bring_receipt(self, delivery: Delivery) -> Acknowledgement:
        headers, text = _report_headers(delivery), _plain(delivery)
        receipt = read_receipt(text, message_id=headers["message-id"], state=None)
        if (pause_s := self._settling_s(receipt[0] if receipt else headers["message-id"])) > 0:
            await asyncio.sleep(pause_s)
        return Acknowledgement(status=await self._carry(headers, text))

    async def _bring_part(self, part: Part) -> Acknowledgement:
        joining = self._assembly.add(part)
        if joining is None:
            return Acknowledgement(status=AGAIN)
        if joining.is_whole and not joining.is_under_way:
            return await self._bring_joined(joining)
        # The first parts wait a moment for the last one and share its result. A centre that sends one message at a
        # time would wait for ever, so after that moment a part is acknowledged out of memory.
        patience_s = self._pace.response_s if joining.is_under_way else self._pace.hold_s
        if joining.carried is None:
            joining.carried = asyncio.get_running_loop().create_future()
        carried = joining.carried
        await asyncio.wait({carried}, timeout=patience_s)
        if carried.done():
            return Acknowledgement(status=SmppCommandStatus(carried.result()))
        return Acknowledgement(status=AGAIN if joining.is_under_way else TAKEN)

    async def _bring_joined(self, joining: Joining) -> Acknowledgement:
        joining.is_under_way = True
        contents = joining.contents
        octets = b"".join(octets for _, octets in sorted(contents))
        try:
            answer = await self._bring_text(joining.delivery, joining.text(), octets, joining.key.reference)
        finally:
            joining.is_under_way = False
        if answer.status is not AGAIN:
            self._assembly.close(joining)
        if joining.carried is not None:
            joining.carried.set_result(answer.status)
            joining.carried = None
        return answer

    async def _bring_text(
        self, delivery: Delivery, text: str | None, octets: bytes, references: str
    ) -> Acknowledgement:
        sender = _number(delivery.source, delivery.source_ton)
        ours = _number(delivery.destination, delivery.destination_ton)
        content = text_digest(sender, ours, references, octets.hex())
        began_s = self._clock.monotonic_s()
        message_id, alias_id = message_ids(content, self._arrivals.meet(content))
        headers = {
            "kind": TEXT if text is not None else MEDIA,
            "from": sender,
            "to": ours,
            "message-id": message_id,
            "alias-id": alias_id,
        }
        status = await self._carry(headers, text or "")
        if status is TAKEN:
            self._arrivals.acknowledge(content, took_s=self._clock.monotonic_s() - began_s)
        return Acknowledgement(status=status, content=content if status is TAKEN else "")

    async def _carry(self, headers: Mapping[str, str], text: str) -> SmppCommandStatus:
        if self.carry is None:
            return AGAIN
        async with self._room:
            request = InboundRequest(
                method=METHOD,
                route=PATH,
                path=PATH,
                headers={**headers, "link": self._token},
                body=text.encode("utf-8", "replace"),
                received_at=self._clock.now(),
            )
            try:
                response = await self.carry(request)
            except Exception:  # noqa: BLE001 - the centre must get an answer: not recorded, bring it again
                return AGAIN
        if response.status == 200:
            return TAKEN
        return NEVER if response.status in (400, 413) else AGAIN


def _number(address: str, ton: int) -> str:
    """Return an address in the spelling people use: international numbers (type 1) with a plus sign."""
    return f"+{address}" if ton == 1 and address.isdigit() else address


def _plain(delivery: Delivery) -> str:
    """Receipts are plain characters, in whatever alphabet the centre writes them under data_coding 0."""
    return decode_text(delivery.data_coding or 1, delivery.user_data) or ""


def _report_headers(delivery: Delivery) -> dict[str, str]:
    state = delivery.tlvs.get(MESSAGE_STATE, b"")
    return {
        "kind": REPORT,
        "message-id": delivery.find_string(RECEIPTED_MESSAGE_ID),
        "message-state": str(state[0]) if state else "",
    }
