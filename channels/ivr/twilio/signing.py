"""Signatures of webhooks under the tokens in the settings; channels/signatures.py says over what."""

from __future__ import annotations

from channels.signatures import WebhookSignatures


class Signatures(WebhookSignatures):
    """Those of the tokens in the settings. Raises ``SettingsInvalid`` without a sound one."""

    def __init__(self, auth_tokens: tuple[str, ...], public_url: str) -> None:
        super().__init__(auth_tokens, public_url, setting="ivr.twilio.auth_tokens")
