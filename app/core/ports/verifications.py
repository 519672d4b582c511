"""The record of verifications: where "recorded before announced" and "exactly one first" are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Draft, Record


class VerificationStore(Protocol):
    """Promises an implementer must keep, tested by ``tests/contract/store``:

    - ``record`` returns only after the commit that holds every fact of the batch is durable (survives power loss).
      It is all or nothing; on failure it raises ``StoreUnavailable`` and nothing of the batch may be announced.
    - Ordinals of a label are unique, gapless and in real-time order over all processes; within a batch the order
      is the order of the sequence. Only outcomes active, recalled and expired get one.
    - A draft whose ``message_key`` or ``alias_key`` is already recorded (or stands earlier in the batch) gets the
      stored verdict, equal in every field, and changes nothing but that both keys are known from then on. Keys live
      at least 7 days.
    - A new verdict has the id of its fact, and is recorded at the ``received_at`` of its draft.
    - If the catalogue's version is not ``catalogue.version`` any more, nothing is recorded and ``CatalogueChanged``
      is raised: a recall or void holds from its commit.
    - A caller who cancels must not cancel a commit under way.

    Down: ``StoreUnavailable`` within the store's own deadline, never a hang.
    """

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]: ...

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        """Return the verdict stored for a message under either key, or None. It waits for no commit under way."""
        ...

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        """Return a recorded verification as its reader may see it, or None."""
        ...

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        """Return what this caller had verified on ``channel``, the newest first; ``wechat`` alone keeps such a list.

        A list leaves ``first`` and ``own_first_at`` out. It waits for no commit under way.
        """
        ...

    async def start_over(self) -> None:
        """Trust nothing in memory and no connection any more: the next call reads the record anew.

        Called where a verdict contradicted an earlier one. Raises ``StoreUnavailable``.
        """
        ...

    async def check(self) -> None:
        """Prove that a verification could be recorded now (a real write, committed); raises ``StoreUnavailable``."""
        ...


class CatalogueStore(Protocol):
    """Promise: ``load`` returns a consistent snapshot of one version; ``version`` is cheap and always current."""

    async def load(self) -> Catalogue: ...

    async def version(self) -> int: ...

    async def find_imported(self, code_digest: bytes) -> int | None:
        """Return the global serial of an imported code, or None."""
        ...
