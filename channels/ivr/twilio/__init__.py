"""Twilio Voice: signed webhooks in, TwiML back. README.md is for operators."""
