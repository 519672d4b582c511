"""A process without others: the suite is about two, so its promises are looked at one by one."""

from __future__ import annotations

from app.adapters.leadership import LoneLeadership


async def test_it_leads_what_it_asked_for_until_it_resigns() -> None:
    alone = LoneLeadership()
    assert not alone.leads("listener")
    assert await alone.hold("listener")
    assert await alone.hold("listener")
    assert alone.leads("listener")
    assert not alone.leads("tidying")
    await alone.resign("listener")
    await alone.resign("listener")
    assert not alone.leads("listener")
    assert alone.renew_s > 0
