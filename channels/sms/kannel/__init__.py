"""Texts through a Kannel gateway: smsbox fetches our answer, and sends what we push."""
