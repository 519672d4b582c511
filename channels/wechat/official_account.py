"""An official account: messages and events come as XML, and the answer goes back in the response."""

from __future__ import annotations

from channels.abilities import Sender
from channels.base import ChannelContext, InboundRequest, OutboundResponse
from channels.wechat.account import AccountAdapter
from channels.wechat.answers import Card, Letterhead, card_reply, text_reply
from channels.wechat.settings import Account
from channels.wording.reply import Reply


class OfficialAccountAdapter(AccountAdapter):
    """One official account. See ``channels/wechat/README.md``."""

    def __init__(self, account: Account, context: ChannelContext, senders: tuple[Sender, ...] = ()) -> None:
        super().__init__(account, context, senders, in_band=True, reads_json=False)
        self._cards = account.card
        self._public_url = context.public_url

    def say(self, request: InboundRequest, text: str, reply: Reply | None = None) -> OutboundResponse:
        """Return the passive reply: the text, or a card where the account shows cards and the product has a picture.

        It is closed as the request was. Equal requests and texts give equal bytes.
        """
        if not text:
            return super().say(request, text)
        arrival = self._arrive(request)
        self._forget(request)
        incoming = arrival.incoming
        head = Letterhead(account=incoming.account, openid=incoming.openid, created_at=incoming.created_at)
        card = self._card(text, reply) if self._cards and reply is not None else None
        document = card_reply(head, card) if card is not None else text_reply(head, text)
        return self._envelopes.close(arrival.opened, document)

    def _card(self, text: str, reply: Reply) -> Card | None:
        """Return the card of an answer, None where there is no picture, or no moment to tell: cards are forwarded,
        and to whoever sees one later it must be a check of then, not of the pack in their hand.
        """
        label, page = reply.verdict.label, reply.page
        recorded = next((fact for fact in page.facts if fact.name == "recorded"), None)
        if label is None or not label.picture_url or recorded is None:
            return None
        return Card(
            title=page.product,
            description=f"{recorded.label} {recorded.value}\n{text}",
            picture_url=label.picture_url,
            url=self._public_url,
        )
