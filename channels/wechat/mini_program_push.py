"""The message push of a mini-program: JSON or XML comes, ``success`` goes back, and answers are pushed."""

from __future__ import annotations

from channels.abilities import Sender
from channels.base import ChannelContext
from channels.wechat.account import AccountAdapter
from channels.wechat.settings import Account


class MiniProgramAdapter(AccountAdapter):
    """One mini-program's customer messages. See ``channels/wechat/README.md``."""

    def __init__(self, account: Account, context: ChannelContext, senders: tuple[Sender, ...] = ()) -> None:
        super().__init__(account, context, senders, in_band=False, reads_json=True)
