"""The unit, the image and the compose file name only what exists, and keep what docs/operations.md promises of them."""

import configparser
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from app.cli.registry import COMMANDS
from app.settings import describe_settings, load_settings
from tests.acceptance.cli.shell import ROOT

CONFIG = ROOT / "config"
A_PLAIN_IMAGE = re.compile(
    r"[a-z]+(/[a-z]+)?(:[\w.-]+)?"
)  # a host would have a dot or a port before the slash
BUILT_FROM = re.compile(r"^FROM (\S+)(?: AS (\w+))?$", re.MULTILINE)


def dockerfile() -> str:
    return (CONFIG / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIG / "compose.yml").read_text(encoding="utf-8"))
    return found


def commands() -> set[str]:
    return {command.name for command in COMMANDS}


def environment_names() -> set[str]:
    return {setting.environment for setting in describe_settings()}


def test_the_image_has_stages_and_no_root() -> None:
    stages = BUILT_FROM.findall(dockerfile())
    assert len(stages) == 3
    assert all(A_PLAIN_IMAGE.fullmatch(image) for image, _ in stages)
    last = dockerfile().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*/livez", last, re.MULTILINE)
    assert not re.search(r"^RUN .*(apt|pip|npm) ", last, re.MULTILINE), "tools stay in the stages before"
    assert set(re.findall(r"\bYANZHEN_\w+", last)) <= environment_names()


def test_the_image_is_made_of_what_is_there() -> None:
    kept = {
        line[1:]
        for line in (CONFIG / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == kept
    assert [name for name in sorted(copied) if not (ROOT / name).exists()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = set(re.findall(r"cp \$\(\w+\)/\S+ \$\(VENDOR\)/([\w.-]+)", makefile))
    assert made
    assert made == set(re.findall(r"cp \S+ app/web/static/vendor/([\w.-]+)", dockerfile()))


def test_two_processes_behind_nginx_share_one_record(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"prepare", "one", "two", "nginx", "postgresql", "redis"}
    one, two = services["one"], services["two"]
    assert one == two
    assert one["command"] == ["serve"]
    assert services["prepare"]["command"][0] in commands()
    settings = {name.lower(): value for name, value in one["environment"].items()}
    assert {name.upper() for name in settings} <= environment_names()
    assert "@postgresql:" in settings["yanzhen_database_url"]
    assert settings["yanzhen_redis_url"].startswith("redis://redis:")
    assert "synchronous_commit=on" in services["postgresql"]["command"]
    assert all(A_PLAIN_IMAGE.fullmatch(service["image"]) for service in services.values())
    for needed in ("postgresql", "redis"):
        assert "healthcheck" in services[needed]
        assert "ports" not in services[needed]


def test_no_secret_is_written_in_it_and_no_right_is_held(compose: dict[str, Any]) -> None:
    text = (CONFIG / "compose.yml").read_text(encoding="utf-8")
    assert all(found.startswith("${") for found in re.findall(r"PASSWORD: (\S+)", text))
    assert "yanzhen:${POSTGRES_PASSWORD:?" in text
    for name in ("prepare", "one", "two"):
        service = compose["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_only_nginx_is_believed(compose: dict[str, Any]) -> None:
    address = ip_address(compose["services"]["nginx"]["networks"]["inside"]["ipv4_address"])
    (subnet,) = compose["networks"]["inside"]["ipam"]["config"]
    environment = compose["services"]["one"]["environment"]
    assert ip_network(environment["YANZHEN_TRUSTED_PROXIES"]) == ip_network(f"{address}/32")
    assert address in ip_network(subnet["subnet"])
    assert environment["YANZHEN_METRICS_FROM"] == subnet["subnet"]
    proxy = (CONFIG / "compose-nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"server (\w+):8315", proxy) == ["one", "two"]


def test_its_nginx_masks_as_the_other_does() -> None:
    def masking(name: str) -> str:
        text = (CONFIG / name).read_text(encoding="utf-8")
        return text[text.index("map $request_uri") : text.index("upstream yanzhen")]

    assert masking("compose-nginx.conf") == masking("nginx-masking.conf")
    proxy = (CONFIG / "compose-nginx.conf").read_text(encoding="utf-8")
    assert re.search(r"access_log \S+ yanzhen;", proxy)
    assert re.search(r"error_log \S+ emerg;", proxy)
    assert "location = /metrics" in proxy


def test_the_unit_is_hardened_and_waits_for_the_drain() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(CONFIG / "yanzhen.service", encoding="utf-8")
    service = unit["Service"]
    program, command, *flags = service["ExecStart"].split()
    assert (program.rpartition("/")[2], flags[0]) == ("yanzhen", "--config")
    assert command in commands()
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert (service["User"], service["ProtectSystem"], service["CapabilityBoundingSet"]) == (
        "yanzhen",
        "strict",
        "",
    )
    assert int(service["TimeoutStopSec"]) > load_settings().drain_seconds + 10
    assert {name.partition("=")[0] for name in service["Environment"].split()} <= environment_names()
