"""Batches and keys that the tests of label files and artwork start from."""

from datetime import UTC, datetime
from typing import Final

from app.core.model.label import BatchId, Brand, BrandId, CodeBatch, Product, ProductId, Serial
from app.issuing.codebook import LAYOUTS

AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
PREFIX: Final = "https://check.example.org/q/"


def batch(*, layout: int = 20, first: int = 0, count: int = 1, tag_key_id: int | None = 1) -> CodeBatch:
    """Return a batch of the layout's serials first .. first + count - 1."""
    start = LAYOUTS[layout].first_serial + first
    return CodeBatch(
        id=BatchId(7),
        product=Product(id=ProductId(1), brand=Brand(id=BrandId(1), name="Brand"), name="Product"),
        programme=None,
        layout=layout if tag_key_id is not None else 1,
        digits=layout,
        first_serial=Serial(start),
        last_serial=Serial(start + count - 1),
        tag_key_id=tag_key_id,
        url_prefix=PREFIX,
        issued_at=AT,
    )
