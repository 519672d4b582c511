"""Which telephony providers there are. A provider's library is imported only where it is set up."""

from __future__ import annotations

from channels.base import ChannelContext
from channels.ivr.dialect import CallDialect
from channels.ivr.settings import IvrSettings


def make_dialects(context: ChannelContext, settings: IvrSettings) -> tuple[CallDialect, ...]:
    """Return the dialect of every provider in the settings. Raises ``SettingsInvalid`` with the remedy."""
    dialects: list[CallDialect] = []
    if settings.twilio is not None:
        from channels.ivr.twilio.dialect import TwilioVoiceDialect

        dialects.append(TwilioVoiceDialect(settings, context.public_url))
    if settings.fastagi is not None:
        from channels.ivr.fastagi.dialect import FastAgiDialect

        dialects.append(FastAgiDialect(settings, clock=context.clock))
    return tuple(dialects)
