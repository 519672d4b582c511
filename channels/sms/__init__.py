"""Text messages: one adapter, and a dialect for each provider's wire."""
