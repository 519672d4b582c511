"""Challenges and their solutions: what is good, and everything that is not."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import altcha
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.web.proofs import Proofs
from tests.fakes.clock import START

SECRET = b"a secret of thirty-two bytes ..."
VISITOR = "visitor 192.0.2.7"


def proofs(secret: bytes = SECRET, rounds: int = 1) -> Proofs:
    return Proofs(secret, rounds=rounds)


def solved(challenge: bytes) -> str:
    read = altcha.Challenge.from_dict(json.loads(challenge))
    solution = altcha.solve_challenge(read)
    assert solution is not None
    return altcha.Payload(read, solution).to_base64()


def changed(payload: str, *path: str, to: Any) -> str:
    """Return the payload with one member changed."""
    document = json.loads(base64.b64decode(payload))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.fixture(scope="module")
def payload() -> str:
    return solved(proofs().issue(VISITOR, START))


def test_a_solution_names_its_challenge(payload: str) -> None:
    number = json.loads(base64.b64decode(payload))["challenge"]["parameters"]["nonce"]
    assert proofs().find(payload, VISITOR, START) == number
    assert len(payload) < 1024


def test_every_challenge_is_another() -> None:
    assert proofs().issue(VISITOR, START) != proofs().issue(VISITOR, START)


def test_a_challenge_does_not_tell_whom_it_is_for() -> None:
    challenge = proofs().issue(VISITOR, START)
    assert b"visitor" not in challenge
    assert b"192.0.2.7" not in challenge


def test_a_solution_is_one_visitors(payload: str) -> None:
    assert proofs().find(payload, "somebody else 192.0.2.7", START) is None
    assert proofs().find(payload, "visitor 192.0.2.8", START) is None
    assert proofs().find(payload, "", START) is None


def test_a_challenge_ends_after_ten_minutes(payload: str) -> None:
    assert proofs().find(payload, VISITOR, START + timedelta(minutes=10)) is not None
    assert proofs().find(payload, VISITOR, START + timedelta(minutes=10, seconds=1)) is None


def test_another_secret_is_another_service(payload: str) -> None:
    assert proofs(SECRET[::-1]).find(payload, VISITOR, START) is None


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("challenge", "parameters", "keyPrefix"), "0"),
        (("challenge", "parameters", "keyPrefix"), ""),
        (("challenge", "parameters", "cost"), 2),
        (("challenge", "parameters", "nonce"), "00" * 16),
        (("challenge", "parameters", "data"), {"for": "", "until": 10**12}),
        (("challenge", "parameters", "algorithm"), "SHA-256"),
        (("challenge", "parameters", "keySignature"), "00"),
        (("challenge", "signature"), "00" * 32),
        (("challenge", "signature"), None),
        (("challenge", "signature"), ["00"]),
        (("solution", "counter"), 0),
        (("solution", "counter"), "0"),
        (("solution", "counter"), -1),
        (("solution", "counter"), 2**40),
        (("solution", "derivedKey"), "00" * 32),
        (("solution", "derivedKey"), None),
        (("solution",), {}),
        (("challenge",), []),
    ],
)
def test_what_was_changed_is_worth_nothing(payload: str, path: tuple[str, ...], to: Any) -> None:
    assert proofs().find(changed(payload, *path, to=to), VISITOR, START) is None


def test_work_for_an_easier_challenge_is_worth_nothing() -> None:
    """A challenge of the library under another secret, with everything else as ours has it."""
    easy = altcha.create_challenge("PBKDF2/SHA-256", 1, key_prefix="", hmac_secret="guessed")
    assert proofs().find(solved(json.dumps(easy.to_dict()).encode()), VISITOR, START) is None


def test_what_is_too_long_is_not_read(payload: str) -> None:
    assert proofs().find(payload + "=" * 2048, VISITOR, START) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("challenge", "parameters", "signature", "solution", "counter", "derivedKey", "data", "cost")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(document=_JSON)
@example(document={"challenge": {"parameters": {}}, "solution": {}})
def test_no_document_of_a_stranger_is_an_error(document: Any) -> None:
    payload = base64.b64encode(json.dumps(document).encode()).decode()
    assert proofs().find(payload, VISITOR, START) is None


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=64))
@example(text="é")
@example(text="A")
@example(text="W1tbW1tb" * 200)
def test_no_text_of_a_stranger_is_an_error(text: str) -> None:
    assert proofs().find(text, VISITOR, START) is None


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(
        (
            ("challenge",),
            ("challenge", "parameters"),
            ("challenge", "parameters", "salt"),
            ("challenge", "parameters", "keyLength"),
            ("challenge", "parameters", "expiresAt"),
            ("challenge", "parameters", "data"),
            ("challenge", "signature"),
            ("solution",),
            ("solution", "counter"),
            ("solution", "derivedKey"),
        )
    ),
    to=_JSON,
)
def test_no_change_of_a_stranger_is_an_error(payload: str, path: tuple[str, ...], to: Any) -> None:
    found = proofs().find(changed(payload, *path, to=to), VISITOR, START)
    untouched = json.loads(base64.b64decode(changed(payload, *path, to=to))) == json.loads(
        base64.b64decode(payload)
    )
    assert found is None or untouched
