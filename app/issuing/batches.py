"""Issuing a batch: one stored row for any number of labels, behind the density gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import RuleBroken
from app.core.model.label import CodeBatch, ProductId, ProgrammeId
from app.core.ports.clock import Clock
from app.issuing.codebook import DEFAULT_LAYOUT, LAYOUTS
from app.issuing.density import Density, most_labels
from app.issuing.keyring import Keyring
from app.issuing.ports import BatchOrder, LabelRegistry

MOST_LABELS_AT_ONCE: Final = 10**9
_URL_CHARS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&()*+;=%"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRequest:
    """What a packaging line orders: `quantity` labels of a product, `layout` digits each."""

    product_id: ProductId
    programme_id: ProgrammeId | None = None
    quantity: int
    layout: int = DEFAULT_LAYOUT
    url_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new batch, how dense its length of code is now, and sentences the operator should read."""

    batch: CodeBatch
    density: Density
    warnings: tuple[str, ...] = ()


class BatchIssuing:
    """Issues batches into the registry under the current tag key.

    `load_keys` reads the key file anew each time, so a rotation counts from the next batch. Keys that differ from
    those the registry knows are refused before anything is issued.
    """

    __slots__ = ("_clock", "_load_keys", "_registry")

    def __init__(self, registry: LabelRegistry, *, load_keys: Callable[[], Keyring], clock: Clock) -> None:
        self._registry = registry
        self._load_keys = load_keys
        self._clock = clock

    async def issue(self, request: IssueRequest) -> Issued:
        """Store one row and return the batch. RuleBroken for a wrong quantity, layout, URL or density."""
        if request.layout not in LAYOUTS:
            known = ", ".join(str(layout) for layout in LAYOUTS)
            raise RuleBroken(f"There is no layout of {request.layout} digits. Use one of {known}.")
        if not 1 <= request.quantity <= MOST_LABELS_AT_ONCE:
            raise RuleBroken(
                f"A batch has 1 to {MOST_LABELS_AT_ONCE:,} labels, not {request.quantity:,}. Order several batches."
            )
        warnings = check_url_prefix(request.url_prefix)
        imported = await self._registry.imported_count(request.layout)
        before = await self._registry.issued_count(request.layout) + imported
        if before + request.quantity > most_labels(request.layout):
            raise await self._too_dense(request, before)
        ring = self._load_keys()
        await self._registry.put_key_checks(ring.checks())
        batch = await self._registry.issue_batch(
            BatchOrder(
                product_id=request.product_id,
                programme_id=request.programme_id,
                layout=request.layout,
                quantity=request.quantity,
                at_most=most_labels(request.layout) - imported,
                tag_key_id=ring.current_tag_key_id,
                url_prefix=request.url_prefix,
                issued_at=self._clock.now(),
            )
        )
        density = Density(digits=request.layout, labels=before + request.quantity)
        return Issued(batch=batch, density=density, warnings=warnings)

    async def _too_dense(self, request: IssueRequest, before: int) -> RuleBroken:
        left = max(most_labels(request.layout) - before, 0)
        would_do = None
        for layout in sorted(LAYOUTS):
            held = await self._registry.issued_count(layout) + await self._registry.imported_count(layout)
            if held + request.quantity <= most_labels(layout):
                would_do = layout
                break
        remedy = "Order fewer labels." if would_do is None else f"Use --layout {would_do}."
        return RuleBroken(
            f"{request.quantity:,} more labels would make {request.layout}-digit codes too easy to guess: "
            f"{before:,} are issued and {left:,} are left (one code in a billion may be real). {remedy}"
        )


def check_url_prefix(url_prefix: str) -> tuple[str, ...]:
    """Return warnings about an address that is printed for ever; RuleBroken for one that cannot be printed.

    It must be http or https with a host, and hold only characters that need no quoting in a CSV line or a QR symbol.
    """
    try:
        parts = urlsplit(url_prefix)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not host
        or not set(url_prefix) <= _URL_CHARS
    ):
        raise RuleBroken(
            f"{url_prefix!r} cannot be printed before a code. Set YANZHEN_PUBLIC_URL to an address that begins with "
            "https:// and holds neither spaces nor commas."
        )
    if _is_loopback(host):
        warning = (
            f"The labels will carry {url_prefix}, which no shopper's phone can reach, and a batch never changes its "
            "address. Set YANZHEN_PUBLIC_URL before labels are printed for real."
        )
        return (warning,)
    return ()


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
