"""An honest in-memory ``Correspondence``."""

from __future__ import annotations

from datetime import datetime

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.ports.correspondence import Change, Correspondent, NoticeKind

_NOBODY = Correspondent()


class MemoryCorrespondence:
    """Keeps everything while the process lives. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[bytes, Correspondent] = {}
        self._obeyed: set[bytes | None] = set()
        self._notices: dict[tuple[bytes, NoticeKind], tuple[bytes, datetime]] = {}

    async def find(self, caller: Caller) -> Correspondent:
        self._require_up()
        return self.kept.get(caller.token, _NOBODY) if caller.token is not None else _NOBODY

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
        known = await self.find(caller)
        if self._obeyed.isdisjoint(keys) or caller.token is None:
            known = Correspondent(
                locale=known.locale if change.locale is None else change.locale,
                opted_out=known.opted_out if change.opted_out is None else change.opted_out,
            )
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
