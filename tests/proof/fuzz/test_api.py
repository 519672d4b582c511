"""schemathesis against the real server on the loopback: no server error, nothing undocumented."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession

from app.core.model.verdict import VerificationId
from tests.conftest import Budget
from tests.fakes.sample_service import OUTCOME_BATCHES, PUBLIC_URL, SampleService
from tests.proof.fuzz.api_run import fuzz_api
from tests.proof.fuzz.api_site import api_site
from tests.proof.harness import Prove

_EXAMPLES = {"short": 20, "long": 400}


async def known(service: SampleService, url: str, token: str) -> dict[str, list[str]]:
    """Codes of every state with slips in some, public ids of own checks and of strangers', addresses of pages."""
    codes = [service.code(batch, number) for batch in OUTCOME_BATCHES.values() for number in range(3)]
    slips = [code[:5] + str((int(code[5]) + 1) % 10) + code[6:] for code in codes[:3]]
    results = [service.context.identities.seal_result(VerificationId(number)) for number in (1, 2, 1 << 40)]
    async with ClientSession(headers={"Authorization": f"Bearer {token}"}) as client:
        for code in codes:
            async with client.post(f"{url}/api/v1/wechat/verifications", json={"code": code}) as response:
                results.append((await response.json())["result"])
    pages = [f"{PUBLIC_URL}/", f"{PUBLIC_URL}/q/{codes[0]}"]
    return {"code": [*codes, *slips, service.unknown_code()], "result": results, "url": pages}


async def test_every_answer_is_documented(prove: Prove, budget: Budget) -> None:
    async with api_site() as (site, service, token):
        planted = await known(service, site.url, token)
        found = await asyncio.to_thread(fuzz_api, site.url, token, planted, examples=_EXAMPLES[budget])
    assert found.errors == []
    assert not found.only_refused()
    assert found.failures == []
    prove("fuzz", breaches=found.breaches(), requests=found.requests)
