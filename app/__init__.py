"""Yanzhen's application: core, features, adapters, web, command line. See docs/architecture.md."""
