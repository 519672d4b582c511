"""What leadership among several processes must do. Bind it by a subclass with the fixtures ``clock``, ``first`` and
``second``: two processes that share it.
"""

from __future__ import annotations

from app.core.ports.leadership import Leadership
from tests.fakes.clock import FakeClock


class LeadershipContract:
    async def test_nobody_leads_unasked(self, first: Leadership) -> None:
        assert not first.leads("listener")

    async def test_one_leads_and_renews(
        self, first: Leadership, second: Leadership, clock: FakeClock
    ) -> None:
        assert await first.hold("listener")
        for _ in range(5):
            clock.advance(first.renew_s)
            assert not await second.hold("listener")
            assert first.leads("listener")
            assert await first.hold("listener")
        assert not second.leads("listener")

    async def test_a_leader_that_falls_silent_is_followed(
        self, first: Leadership, second: Leadership, clock: FakeClock
    ) -> None:
        assert await first.hold("listener")
        clock.advance(3 * first.renew_s)
        assert not first.leads("listener")
        assert await second.hold("listener")
        assert not await first.hold("listener")
        assert not first.leads("listener")

    async def test_who_leads_never_overlaps(
        self, first: Leadership, second: Leadership, clock: FakeClock
    ) -> None:
        await first.hold("listener")
        for _ in range(16):
            clock.advance(first.renew_s / 4)
            await second.hold("listener")
            assert not (first.leads("listener") and second.leads("listener"))
        assert second.leads("listener")

    async def test_roles_do_not_touch_each_other(self, first: Leadership, second: Leadership) -> None:
        assert await first.hold("listener")
        assert await second.hold("tidying")
        assert not await first.hold("tidying")
        assert first.leads("listener")

    async def test_who_resigns_is_followed_at_once(self, first: Leadership, second: Leadership) -> None:
        assert await first.hold("listener")
        await second.resign("listener")
        assert not await second.hold("listener")
        await first.resign("listener")
        assert not first.leads("listener")
        assert await second.hold("listener")
