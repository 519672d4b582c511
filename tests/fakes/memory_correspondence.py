"""An honest in-memory ``Correspondence``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.ports.correspondence import Change, Correspondent, NoticeKind

_NOBODY = Correspondent()
_DAY = timedelta(days=1)


class MemoryCorrespondence:
    """Keeps everything while the process lives. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[bytes, Correspondent] = {}
        self._places: dict[bytes, datetime] = {}
        self._obeyed: set[bytes | None] = set()
        self._notices: dict[tuple[bytes, NoticeKind], tuple[bytes, datetime]] = {}

    async def find(self, caller: Caller, *, now: datetime) -> Correspondent:
        self._require_up()
        if caller.token is None:
            return _NOBODY
        known = self.kept.get(caller.token, _NOBODY)
        told_at = self._places.get(caller.token)
        return known if told_at is None or now - told_at < _DAY else replace(known, place="")

    async def change(
        self,
        caller: Caller,
        change: Change,
        *,
        message_key: bytes,
        alias_key: bytes | None = None,
        now: datetime,
    ) -> Correspondent:
        self._require_up()
        keys = {message_key, alias_key} - {None}
        known = await self.find(caller, now=now)
        if self._obeyed.isdisjoint(keys) or caller.token is None:
            known = Correspondent(
                locale=known.locale if change.locale is None else change.locale,
                opted_out=known.opted_out if change.opted_out is None else change.opted_out,
                place=known.place if change.place is None else change.place,
            )
            if change.place is not None and caller.token is not None:
                self._places[caller.token] = now
        if caller.token is not None:
            self.kept[caller.token] = known
            self._obeyed |= keys
        return known

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool:
        self._require_up()
        if caller.token is None:
            return True
        claimed = self._notices.get((caller.token, kind))
        if claimed is None or claimed[1] <= now:
            self._notices[caller.token, kind] = (message_key, until)
            return True
        return claimed[0] == message_key

    def _require_up(self) -> None:
        if self.down:
            raise StoreUnavailable
