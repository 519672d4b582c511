"""Adapters: each meets ports of the core or of a feature with one library."""
