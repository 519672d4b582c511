"""The hotline at start-up: the settings tree as the channel's own values, and the voice it speaks with."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from app.bootstrap.speech import clip_library, keep_clips
from app.core.ports.spending import Spending
from app.core.ports.verifications import CatalogueStore
from app.logs import Logger
from app.settings import Settings
from channels.ivr.settings import FastAgiOptions, IvrSettings, TwilioVoiceOptions

IVR: Final = "ivr"


async def open_hotline(
    settings: Settings,
    spending: Spending,
    catalogues: CatalogueStore,
    log: Logger,
    parts: AsyncExitStack,
) -> IvrSettings | None:
    """Return the hotline's settings with its clips, None where no provider is set up; clips are made beside calls.

    Raises ``SettingsInvalid`` for prompts that cannot be read.
    """
    chosen = settings.ivr
    if IVR not in settings.channels or not chosen.any_provider:
        return None
    library = await asyncio.to_thread(clip_library, settings)
    keeper = asyncio.create_task(keep_clips(library, catalogues, log))
    parts.push_async_callback(_end, keeper)
    twilio, fastagi = chosen.twilio, chosen.fastagi
    return IvrSettings(
        clips=library,
        spending=spending,
        operator=chosen.operator,
        record_reports=chosen.record_reports,
        brand_lines=chosen.brand_lines,
        twilio=TwilioVoiceOptions(auth_tokens=tuple(token.get_secret_value() for token in twilio.auth_tokens))
        if twilio.auth_tokens
        else None,
        fastagi=FastAgiOptions(
            listen=fastagi.listen,
            allow_from=fastagi.allow_from,
            sounds=fastagi.sounds,
            max_calls=fastagi.max_calls,
            recordings=fastagi.recordings,
        )
        if fastagi.listen
        else None,
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
