"""How answers leave: a text, a card, an acknowledgement, a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from app.core.model.verdict import Verdict
from channels.base import OutboundResponse, Refusal, RefusalKind
from channels.wechat.answers import cdata
from channels.wechat.crypto import MessageKeys
from channels.wechat.documents import read_xml
from channels.wechat.mini_program_push import MiniProgramAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.settings import Account
from channels.wechat.simulate import ORIGINAL_ID, read_answer, text_message
from channels.wording.reply import Reply
from channels.wording.variants import Variant
from tests.contract.channel.wechat_bindings import MINI_PROGRAM, NOW, OFFICIAL, OPENID, PLAIN, brought
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service
from tests.unit.wording.verdicts import verdict_of

PICTURE = "https://pictures.example/milk.jpg"
REQUEST = brought(PLAIN, text_message("1", openid=OPENID, message_id=7, created_at=NOW))


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


def said(service: SampleService, account: Account, text: str, reply: Reply | None = None) -> OutboundResponse:
    return OfficialAccountAdapter(account, service.context).say(REQUEST, text, reply)


def pictured(variant: Variant) -> Verdict:
    verdict = verdict_of(variant)
    assert verdict.label is not None
    return replace(verdict, label=replace(verdict.label, picture_url=PICTURE))


class TestTexts:
    def test_the_fields_of_a_passive_reply(self, service: SampleService) -> None:
        answer = said(service, PLAIN, "第一行\n第二行")
        root = ET.fromstring(answer.body)
        assert {node.tag: node.text for node in root} == {
            "ToUserName": OPENID,
            "FromUserName": ORIGINAL_ID,
            "CreateTime": str(NOW),
            "MsgType": "text",
            "Content": "第一行\n第二行",
        }
        assert answer.content_type.startswith("application/xml")

    def test_nothing_is_said_by_a_word_that_stops_the_platform(self, service: SampleService) -> None:
        answer = said(service, OFFICIAL, "")
        assert (answer.status, answer.body) == (200, b"success")
        mini = MiniProgramAdapter(MINI_PROGRAM, service.context)
        assert mini.say(REQUEST, "some words").body == b"success"

    def test_nobody_gets_out_of_the_text(self, service: SampleService) -> None:
        hostile = "]]></Content><Content>]]]]>>\x00\x1b\ufffe\ud800&lt;<a>]]>\r\n]]\r>"
        answer = said(service, PLAIN, hostile)
        assert read_answer(PLAIN, answer.body).text == "]]></Content><Content>]]]]>>&lt;<a>]]>\n]]\n>"

    @pytest.mark.parametrize("text", ["]]>", "]]]>", "]]]]>>", "]]>]]>", "]", "]]", ">"])
    def test_the_end_of_character_data_is_split(self, text: str) -> None:
        assert ET.fromstring(f"<a><![CDATA[{cdata(text)}]]></a>").text == text


class TestRetries:
    async def test_three_deliveries_get_one_answer(self, service: SampleService) -> None:
        """The platform signs and seals each delivery anew, so the envelopes differ and what is in them does not."""
        adapter = OfficialAccountAdapter(OFFICIAL, service.context)
        message = text_message(service.code(), openid=OPENID, message_id=7, created_at=NOW)
        answers = []
        for seconds in (0, 5, 10):
            service.clock.advance(seconds)
            request = brought(OFFICIAL, message, sent_at=NOW + seconds, nonce=f"n{seconds}")
            answers.append((await service.pipeline.carry(adapter, request)).body)
        keys = MessageKeys(OFFICIAL.aes_keys, OFFICIAL.app_id, account="it")
        sealed = [read_xml(answer)["Encrypt"] for answer in answers]
        assert len(set(sealed)) == 3
        assert len({keys.unseal(str(one)).text for one in sealed}) == 1
        assert [fact.verification.ordinal for fact in service.store.facts] == [1]


class TestCards:
    def test_a_product_with_a_picture_comes_as_a_card_that_tells_its_moment(
        self, service: SampleService
    ) -> None:
        verdict = pictured(Variant.FIRST)
        reply = service.wording.reply(verdict, "zh-CN")
        account = replace(PLAIN, card=True)
        answer = said(service, account, reply.chat, reply)
        assert read_answer(account, answer.body).kind == "news"
        root = ET.fromstring(answer.body)
        (article,) = root.iter("item")
        shown = {node.tag: node.text or "" for node in article}
        assert verdict.label is not None
        assert verdict.recorded_at is not None
        assert shown["Title"] == verdict.label.product
        assert shown["PicUrl"] == PICTURE
        assert shown["Url"] == PUBLIC_URL
        assert reply.chat in shown["Description"]
        assert service.wording.moment(verdict.recorded_at, "zh-CN") in shown["Description"]
        assert root.findtext("ArticleCount") == "1"

    def test_everything_else_is_a_text(self, service: SampleService) -> None:
        first = pictured(Variant.FIRST)
        no_card: tuple[tuple[Account, Verdict], ...] = (
            (PLAIN, first),
            (replace(PLAIN, card=True), verdict_of(Variant.FIRST)),
            (replace(PLAIN, card=True), replace(first, recorded_at=None)),
            (replace(PLAIN, card=True), verdict_of(Variant.NOT_FOUND)),
        )
        for account, verdict in no_card:
            reply = service.wording.reply(verdict, "zh-CN")
            answer = said(service, account, reply.chat, reply)
            assert read_answer(account, answer.body).kind == "text"

    def test_a_notice_is_never_a_card(self, service: SampleService) -> None:
        account = replace(PLAIN, card=True)
        assert read_answer(account, said(service, account, "help").body).kind == "text"


@pytest.mark.parametrize("kind", RefusalKind)
def test_a_refusal_tells_nothing(service: SampleService, kind: RefusalKind) -> None:
    refused = OfficialAccountAdapter(OFFICIAL, service.context).refuse(
        Refusal(kind=kind, message=f"secret {OPENID}", cause=None)
    )
    assert refused.status >= 400
    assert OPENID.encode() not in refused.body
    assert (refused.status >= 500) == (kind in {RefusalKind.UNAVAILABLE, RefusalKind.INTERNAL})


def test_the_address_is_the_kinds_or_the_accounts(service: SampleService) -> None:
    further = replace(OFFICIAL, name="dairy")
    paths = {
        route.path
        for account in (OFFICIAL, further)
        for route in OfficialAccountAdapter(account, service.context).routes()
    }
    assert paths == {"/channels/wechat/official-account", "/channels/wechat/official-account/dairy"}
