"""Calls to WeChat's own servers: the access token, pushed messages, sign-in, the JS-SDK's ticket, the menu."""
