"""What the demonstration shows: invented brands, products and batches. Loading it again changes nothing.

The GTINs have the prefix 952, which GS1 keeps for examples; no name here is a company's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cli.batch_figures import quantity, state_counts
from app.core.errors import RuleBroken
from app.core.model.label import (
    BatchId,
    Brand,
    CodeBatch,
    LabelState,
    Product,
    ProductId,
    ProgrammeId,
    Thresholds,
)

if TYPE_CHECKING:
    from app.bootstrap.workshop import Workshop

VOIDED_LABELS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _BrandPlan:
    name: str
    name_en: str
    short_name: str
    service_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProductPlan:
    brand: _BrandPlan
    name: str
    name_en: str
    gtin: str
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchPlan:
    """``quantity`` tells the batches of a product apart, so that a second start finds them."""

    key: str
    product: _ProductPlan
    quantity: int
    states: tuple[LabelState, ...]
    in_programme: bool = False
    recall_reason: str = ""


_QINGHE: Final = _BrandPlan(
    name="青禾（演示品牌）", name_en="Qinghe (demo brand)", short_name="青禾演示", service_line="400-000-0001"
)
_YUANSHAN: Final = _BrandPlan(
    name="远山（演示品牌）",
    name_en="Yuanshan (demo brand)",
    short_name="远山演示",
    service_line="400-000-0002",
)
_FORMULA: Final = _ProductPlan(
    brand=_QINGHE, name="演示婴儿配方奶粉 900克", name_en="Demo infant formula 900 g", gtin="09520000000011"
)
_SPIRIT: Final = _ProductPlan(
    brand=_YUANSHAN,
    name="演示高粱酒 500毫升",
    name_en="Demo sorghum spirit 500 ml",
    gtin="09520000000028",
    thresholds=Thresholds(genuine=2, warn=4),
)
_SEED: Final = _ProductPlan(
    brand=_YUANSHAN, name="演示玉米种子 2千克", name_en="Demo maize seed 2 kg", gtin="09520000000035"
)
_PROGRAMME: Final = ("质量月演示标识", "Quality Month label (demo)")
_BRANDS: Final = (_QINGHE, _YUANSHAN)
_PRODUCTS: Final = (_FORMULA, _SPIRIT, _SEED)
_BATCHES: Final = (
    _BatchPlan(key="active", product=_FORMULA, quantity=1000, states=(LabelState.ACTIVE,), in_programme=True),
    _BatchPlan(key="tolerant", product=_SPIRIT, quantity=600, states=(LabelState.ACTIVE, LabelState.VOIDED)),
    _BatchPlan(key="printed", product=_FORMULA, quantity=500, states=()),
    _BatchPlan(
        key="recalled",
        product=_SEED,
        quantity=400,
        states=(LabelState.ACTIVE,),
        recall_reason="演示召回 / demo recall: germination below the declared rate",
    ),
    _BatchPlan(key="expired", product=_SEED, quantity=300, states=(LabelState.ACTIVE, LabelState.EXPIRED)),
)


async def load_content(workshop: Workshop) -> dict[str, CodeBatch]:
    """Load what is missing and return the demonstration's batches by key.

    Raises ``RuleBroken`` where the database holds other brands: a demonstration does not belong among real ones.
    """
    names = {plan.name for plan in _BRANDS}
    if any(brand.name not in names for brand in await workshop.registry.brands()):
        raise RuleBroken(
            f"The database {workshop.place} holds brands that are not the demonstration's. Start it "
            "with `yanzhen serve`, or give the demonstration a folder of its own: yanzhen demo --data-dir DIR"
        )
    products = await _load_products(workshop)
    programme_id = await _load_programme(workshop)
    return {plan.key: await _load_batch(workshop, plan, products, programme_id) for plan in _BATCHES}


async def _load_products(workshop: Workshop) -> dict[str, Product]:
    registry = workshop.registry
    brands: dict[str, Brand] = {brand.name: brand for brand in await registry.brands()}
    for plan in _BRANDS:
        if plan.name not in brands:
            brands[plan.name] = await registry.add_brand(
                name=plan.name,
                name_en=plan.name_en,
                short_name=plan.short_name,
                service_line=plan.service_line,
            )
    products = {product.name: product for product in await registry.products()}
    for wanted in _PRODUCTS:
        if wanted.name not in products:
            products[wanted.name] = await registry.add_product(
                brand_id=brands[wanted.brand.name].id,
                name=wanted.name,
                name_en=wanted.name_en,
                short_name=wanted.name[:10].strip(),
                gtin=wanted.gtin,
                thresholds=wanted.thresholds,
            )
    return products


async def _load_programme(workshop: Workshop) -> ProgrammeId:
    name, name_en = _PROGRAMME
    for programme in await workshop.registry.programmes():
        if programme.name == name:
            return programme.id
    return (await workshop.registry.add_programme(name=name, name_en=name_en)).id


async def _load_batch(
    workshop: Workshop, plan: _BatchPlan, products: dict[str, Product], programme_id: ProgrammeId
) -> CodeBatch:
    product_id = products[plan.product.name].id
    batch = await _find_batch(workshop, product_id, plan.quantity)
    if batch is None:
        batch = await _issue(workshop, plan, product_id, programme_id)
    await _bring_to_state(workshop, plan, batch)
    return batch


async def _find_batch(workshop: Workshop, product_id: ProductId, labels: int) -> CodeBatch | None:
    batches = await workshop.registry.batches()
    return next((b for b in batches if b.product.id == product_id and quantity(b) == labels), None)


async def _issue(
    workshop: Workshop, plan: _BatchPlan, product_id: ProductId, programme_id: ProgrammeId
) -> CodeBatch:
    from app.issuing.batches import IssueRequest

    issuing = await workshop.issuing()
    request = IssueRequest(
        product_id=product_id,
        programme_id=programme_id if plan.in_programme else None,
        quantity=plan.quantity,
        url_prefix=workshop.url_prefix,
    )
    return (await issuing.issue(request)).batch


async def _bring_to_state(workshop: Workshop, plan: _BatchPlan, batch: CodeBatch) -> None:
    """Apply what was not applied yet, looking at the labels' states, so that a broken-off start is finished."""
    cycle = workshop.life_cycle()
    counts = state_counts(batch, await workshop.catalogues.load())
    steps: dict[LabelState, Callable[[], Awaitable[object]]] = {
        LabelState.ACTIVE: lambda: cycle.activate(BatchId(batch.id)),
        LabelState.EXPIRED: lambda: cycle.expire(BatchId(batch.id), reason="demonstration"),
        LabelState.VOIDED: lambda: cycle.void(
            BatchId(batch.id),
            first=batch.last_serial - VOIDED_LABELS + 1,
            last=batch.last_serial,
            reason="demonstration: spoiled in print",
        ),
    }
    if counts[LabelState.ISSUED]:
        for state in plan.states:
            await steps[state]()
    elif plan.states and not counts[plan.states[-1]]:
        await steps[plan.states[-1]]()
    if plan.recall_reason and not batch.recalled:
        await cycle.recall(BatchId(batch.id), reason=plan.recall_reason)
