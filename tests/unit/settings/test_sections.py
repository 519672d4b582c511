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


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T18:30:00", "now", "1763721000"])
def test_a_time_without_its_zone_is_a_wrong_setting(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_WECHAT__MINI_PROGRAM__SESSIONS_FROM", text)
    with pytest.raises(SettingsInvalid, match=r"wechat\.mini_program\.sessions_from: .*with its zone"):
        load_settings()


@pytest.mark.parametrize("text", ["", "2026-11-21T18:30:00+08:00", "2026-11-21T10:30:00Z"])
def test_a_time_with_its_zone_is_taken(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_WECHAT__MINI_PROGRAM__SESSIONS_FROM", text)
    assert load_settings().wechat.mini_program.sessions_from == text
