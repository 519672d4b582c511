"""A brand that discloses little: a hidden label and a code that no label has go the same way and tell the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code, Entry
from app.core.model.label import BrandId, Disclosure, Product
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.issuing.keyed_digest import KeyedDigest
from app.issuing.keyring import SecretName
from tests.fakes.sample_service import SampleService, start_sample_service

HIDDEN = ("voided", "not_active")


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    """The sample service, its brand disclosing little, with imported codes of the same length."""
    service = await start_sample_service()
    service.store.catalogue = _little_disclosed(service.store.catalogue)
    await service.engine.start()
    yield service
    await service.engine.close()


def _little_disclosed(full: Catalogue) -> Catalogue:
    def minimal(product: Product) -> Product:
        return replace(product, brand=replace(product.brand, disclosure=Disclosure.MINIMAL))

    batches = [replace(batch, product=minimal(batch.product)) for batch in full.batches]
    catalogue = Catalogue.of(
        version=full.version, batches=batches, spans=full.spans, key_checks=full.key_checks
    )
    return replace(catalogue, imported_lengths=frozenset({20}))


def _mistyped(code: str) -> str:
    return code[:6] + str((int(code[6]) + 1) % 10) + code[7:]


async def ask(service: SampleService, digits: str) -> Verdict:
    return await service.engine.verify(
        VerificationRequest(
            code=Code.parse(digits),
            caller=Caller(kind=CallerKind.WEB, token=b"caller-number-01"),
            channel="api",
            received_at=service.clock.now(),
        )
    )


@pytest.mark.parametrize("batch", HIDDEN)
async def test_a_slip_does_not_betray_a_hidden_label(service: SampleService, batch: str) -> None:
    told = await ask(service, _mistyped(service.code(batch)))
    assert (told.outcome, told.reasons, told.slip_positions) == (
        Outcome.MISTYPED,
        (Detail.SLIP_UNLOCATED,),
        (),
    )
    assert told == await ask(service, _mistyped(service.unknown_code()))
    assert (await ask(service, _mistyped(service.code()))).slip_positions == (7,)


async def ask_readings(
    service: SampleService, *readings: str, scope: frozenset[BrandId] | None = None
) -> Verdict:
    code, *others = (Code.parse(digits) for digits in readings)
    return await service.engine.verify(
        VerificationRequest(
            code=code,
            other_readings=tuple(others),
            scope=scope,
            caller=Caller(kind=CallerKind.WEB),
            channel="sms",
            received_at=service.clock.now(),
        )
    )


@pytest.mark.parametrize("batch", HIDDEN)
async def test_a_hidden_label_among_several_readings_is_like_an_unknown_code(
    service: SampleService, batch: str
) -> None:
    hidden, unknown = service.code(batch), service.unknown_code()
    slip = _mistyped(unknown)
    assert (await ask_readings(service, slip, hidden)).outcome is Outcome.MISTYPED
    assert (await ask_readings(service, slip, unknown)).outcome is Outcome.MISTYPED
    for number, first in enumerate((hidden, unknown)):
        told = await ask_readings(service, first, service.code("active", number))
        assert (told.outcome, told.ordinal) == (Outcome.FIRST, 1)


async def test_a_label_of_another_brand_among_several_readings_is_like_an_unknown_code(
    service: SampleService,
) -> None:
    elsewhere = frozenset({BrandId(99)})
    slip = _mistyped(service.unknown_code())
    for code in (service.code(), service.unknown_code()):
        assert (await ask_readings(service, slip, code, scope=elsewhere)).outcome is Outcome.MISTYPED
        assert (await ask_readings(service, code, scope=elsewhere)).outcome is Outcome.NOT_FOUND
        assert service.store.facts[-1].verification.serial is None


@pytest.mark.parametrize("batch", HIDDEN)
async def test_a_hidden_imported_label_is_a_slip_where_an_unknown_code_would_be(
    service: SampleService, batch: str
) -> None:
    unsound = _mistyped(service.unknown_code())
    digest = KeyedDigest(service.keyring.secret(SecretName.DIGEST).key).digest(unsound.encode())
    service.store.imported = {digest: service.label(batch).serial}
    assert (await ask_readings(service, unsound)).outcome is Outcome.MISTYPED
    scanned = await service.engine.verify(
        VerificationRequest(
            code=Code.parse(unsound, entry=Entry.SCANNED),
            caller=Caller(kind=CallerKind.WEB),
            channel="api",
            received_at=service.clock.now(),
        )
    )
    assert scanned.outcome is Outcome.NOT_FOUND
    assert service.store.facts[-1].verification.outcome is Outcome(batch)


@pytest.mark.parametrize("batch", HIDDEN)
async def test_a_hidden_label_costs_the_same_look_ups_as_an_unknown_code(
    service: SampleService, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bytes] = []
    find = service.store.find_imported

    async def counted(code_digest: bytes) -> int | None:
        looked.append(code_digest)
        return await find(code_digest)

    monkeypatch.setattr(service.store, "find_imported", counted)
    for code, look_ups in ((service.unknown_code(), 1), (service.code(batch), 2), (service.code(), 2)):
        await ask(service, code)
        assert len(looked) == look_ups


async def test_a_code_both_hidden_and_imported_is_still_the_label(service: SampleService) -> None:
    code = service.code("voided")
    digest = KeyedDigest(service.keyring.secret(SecretName.DIGEST).key).digest(code.encode())
    service.store.imported = {digest: service.label("active").serial}
    assert (await ask(service, code)).outcome is Outcome.NOT_FOUND
    assert service.store.facts[-1].verification.outcome is Outcome.VOIDED
