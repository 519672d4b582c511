"""Twilio: signed webhooks in, TwiML back, replies pushed by its REST API. README.md is for operators."""
