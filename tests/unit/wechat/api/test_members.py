"""Members of a mini-program's requests are of the kind that the OpenAPI document names, or the request is refused."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from channels.base import InboundRequest
from channels.problems import RequestUndecodable
from channels.wechat.api.adapter import MiniProgramApiAdapter
from tests.contract.channel.mini_program_api_binding import MiniProgramApiBinding
from tests.fakes.sample_service import start_sample_service

BINDING = MiniProgramApiBinding()


def request(path: str, document: object) -> InboundRequest:
    route = f"/api/v1/wechat/{path}"
    return replace(BINDING.ask("1"), route=route, path=route, body=orjson.dumps(document))


async def adapter() -> MiniProgramApiAdapter:
    service = await start_sample_service()
    await service.engine.close()
    made = BINDING.adapter(service.context)
    assert isinstance(made, MiniProgramApiAdapter)
    return made


@pytest.mark.parametrize("locale", [0, False, {}, [], ["en"]])
@pytest.mark.parametrize("path", ["reports", "recall-watches"])
async def test_a_locale_that_is_no_text_is_refused(path: str, locale: object) -> None:
    document = {"text": "看", "result": None, "locale": locale}
    with pytest.raises(RequestUndecodable) as refused:
        (await adapter()).decode(request(path, document))
    assert (refused.value.problem.status, refused.value.problem.code) == (422, "invalid_member")


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "x" * 501, " " * 500 + "x", "x" + " " * 500])
async def test_a_report_is_1_to_500_characters_as_sent_and_more_than_blanks(text: str) -> None:
    with pytest.raises(RequestUndecodable) as refused:
        (await adapter()).decode(request("reports", {"text": text}))
    assert refused.value.problem.code == "invalid_text"
    (await adapter()).decode(request("reports", {"text": text[:499].strip() + "x"}))
