"""An honest in-memory ``Correspondence``."""

from __future__ import annotations

from datetime import datetime

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.ports.correspondence import Correspondent, NoticeKind

_NOBODY = Correspondent()


class MemoryCorrespondence:
    """Keeps everything while the process lives. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[bytes, Correspondent] = {}
        self._notices: dict[tuple[bytes, NoticeKind], tuple[bytes, datetime]] = {}

    async def find(self, caller: Caller) -> Correspondent:
        self._require_up()
        return self.kept.get(caller.token, _NOBODY) if caller.token is not None else _NOBODY

    async def keep(self, caller: Caller, correspondent: Correspondent, *, now: datetime) -> None:
        self._require_up()
        if caller.token is not None:
            self.kept[caller.token] = correspondent

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
