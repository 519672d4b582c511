"""The aiohttp server: the one translation between HTTP and plain values, health, documents, static files."""
