from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.core.errors import KeyMissing, NotFound, RuleBroken
from app.core.model.code import Code
from app.core.model.label import IMPORTED_LAYOUT, BatchId, CodeBatch, LabelState, ProductId
from app.core.ports.labels import KeysMissing, Recognised, Unrecognised
from app.issuing.batches import BatchIssuing, Issued, IssueRequest, check_url_prefix
from app.issuing.code_lists import LinesRefused
from app.issuing.density import length_for, most_labels
from app.issuing.imports import CodeImport, ImportRequest
from app.issuing.keyring import Keyring
from app.issuing.life_cycle import LabelLifeCycle
from app.issuing.ports import LabelRegistry
from app.issuing.recogniser import CodebookRecogniser
from tests.unit.issuing.fake_registry import FakeLabelRegistry

_AT = datetime(2026, 11, 1, tzinfo=UTC)
_PREFIX = "https://check.example.org/q/"


class _StoppedClock:
    def now(self) -> datetime:
        return _AT

    def monotonic_s(self) -> float:
        return 0.0


class _Desk:
    """Everything of one small installation with one product."""

    def __init__(self) -> None:
        self.registry = FakeLabelRegistry()
        self.ring = Keyring.fresh(now=_AT)
        self.recogniser = CodebookRecogniser(lambda: self.ring)
        clock = _StoppedClock()
        self.issuing = BatchIssuing(self.registry, load_keys=lambda: self.ring, clock=clock)
        self.life = LabelLifeCycle(
            self.registry, catalogues=self.registry, recogniser=self.recogniser, clock=clock
        )
        self.imports = CodeImport(
            self.registry, catalogues=self.registry, recogniser=self.recogniser, clock=clock
        )

    async def open(self) -> None:
        brand = await self.registry.add_brand(name="Brand")
        await self.registry.add_product(brand_id=brand.id, name="Product")

    async def issue(self, quantity: int, *, layout: int = 20) -> Issued:
        return await self.issuing.issue(
            IssueRequest(product_id=ProductId(1), quantity=quantity, layout=layout, url_prefix=_PREFIX)
        )

    async def take(self, path: Path) -> Issued:
        return await self.imports.take(ImportRequest(product_id=ProductId(1), path=path))

    def code(self, batch: CodeBatch, index: int) -> str:
        assert batch.tag_key_id is not None
        return self.ring.codebook().make(batch.first_serial + index, tag_key_id=batch.tag_key_id)


@pytest.fixture
async def desk() -> _Desk:
    made = _Desk()
    await made.open()
    return made


def _list(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "codes.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_fake_keeps_the_ports_shape() -> None:
    registry: LabelRegistry = FakeLabelRegistry()
    assert registry


async def test_a_billion_labels_are_one_batch(desk: _Desk) -> None:
    issued = await desk.issue(10**9)
    assert issued.batch.first_serial == 20 * 10**15
    assert issued.batch.last_serial == 20 * 10**15 + 10**9 - 1
    assert (issued.density.share, issued.density.guess_rate) == (1e-11, 1e-9)
    assert issued.warnings == ()
    again = await desk.issue(5)
    assert again.batch.first_serial == issued.batch.last_serial + 1
    assert len(desk.registry.batches_by_id) == 2


async def test_a_rotated_key_counts_from_the_next_batch_and_old_labels_stay(desk: _Desk) -> None:
    old = (await desk.issue(10)).batch
    desk.ring = desk.ring.with_new_tag_key(now=_AT)
    new = (await desk.issue(10)).batch
    assert (old.tag_key_id, new.tag_key_id) == (1, 2)
    desk.recogniser.reload()
    catalogue = await desk.registry.load()
    for batch in (old, new):
        code = Code(digits=desk.code(batch, 3))
        assert desk.recogniser.recognise(code, catalogue) == Recognised(serial=batch.first_serial + 3)


async def test_another_key_file_is_refused_before_anything_is_issued(desk: _Desk) -> None:
    await desk.issue(10)
    desk.ring = Keyring.fresh(now=_AT)
    with pytest.raises(RuleBroken, match="another key"):
        await desk.issue(10)
    assert len(desk.registry.batches_by_id) == 1


async def test_the_density_gate_names_the_length_that_would_do(desk: _Desk) -> None:
    await desk.issue(10**7, layout=16)
    with pytest.raises(RuleBroken, match=r"10,000,000 are issued and 0 are left .* --layout 20"):
        await desk.issue(1, layout=16)
    desk.registry.counts[20] = 10**11 - 5
    await desk.issue(5)
    with pytest.raises(RuleBroken, match="--layout 24"):
        await desk.issue(1)
    desk.registry.counts[24] = 10**15
    with pytest.raises(RuleBroken, match="Order fewer labels"):
        await desk.issue(1)


def test_density_is_one_in_a_billion() -> None:
    assert [most_labels(digits) for digits in (8, 9, 16, 20, 24)] == [0, 1, 10**7, 10**11, 10**15]
    assert [length_for(labels) for labels in (1, 2, 10, 11, 10**6)] == [9, 10, 10, 11, 15]


@pytest.mark.parametrize(("quantity", "layout"), [(0, 20), (-1, 20), (10**9 + 1, 20), (5, 18), (5, 1)])
async def test_odd_orders_are_refused(quantity: int, layout: int, desk: _Desk) -> None:
    with pytest.raises(RuleBroken, match=r"digits\. Use one of|1 to 1,000,000,000"):
        await desk.issue(quantity, layout=layout)
    assert desk.registry.key_checks == {}


async def test_an_unknown_product_is_not_found(desk: _Desk) -> None:
    with pytest.raises(NotFound):
        await desk.issuing.issue(IssueRequest(product_id=ProductId(9), quantity=1, url_prefix=_PREFIX))


@pytest.mark.parametrize("host", ["127.0.0.1:8315", "localhost", "[::1]:80", "0.0.0.0", "a.localhost"])
def test_a_loopback_address_warns(host: str) -> None:
    (warning,) = check_url_prefix(f"http://{host}/q/")
    assert "YANZHEN_PUBLIC_URL" in warning


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "ftp://a.org/",
        "https:///q/",
        "https://a.org/q,/",
        "https://a.org/ q/",
        "https://验真/q/",
        "http://[",
    ],
)
def test_an_address_that_cannot_be_printed_is_refused(prefix: str) -> None:
    with pytest.raises(RuleBroken, match="YANZHEN_PUBLIC_URL"):
        check_url_prefix(prefix)


def test_a_public_address_is_silent() -> None:
    assert check_url_prefix("https://y.cn/q/") == ()
    assert check_url_prefix("http://198.51.100.7/q/") == ()


async def test_states_default_to_the_whole_batch(desk: _Desk) -> None:
    batch = (await desk.issue(100)).batch
    changed = await desk.life.activate(batch.id)
    assert changed.labels == 100
    assert (changed.changes[0].first_serial, changed.changes[0].last_serial) == (
        batch.first_serial,
        batch.last_serial,
    )
    await desk.life.void(
        batch.id, first=batch.first_serial + 10, last=batch.first_serial + 19, reason="stolen"
    )
    await desk.life.expire(batch.id, first=batch.first_serial + 90)
    catalogue = await desk.registry.load()
    states = [
        catalogue.label(batch.first_serial + index, batch).state for index in (0, 9, 10, 19, 20, 89, 90, 99)
    ]
    active, voided, expired = LabelState.ACTIVE, LabelState.VOIDED, LabelState.EXPIRED
    assert states == [active, active, voided, voided, active, active, expired, expired]


async def test_activation_counts_the_voided_labels_it_revives(desk: _Desk) -> None:
    batch = (await desk.issue(100)).batch
    await desk.life.void(batch.id, first=batch.last_serial - 4)
    await desk.life.void(batch.id, first=batch.first_serial + 10, last=batch.first_serial + 19)
    assert (await desk.life.activate(batch.id, last=batch.first_serial + 12)).revived == 3
    assert (await desk.life.activate(batch.id)).revived == 12
    assert (await desk.life.activate(batch.id)).revived == 0


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (0, 10), (5, 4)])
async def test_a_range_outside_the_batch_is_refused(first: int, last: int, desk: _Desk) -> None:
    batch = (await desk.issue(10)).batch
    with pytest.raises(RuleBroken, match="do not lie within"):
        await desk.life.void(batch.id, first=batch.first_serial + first, last=batch.first_serial + last)
    assert desk.registry.changes == []


async def test_a_recall_needs_a_reason_and_can_be_lifted(desk: _Desk) -> None:
    batch = (await desk.issue(10)).batch
    with pytest.raises(RuleBroken, match="--reason"):
        await desk.life.recall(batch.id, reason=" ")
    with pytest.raises(RuleBroken, match="not recalled"):
        await desk.life.lift_recall(batch.id, reason="")
    await desk.life.recall(batch.id, reason="glass splinters")
    await desk.life.lift_recall(batch.id, reason="tested")
    assert desk.registry.recalls == [(batch.id, True, "glass splinters"), (batch.id, False, "tested")]
    with pytest.raises(NotFound):
        await desk.life.recall(BatchId(99), reason="x")


async def test_spoiled_codes_are_voided_in_as_few_ranges_as_there_are_runs(
    desk: _Desk, tmp_path: Path
) -> None:
    first, second = (await desk.issue(10)).batch, (await desk.issue(10, layout=24)).batch
    foreign = (await desk.take(_list(tmp_path, "111111111111111", "222222222222222"))).batch
    spoiled = [desk.code(first, index) for index in (9, 3, 4, 5, 3)]
    spoiled += [desk.code(second, 0), "222222222222222"]
    path = tmp_path / "spoiled.csv"
    path.write_text("batch,Code\r\n" + "".join(f"x,{code}\r\n\r\n" for code in spoiled))
    changed = await desk.life.void_codes(path, reason="spoiled")
    assert changed.labels == 6
    assert [(c.batch_id, c.first_serial, c.last_serial) for c in changed.changes] == [
        (foreign.id, foreign.first_serial + 1, foreign.first_serial + 1),
        (first.id, first.first_serial + 3, first.first_serial + 5),
        (first.id, first.first_serial + 9, first.first_serial + 9),
        (second.id, second.first_serial, second.first_serial),
    ]
    assert {change.state for change in changed.changes} == {LabelState.VOIDED}
    assert desk.registry.changes == list(changed.changes)


async def test_neighbouring_batches_get_ranges_of_their_own(desk: _Desk, tmp_path: Path) -> None:
    one, two = (await desk.issue(2)).batch, (await desk.issue(2)).batch
    path = _list(tmp_path, *(desk.code(batch, index) for batch in (one, two) for index in (0, 1)))
    changed = await desk.life.void_codes(path)
    assert [(c.batch_id, c.last_serial - c.first_serial) for c in changed.changes] == [
        (one.id, 1),
        (two.id, 1),
    ]


async def test_one_unknown_line_keeps_the_whole_list_from_being_voided(desk: _Desk, tmp_path: Path) -> None:
    batch = (await desk.issue(10)).batch
    path = _list(tmp_path, desk.code(batch, 0), "1" * 20, "nonsense", desk.code(batch, 1), "")
    with pytest.raises(LinesRefused, match=r"2 line\(s\).*line 2: not a code of ours; line 3: not a code"):
        await desk.life.void_codes(path)
    assert desk.registry.changes == []


async def test_a_code_of_an_import_that_did_not_end_is_none_of_ours(desk: _Desk, tmp_path: Path) -> None:
    path = _list(tmp_path, "1" * 15, "2" * 15)
    await desk.take(path)
    desk.registry.batches_by_id.clear()  # its rows stay, but no batch holds their serials
    with pytest.raises(LinesRefused, match="2 line"):
        await desk.life.void_codes(path)
    assert desk.registry.changes == []


async def test_lists_that_hold_nothing_or_cannot_be_read_are_refused(desk: _Desk, tmp_path: Path) -> None:
    with pytest.raises(RuleBroken, match="holds no code"):
        await desk.life.void_codes(_list(tmp_path, "code"))
    with pytest.raises(RuleBroken, match="holds no code"):
        await desk.take(_list(tmp_path))
    with pytest.raises(RuleBroken, match="cannot be read"):
        await desk.life.void_codes(tmp_path / "missing.csv")
    with pytest.raises(RuleBroken, match="not a CSV"):
        await desk.take(_list(tmp_path, "1" * 200_000))


async def test_imported_codes_get_serials_of_their_own_and_need_no_check_digits(
    desk: _Desk, tmp_path: Path
) -> None:
    codes = [f"{index:015d}" for index in range(1, 1001)]
    issued = await desk.take(_list(tmp_path, "code", *codes))
    assert issued.batch.first_serial == IMPORTED_LAYOUT * 10**15
    assert (issued.batch.digits, issued.batch.imported, issued.density.labels) == (15, True, 1000)
    digest = desk.recogniser.code_digest(Code(digits=codes[41]))
    assert await desk.registry.find_imported(digest) == issued.batch.first_serial + 41
    assert len(digest) == 16
    more = await desk.take(_list(tmp_path, "999999999999999"))
    assert more.batch.first_serial == issued.batch.last_serial + 1
    assert more.density.labels == 1001


async def test_faulty_lines_are_named_and_nothing_is_imported(desk: _Desk, tmp_path: Path) -> None:
    own = (await desk.issue(10, layout=16)).batch
    path = _list(
        tmp_path,
        "code",
        "1" * 16,
        "x",
        "2" * 16,
        "1" * 16,
        "3" * 15,
        desk.code(own, 2),
        "",
        "１" * 16,
        "4" * 65,
    )
    with pytest.raises(LinesRefused) as refused:
        await desk.take(path)
    assert {line.line: line.reason.split(";")[0].split(":")[0] for line in refused.value.lines} == {
        3: "not a code",
        5: "the same code stands further up",
        6: "15 digits where the others have 16",
        7: "a code of our own, which a label of another batch carries",
        9: "not a code",
        10: "longer than 64 digits",
    }
    assert refused.value.count == 6
    assert desk.registry.imported == {}


async def test_codes_imported_before_are_named_by_line(desk: _Desk, tmp_path: Path) -> None:
    await desk.take(_list(tmp_path, "1" * 15, "2" * 15))
    with pytest.raises(LinesRefused) as refused:
        await desk.take(_list(tmp_path, "code", "3" * 15, "", "2" * 15))
    assert [(line.line, line.reason) for line in refused.value.lines] == [(4, "imported before")]
    assert len(desk.registry.imported) == 2


async def test_only_the_first_lines_are_named_but_all_are_counted(desk: _Desk, tmp_path: Path) -> None:
    with pytest.raises(LinesRefused, match="and 80 more") as refused:
        await desk.take(_list(tmp_path, *["bad"] * 100))
    assert [line.line for line in refused.value.lines] == list(range(1, 21))


async def test_the_gate_holds_for_imports_too(desk: _Desk, tmp_path: Path) -> None:
    codes = [f"{index:010d}" for index in range(11)]
    with pytest.raises(RuleBroken, match="at least 11 digits would do"):
        await desk.take(_list(tmp_path, *codes))
    assert (await desk.take(_list(tmp_path, *codes[:10]))).density.labels == 10
    with pytest.raises(RuleBroken, match="10 are in use and 0 are left"):
        await desk.take(_list(tmp_path, codes[10]))


async def test_own_and_imported_codes_of_one_length_share_the_gate(desk: _Desk, tmp_path: Path) -> None:
    desk.registry.counts[16] = 10**7 - 1
    await desk.take(_list(tmp_path, "1" * 16))
    with pytest.raises(RuleBroken, match="--layout 20"):
        await desk.issue(1, layout=16)


async def test_nothing_is_told_without_the_right_keys(desk: _Desk, tmp_path: Path) -> None:
    batch = (await desk.issue(10)).batch
    code = Code(digits=desk.code(batch, 0))
    desk.ring = Keyring.fresh(now=_AT)
    desk.recogniser.reload()
    catalogue = await desk.registry.load()
    assert desk.recogniser.recognise(code, catalogue) == KeysMissing()
    assert desk.recogniser.recognise(Code(digits="12"), catalogue) == KeysMissing()
    assert desk.recogniser.locate_slip(code, catalogue) == ()
    with pytest.raises(KeyMissing, match="backup"):
        await desk.take(_list(tmp_path, "1" * 15))
    with pytest.raises(KeyMissing, match="backup"):
        await desk.life.void_codes(_list(tmp_path, "1" * 15))


async def test_a_million_foreign_codes_are_imported(desk: _Desk, tmp_path: Path) -> None:
    path = tmp_path / "million.csv"
    with path.open("w") as file:
        file.writelines(f"{index * 7919 + 10**17}\n" for index in range(1_000_000))
    issued = await desk.take(path)
    assert issued.batch.last_serial - issued.batch.first_serial == 999_999
    digest = desk.recogniser.code_digest(Code(digits=str(999_999 * 7919 + 10**17)))
    assert await desk.registry.find_imported(digest) == issued.batch.last_serial
    assert issued.density.guess_rate == pytest.approx(1e-10)
    assert desk.recogniser.recognise(Code(digits="1" * 18), await desk.registry.load()) == Unrecognised(
        sound=False
    )
