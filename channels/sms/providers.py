"""Which providers there are. A provider's library is imported only where it is set up."""

from __future__ import annotations

from app.core.errors import SettingsInvalid
from channels.base import ChannelContext
from channels.sms.dialect import Dialect
from channels.sms.settings import SmsSettings


def make_dialects(context: ChannelContext) -> tuple[Dialect, ...]:
    """Return the dialect of every provider in the settings. Raises ``SettingsInvalid`` with the remedy."""
    settings = context.settings.get("sms")
    if not isinstance(settings, SmsSettings):
        return ()
    dialects: list[Dialect] = []
    if settings.twilio is not None:
        from channels.sms.twilio.dialect import TwilioDialect

        dialects.append(TwilioDialect(settings.twilio, context.public_url))
    if settings.kannel is not None:
        from channels.sms.kannel.dialect import KannelDialect

        dialects.append(KannelDialect(settings.kannel, calls=context.calls, public_url=context.public_url))
    if settings.smpp is not None:
        from channels.sms.smpp.dialect import SmppDialect

        dialects.append(SmppDialect(settings.smpp, clock=context.clock))
    if settings.gateway is not None:
        from channels.sms.gateway.dialect import load_gateways

        dialects.extend(load_gateways(settings.gateway, calls=context.calls, timezone=context.timezone))
    _require_ways_back(dialects)
    return tuple(dialects)


def _require_ways_back(dialects: list[Dialect]) -> None:
    """Raise ``SettingsInvalid`` where replies are to leave by a provider that cannot send."""
    ways = {sender.name for dialect in dialects for sender in dialect.senders()}
    for dialect in dialects:
        if dialect.reply_by and dialect.reply_by not in ways:
            raise SettingsInvalid(
                f"sms: replies to {dialect.name} are to leave by {dialect.reply_by}, which cannot send as it is set "
                f"up. Ways that can: {', '.join(sorted(ways)) or 'none'}."
            )
