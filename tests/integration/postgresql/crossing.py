"""A process of its own that records batches over a few labels, up or down the serials, and prints what it was told.

python -m tests.integration.postgresql.crossing URL up|down BATCHES
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from app.adapters.storage.postgresql import open_postgresql
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.verification import Draft
from tests.contract.store.stage import KNOWN, OTHER, THIRD
from tests.fakes.clock import START

LABELS, PER_LABEL = 12, 2


def draft(catalogue: Catalogue, label: int, turn: int, batch: int, own: int) -> Draft:
    """Every other message is one that the other process records at about the same moment."""
    code_batch = catalogue.batches[0]
    shared = (label + turn) % 2
    return Draft(
        label=catalogue.label(code_batch.first_serial + label, code_batch),
        code_digest=None,
        caller=Caller(kind=CallerKind.WEB, token=(KNOWN, OTHER, THIRD, None)[(label + turn + batch) % 4]),
        channel="web",
        place="",
        received_at=START,
        message_key=bytes([0 if shared else own, label, turn]) + batch.to_bytes(13, "big"),
        alias_key=bytes([9 if shared else 9 + own, label, turn]) + batch.to_bytes(13, "big"),
    )


async def record(url: str, direction: str, batches: int) -> list[list[Any]]:
    own = 1 if direction == "up" else 2
    storage = await open_postgresql(url)
    told: list[list[Any]] = []
    try:
        catalogue = await storage.catalogues.load()
        for batch in range(batches):
            drafts = [
                draft(catalogue, label, turn, batch, own)
                for turn in range(PER_LABEL)
                for label in range(LABELS)
            ]
            if direction == "down":
                drafts.reverse()
            for asked, verdict in zip(
                drafts, await storage.verifications.record(drafts, catalogue), strict=True
            ):
                assert asked.label is not None
                assert asked.message_key is not None
                told.append(
                    [asked.label.serial, verdict.ordinal, verdict.verification_id, asked.message_key.hex()]
                )
    finally:
        await storage.close()
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(record(sys.argv[1], sys.argv[2], int(sys.argv[3])))))  # noqa: T201 - its result
