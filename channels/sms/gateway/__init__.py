"""Domestic gateways that do not sign: one dialect, and a description in a data file for each provider."""
