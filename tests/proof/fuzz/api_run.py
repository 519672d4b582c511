"""schemathesis over the document that the service serves: what it sent, what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

_SEED = 20_261_121
_UNDOCUMENTED = frozenset(
    {
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    }
)


Known = Mapping[str, Sequence[str]]  # by the name of a member, values that the service knows


@dataclass(slots=True)
class Found:
    """What one run came to: requests by status and by operation, failures by check."""

    requests: int = 0
    operations: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[tuple[str, str, str]] = field(
        default_factory=list
    )  # check, operation, what and how to repeat
    errors: list[str] = field(default_factory=list)

    def only_refused(self) -> set[str]:
        """Return the operations that were never answered with a success: little of them was tried."""
        well = {label for label, status in self.operations if 200 <= status < 300}
        return {label for label, _ in self.operations} - well

    def breaches(self) -> dict[str, int]:
        """Return how many distinct failures are server errors, undocumented answers, and anything else."""
        checks = [check for check, _, _ in self.failures]
        return {
            "server_errors": checks.count("not_a_server_error"),
            "undocumented": sum(check in _UNDOCUMENTED for check in checks),
            "misjudged": sum(
                check not in _UNDOCUMENTED and check != "not_a_server_error" for check in checks
            ),
        }


def fuzz_api(url: str, token: str, known: Known, *, examples: int) -> Found:
    """Run the engine against the service at ``url``; the same requests in every run."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", config=_config(url, token, examples))
    _plant(schema, known)
    found = Found()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(found, event)
        elif isinstance(event, events.NonFatalError):
            found.errors.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return found


def _plant(schema: Any, known: Known) -> None:
    """Put known values where texts were made up, three times in four: nobody guesses a code."""

    def put(_context: Any, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        chosen = crc32(repr(body).encode("utf-8", "surrogatepass"))
        planted = {
            name: values[chosen % len(values)]
            for name, values in known.items()
            if chosen % 4 and isinstance(body.get(name), str)
        }
        return {**body, **planted}

    schema.hook("map_body")(put)
    schema.hook("map_query")(put)


def _config(url: str, token: str, examples: int) -> SchemathesisConfig:
    settings: dict[str, Any] = {
        "base-url": url,
        "auth": {"openapi": {"session": {"bearer": token}}},
        "workers": 1,
        "continue-on-failure": True,
        "request-timeout": 20,
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "database": "none",
            "with-security-parameters": False,  # `ignored_auth` asks without and with a wrong token by itself
        },
        "phases": {"stateful": {"enabled": False}},
        "checks": {"enabled": True},
        # what only the operator knows: which AppIDs there are, and what the service's own pages are called
        "operations": [
            {
                "include-operation-id": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", status]}},
            }
            for name, status in (("signIn", "422"), ("signPage", "400"))
        ],
    }
    return SchemathesisConfig.from_dict({"seed": _SEED, **settings})


def _note(found: Found, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for interaction in recorder.interactions.values():
        found.requests += 1
        if event.label:
            status = interaction.response.status_code if interaction.response else 0
            found.operations[event.label, status] += 1
    for case_checks in recorder.checks.values():
        for check in case_checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                info = check.failure_info
                found.failures.append(
                    (
                        check.name,
                        event.label or "",
                        f"{info.failure.title}: {info.failure.message}\n{info.code_sample}",
                    )
                )
