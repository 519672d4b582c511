"""Channels: each translates bytes to a request and a verdict to bytes, and nothing else. See docs/adding-a-channel.md."""
