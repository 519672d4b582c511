from datetime import UTC, datetime

import pytest

from app.core.errors import KeyFileInvalid, KeyMissing
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.ports.labels import KeysMissing, Recognised, Recogniser, Unrecognised
from app.issuing.keyring import Keyring
from app.issuing.recogniser import CodebookRecogniser
from tests.unit.issuing.labels import batch

_AT = datetime(2026, 11, 1, tzinfo=UTC)


def _catalogue(ring: Keyring) -> Catalogue:
    return Catalogue.of(version=1, batches=[batch(count=1_000)], key_checks=ring.checks())


def _code(ring: Keyring, index: int = 5) -> str:
    return ring.codebook().make(20 * 10**15 + index, tag_key_id=1)


def test_it_meets_the_port() -> None:
    ring = Keyring.fresh(now=_AT)
    recogniser: Recogniser = CodebookRecogniser(lambda: ring)
    assert recogniser.recognise(Code(digits=_code(ring)), _catalogue(ring)) == Recognised(
        serial=20 * 10**15 + 5
    )


@pytest.mark.parametrize("digits", ["", "1", "0" * 19, "0" * 20, "9" * 24, "1" * 64])
def test_unsound_digits_are_told_apart(digits: str) -> None:
    ring = Keyring.fresh(now=_AT)
    recogniser = CodebookRecogniser(lambda: ring)
    assert recogniser.recognise(Code(digits=digits), _catalogue(ring)) == Unrecognised(sound=False)
    assert recogniser.locate_slip(Code(digits=digits), _catalogue(ring)) == ()


def test_a_slip_is_located_only_within_batches() -> None:
    ring = Keyring.fresh(now=_AT)
    recogniser = CodebookRecogniser(lambda: ring)
    for index, expected in ((5, (3,)), (1_000, ())):
        code = _code(ring, index)
        wrong = code[:2] + str((int(code[2]) + 1) % 10) + code[3:]
        assert recogniser.locate_slip(Code(digits=wrong), _catalogue(ring)) == expected


def test_a_batch_whose_tag_key_is_gone_gets_no_answer() -> None:
    ring = Keyring.fresh(now=_AT)
    catalogue = Catalogue.of(version=1, batches=[batch(count=1_000, tag_key_id=9)])
    recogniser = CodebookRecogniser(lambda: ring)
    code = _code(ring)
    assert recogniser.recognise(Code(digits=code), catalogue) == KeysMissing()
    wrong = ("1" if code[0] == "0" else "0") + code[1:]
    assert recogniser.locate_slip(Code(digits=wrong), catalogue) == ()


def test_an_unreadable_key_file_stops_answers_not_the_service() -> None:
    ring = Keyring.fresh(now=_AT)
    failing: list[KeyFileInvalid] = [KeyFileInvalid("damaged")]

    def load() -> Keyring:
        if failing:
            raise failing[0]
        return ring

    recogniser = CodebookRecogniser(load)
    code, catalogue = Code(digits=_code(ring)), _catalogue(ring)
    assert recogniser.failure is failing[0]
    assert not recogniser.keys_fit(catalogue)
    assert recogniser.recognise(code, catalogue) == KeysMissing()
    assert recogniser.locate_slip(code, catalogue) == ()
    with pytest.raises(KeyFileInvalid, match="damaged"):
        recogniser.code_digest(code)
    error = failing.pop()
    recogniser.reload()
    assert recogniser.failure is None
    assert recogniser.recognise(code, catalogue) == Recognised(serial=20 * 10**15 + 5)
    failing.append(error)
    recogniser.reload()  # keeps the keys it has
    assert recogniser.failure is error
    assert recogniser.recognise(code, catalogue) == Recognised(serial=20 * 10**15 + 5)


def test_a_ring_without_a_needed_secret_is_a_failure() -> None:
    ring = Keyring.fresh(now=_AT)
    bare = Keyring(permutation_keys=ring.permutation_keys, tag_keys=ring.tag_keys, secrets={})
    recogniser = CodebookRecogniser(lambda: bare)
    assert isinstance(recogniser.failure, KeyMissing)
    assert "secret `digest`" in str(recogniser.failure)


def test_message_keys_do_not_run_together() -> None:
    ring = Keyring.fresh(now=_AT)
    recogniser = CodebookRecogniser(lambda: ring)
    keys = {
        recogniser.message_key("sms", "a", "b1"),
        recogniser.message_key("sms", "ab", "1"),
        recogniser.message_key("smsa", "", "b1"),
        recogniser.message_key("sms", "a", "\ud800"),
    }
    assert len(keys) == 4
    assert {len(key) for key in keys} == {16}
    assert recogniser.message_key("sms", "a", "b1") in keys
