"""Frozen values of the field: codes, labels, callers, verifications and verdicts."""
