"""Settings: the order of the sources, every problem at once, nothing secret shown."""

from pathlib import Path

import pytest

from app.core.errors import SettingsInvalid
from app.settings import describe_settings, load_settings, unknown_environment


def test_defaults_need_nothing() -> None:
    settings = load_settings()
    assert settings.database_path == Path("var/yanzhen.db")
    assert settings.key_file == Path("var/keys.json")
    assert settings.public_url == "http://127.0.0.1:8315"
    assert settings.timezone == "Asia/Shanghai"
    assert settings.throttle.enabled
    assert settings.public_url_is_loopback


def test_a_later_source_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'port = 1000\nhost = "0.0.0.0"\ntimezone = "UTC"\n[throttle]\nip_per_minute = 7\nenabled = false\n'
    )
    monkeypatch.setenv("YANZHEN_PORT", "2000")
    monkeypatch.setenv("YANZHEN_THROTTLE__IP_PER_MINUTE", "8")
    monkeypatch.setenv("YANZHEN_TIMEZONE", "Asia/Tokyo")
    settings = load_settings(config=file, flags={"timezone": "Europe/Berlin"})
    assert (settings.timezone, settings.port, settings.host) == ("Europe/Berlin", 2000, "0.0.0.0")
    assert (settings.throttle.ip_per_minute, settings.throttle.enabled) == (8, False)


def test_what_follows_another_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_DATA_DIR", "/srv/yanzhen")
    settings = load_settings(flags={"port": 9000})
    assert settings.database_path == Path("/srv/yanzhen/yanzhen.db")
    assert settings.key_file == Path("/srv/yanzhen/keys.json")
    assert settings.public_url == "http://127.0.0.1:9000"


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_CHANNELS", "web, api")
    monkeypatch.setenv("YANZHEN_TRUSTED_PROXIES", "10.0.0.0/8,::1")
    settings = load_settings()
    assert settings.channels == ("web", "api")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_PUBLIC_URL", "")
    assert load_settings().public_url == "http://127.0.0.1:8315"


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_DATABASE_URL", "mysql://user:hunter2@db/labels")
    monkeypatch.setenv("YANZHEN_THROTTLE__IP_PER_MINUTE", "none")
    monkeypatch.setenv("YANZHEN_THROTTLE__IP_PER_SECOND", "1")
    monkeypatch.setenv("YANZHEN_TIMEZONE", "Mars/Olympus")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(flags={"port": 70_000, "public_url": "verify.example.cn", "trusted_proxies": "nobody"})
    text = str(caught.value)
    for path in (
        "database_url: must be sqlite:///path",
        "throttle.ip_per_minute:",
        "throttle.ip_per_second: there is no such setting",
        "timezone:",
        "port:",
        "public_url:",
        "trusted_proxies:",
    ):
        assert path in text
    assert "hunter2" not in text
    assert "key_file" not in text


def test_a_secret_in_the_place_of_a_name_is_not_shown(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('[sms.twilio]\n"0123-token" = 1\n')
    with pytest.raises(
        SettingsInvalid, match=r"sms\.twilio\.\(a name not shown here\): there is no such"
    ) as caught:
        load_settings(config=config)
    assert "0123" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "mysql://x/y", "labels.db"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="sqlite:///path"):
        load_settings(flags={"database_url": url})


def test_a_file_that_is_not_toml_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("port = ")
    with pytest.raises(SettingsInvalid, match="not valid TOML"):
        load_settings(config=broken)
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_settings(config=tmp_path / "missing.toml")


def test_the_tree_is_frozen_and_hides_the_database() -> None:
    settings = load_settings(flags={"database_url": "sqlite:////srv/secret.db"})
    assert "secret.db" not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.throttle.enabled = False  # type: ignore[misc]


def test_a_misspelt_variable_is_found() -> None:
    environment = {
        "YANZHEN_DATADIR": "x",
        "YANZHEN_THROTTLE__ENABLED": "1",
        "YANZHEN_TEST_BUDGET": "short",
        "PATH": "/bin",
    }
    assert unknown_environment(environment) == ("YANZHEN_DATADIR",)


@pytest.mark.parametrize("name", ["default.toml", "production.example.toml"])
def test_the_files_of_the_repository_load(name: str) -> None:
    settings = load_settings(config=Path(__file__).resolve().parents[3] / "config" / name)
    assert settings.public_url_is_loopback == (name == "default.toml")
    if name == "default.toml":
        assert settings == load_settings()


def test_every_setting_has_one_help_sentence() -> None:
    for setting in describe_settings():
        assert setting.help.endswith("."), setting.path
        assert setting.help.count(". ") == 0, setting.path


def test_a_further_wechat_account_is_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN", "first")
    monkeypatch.setenv("YANZHEN_WECHAT__ACCOUNTS__ACME__TOKEN", "second,third")
    monkeypatch.setenv("YANZHEN_WECHAT__ACCOUNTS__ACME__BRANDS", "3,5")
    wechat = load_settings().wechat
    assert [token.get_secret_value() for token in wechat.official_account.token] == ["first"]
    acme = wechat.accounts["acme"]
    assert [token.get_secret_value() for token in acme.token] == ["second", "third"]
    assert acme.brands == (3, 5)
    assert wechat.any_provider


def test_a_server_is_no_file_and_its_password_may_come_from_one(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://yanzhen:hunter2@db.example:5432/labels\n")
    settings = load_settings(
        flags={"database_url": f"file:{tmp_path / 'url'}", "redis_url": "redis://:hunter2@cache.example/0"}
    )
    assert settings.database_path is None
    assert settings.database_url.get_secret_value().endswith("@db.example:5432/labels")
    assert "hunter2" not in repr(settings)
