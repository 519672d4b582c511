"""Caches: in this process; in Redis when many machines serve."""
