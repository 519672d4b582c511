"""A section given as one variable: JSON is taken, anything else is a wrong setting, and its words are not repeated."""

from __future__ import annotations

import traceback

import pytest

from app.core.errors import SettingsInvalid
from app.settings.tree import load_settings


@pytest.mark.parametrize("text", ["t", "{", "{'a': 1}", "auth-token-of-the-account"])
def test_what_is_no_json_is_a_wrong_setting(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_SMS", text)
    with pytest.raises(SettingsInvalid, match="sms: YANZHEN_SMS is not the JSON of a section") as refused:
        load_settings()
    assert "auth-token" not in "".join(traceback.format_exception(refused.value))


def test_json_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_SMS", '{"twilio": {"account_sid": "AC1"}}')
    assert load_settings().sms.twilio.account_sid == "AC1"
