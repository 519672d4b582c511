"""Channels: each translates bytes to a request and a verdict to bytes, and nothing else: docs/adding-a-channel.md."""
