"""Labels and what stands behind them: brand, product, programme, code batch, label state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from app.core.model.value import value

BrandId = NewType("BrandId", int)
ProductId = NewType("ProductId", int)
ProgrammeId = NewType("ProgrammeId", int)
BatchId = NewType("BatchId", int)
Serial = NewType("Serial", int)

SERIALS_PER_LAYOUT: Final = 10**15
IMPORTED_LAYOUT: Final = 1  # the reserved range of serials for codes that another system made


class Disclosure(StrEnum):
    """Whether a brand tells strangers that a label is voided or not active, or says "not found" for both."""

    FULL = "full"
    MINIMAL = "minimal"


class LabelState(StrEnum):
    """The life of a label. A label without any event is ``issued``, that is printed but not in circulation."""

    ISSUED = "issued"
    ACTIVE = "active"
    VOIDED = "voided"
    EXPIRED = "expired"

    __hash__ = str.__hash__  # see Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many checks, counting those by others and the one being answered, are genuine and how many only warn."""

    genuine: int = 1
    warn: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.genuine <= self.warn:
            raise ValueError("thresholds must be two numbers G,W with 1 <= G <= W, for example 1,4")


DEFAULT_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A brand owner's mark. ``short_name`` holds at most 10 hanzi or 24 GSM-7 characters, for a text message."""

    id: BrandId
    name: str
    name_en: str = ""
    short_name: str = ""
    spoken_name: str = ""
    service_line: str = ""
    disclosure: Disclosure = Disclosure.FULL
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of a brand; ``gtin`` is a 14-digit GTIN (GS1 General Specifications) or empty.

    ``picture_url`` is an https address of at most 512 characters, for channels that can show a picture, or empty.
    """

    id: ProductId
    brand: Brand
    name: str
    name_en: str = ""
    short_name: str = ""
    spoken_name: str = ""
    gtin: str = ""
    picture_url: str = ""
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A label programme of the association, with its own name on the answer."""

    id: ProgrammeId
    name: str
    name_en: str = ""
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSummary:
    """What an answer may say about a label: the names at the moment of the answer."""

    brand: str
    brand_en: str = ""
    brand_short: str = ""
    service_line: str = ""
    product: str
    product_en: str = ""
    product_short: str = ""
    gtin: str = ""
    picture_url: str = ""
    programme: str = ""
    programme_en: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBatch:
    """One print order: a range of global serials under one tag key. A billion labels are one such value.

    ``url_prefix`` is frozen at issue, so an export is the same bytes for ever. ``tag_key_id`` is None for
    imported codes, which carry no proof of ours. ``digits`` is the code length of an import and 0 otherwise.
    ``thresholds`` (the product's, else the programme's, else the brand's, else the default) and ``summary`` are
    derived once, because every answer needs them.
    """

    id: BatchId
    product: Product
    programme: Programme | None
    layout: int
    first_serial: Serial
    last_serial: Serial
    tag_key_id: int | None
    url_prefix: str
    issued_at: datetime
    recalled: bool = False
    recall_reason: str = ""
    digits: int = 0
    thresholds: Thresholds = field(init=False)
    summary: LabelSummary = field(init=False)

    def __post_init__(self) -> None:
        product, brand, programme = self.product, self.product.brand, self.programme
        rule = product.thresholds or (programme.thresholds if programme else None) or brand.thresholds
        object.__setattr__(self, "thresholds", rule or DEFAULT_THRESHOLDS)
        summary = LabelSummary(
            brand=brand.name,
            brand_en=brand.name_en,
            brand_short=brand.short_name,
            service_line=brand.service_line,
            product=product.name,
            product_en=product.name_en,
            product_short=product.short_name,
            gtin=product.gtin,
            picture_url=product.picture_url,
            programme=programme.name if programme else "",
            programme_en=programme.name_en if programme else "",
        )
        object.__setattr__(self, "summary", summary)

    @property
    def imported(self) -> bool:
        """True where the codes were made by another system."""
        return self.layout == IMPORTED_LAYOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpan:
    """The state that holds from ``first_serial`` up to the next span of the same batch."""

    first_serial: int
    state: LabelState
    at: datetime | None = None
    reason: str = ""


@value
class Label:
    """One physical label: its serial, its batch and the state it is in now."""

    serial: Serial
    batch: CodeBatch
    state: LabelState
    state_at: datetime | None = None
    reason: str = ""
