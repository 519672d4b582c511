"""What a visitor over the limits can bring instead: a solved challenge, the pass it left, or a wait that is over.

Nothing is kept here. Each is a sealed text bound to the visitor in their network, and how often it is good for is
counted by the limits themselves (docs/decisions/0008-work-or-a-wait-instead-of-a-limit.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.core.model.caller import Caller
from app.core.model.value import value
from channels.base import ChannelContext
from channels.networks import network_of
from channels.turns import Continue, ThrottleSubject
from channels.web.cookies import PASS, Cookies
from channels.web.proofs import Proofs
from channels.web.settings import WebOptions
from channels.web.visitors import subjects_of

PASS_SECONDS: Final = 600
_WAIT_GOOD_FOR: Final = timedelta(minutes=10)


@value
class Visit:
    """Who asks, from where, and when."""

    caller: Caller
    remote: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeWanted(Continue):
    """A visitor wants work to do instead of waiting."""

    visit: Visit


@value
class Brought:
    """``vouchers`` in the order to try them; ``passing`` is the pass that a solved challenge leaves, "" without one;
    ``waits_until`` is when the wait ends that the visitor has begun.
    """

    vouchers: tuple[tuple[ThrottleSubject, ...], ...] = ()
    passing: str = ""
    waits_until: datetime | None = None


NOTHING: Final = Brought()


class Vouchers:
    """Gives out challenges, passes and waits, and proves what comes back. ``proofs`` None: work buys nothing."""

    def __init__(self, context: ChannelContext, proofs: Proofs | None) -> None:
        self._cookies = Cookies.of(context.public_url)
        self._identities = context.identities
        self._proofs = proofs

    @property
    def works(self) -> bool:
        """Whether there are challenges."""
        return self._proofs is not None

    def challenge(self, visit: Visit) -> bytes | None:
        """Return a challenge for the visitor as JSON, None where there are none."""
        return None if self._proofs is None else self._proofs.issue(_place(visit), visit.at)

    def read(
        self, visit: Visit, *, solution: str = "", wait: str = "", headers: Mapping[str, str]
    ) -> Brought:
        """Return what the visitor brought. What is forged, expired or another visitor's is as good as nothing."""
        vouchers: list[tuple[ThrottleSubject, ...]] = []
        passing = ""
        if self._proofs is not None:
            if solution and (number := self._proofs.find(solution, _place(visit), visit.at)):
                vouchers.append(_worked(visit, number, solved_now=True))
                passing = self._seal("pass", visit, number, visit.at + timedelta(seconds=PASS_SECONDS))
            if passed := self._cookies.find(headers, PASS):
                kept = self._open("pass", visit, passed)
                if kept is not None and visit.at <= kept[1]:
                    vouchers.append(_worked(visit, kept[0], solved_now=False))
        begun = self._open("wait", visit, wait) if wait else None
        waits_until = None if begun is None else begun[1]
        if waits_until is not None and waits_until <= visit.at <= waits_until + _WAIT_GOOD_FOR:
            vouchers.append(_waited(visit))
        if not (vouchers or waits_until):
            return NOTHING
        return Brought(vouchers=tuple(vouchers), passing=passing, waits_until=waits_until)

    def begin_wait(self, visit: Visit, brought: Brought, retry_after_s: int) -> str:
        """Return the wait of a visitor who was refused; one that they have begun is not made longer."""
        until = visit.at + timedelta(seconds=retry_after_s)
        begun = brought.waits_until
        if begun is not None and visit.at < begun < until:
            until = begun
        return self._seal("wait", visit, "", until)

    def _seal(self, sort: str, visit: Visit, number: str, until: datetime) -> str:
        plain = f"{number} {int(until.timestamp())}".encode()
        return self._identities.seal_state(plain, about=f"{sort} {_place(visit)}")

    def _open(self, sort: str, visit: Visit, sealed: str) -> tuple[str, datetime] | None:
        plain = self._identities.open_state(sealed, about=f"{sort} {_place(visit)}") if sealed else None
        if plain is None:
            return None
        number, _, until = plain.decode("ascii").partition(" ")
        return number, datetime.fromtimestamp(int(until), UTC)


def make_vouchers(context: ChannelContext) -> Vouchers:
    """Return the vouchers as the settings have them; those of one service honour each other's."""
    options = context.settings.get("web")
    rounds = options.proof_rounds if isinstance(options, WebOptions) else 0
    return Vouchers(
        context, Proofs(context.identities.secret("proof of work"), rounds=rounds) if rounds else None
    )


def _place(visit: Visit) -> str:
    """Return what a voucher is bound to: the visitor, where they can be known again, within their network."""
    token = visit.caller.token
    return f"{'' if token is None else token.hex()} {network_of(visit.remote)}"


def _worked(visit: Visit, number: str, *, solved_now: bool) -> tuple[ThrottleSubject, ...]:
    """A solution is redeemed once; with its pass it is good for a few queries, and a network for not too many."""
    network = network_of(visit.remote)
    shared = (
        ThrottleSubject("pass", number, group=network),
        ThrottleSubject("proved", network, group=network),
    )
    return (ThrottleSubject("proof", number, group=network), *shared) if solved_now else shared


def _waited(visit: Visit) -> tuple[ThrottleSubject, ...]:
    """A wait lifts what strangers at the same address used up, never the visitor's own limit."""
    network = network_of(visit.remote)
    own = (one for one in subjects_of(visit.caller, visit.remote) if one.kind != "address")
    return (*own, ThrottleSubject("waited", network, group=network))
