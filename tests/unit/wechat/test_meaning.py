"""What every kind of message and event asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from app.core.model.code import Entry
from app.core.model.label import BrandId
from channels.turns import CodeSubmitted, CommandGiven, Ignored, Turn
from channels.wechat.account import AccountAdapter
from channels.wechat.mini_program_push import MiniProgramAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.settings import Account
from channels.wechat.simulate import ORIGINAL_ID, Message, event, text_message
from tests.contract.channel.wechat_bindings import MINI_PROGRAM, NOW, OFFICIAL, OPENID, brought
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service
from tests.fakes.scripted_sender import ScriptedSender

HANZI = str.maketrans("0123456789", "零幺二三四五六七八九")
TRADES = str.maketrans("0123456789", "洞幺两三四五六拐八勾")
# Shanghai, in GCJ-02
LATITUDE, LONGITUDE = "31.230416", "121.473701"


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


def message(kind: str, **fields: str) -> Message:
    return {**text_message("", openid=OPENID, message_id=7, created_at=NOW), "MsgType": kind, **fields}


def turn_of(service: SampleService, message: Message, account: Account = OFFICIAL) -> Turn:
    senders = (ScriptedSender(account.name),)
    made: AccountAdapter
    if account.kind is MINI_PROGRAM.kind:
        made = MiniProgramAdapter(account, service.context, senders)
    else:
        made = OfficialAccountAdapter(account, service.context, senders)
    return made.decode(brought(account, message, as_json=account.kind is MINI_PROGRAM.kind))


def submitted(service: SampleService, message: Message, account: Account = OFFICIAL) -> CodeSubmitted:
    turn = turn_of(service, message, account)
    assert isinstance(turn, CodeSubmitted)
    assert turn.request.code.digits == service.code()
    return turn


def command(service: SampleService, message: Message, account: Account = OFFICIAL) -> CommandGiven:
    turn = turn_of(service, message, account)
    assert isinstance(turn, CommandGiven)
    assert turn.envelope is not None
    return turn


def scan(name: str, result: str, *, kind: str = "qrcode") -> Message:
    info = {"ScanType": kind, "ScanResult": result}
    return event(name, openid=OPENID, created_at=NOW, EventKey="scan", ScanCodeInfo=info)


def told(name: str, **fields: str) -> Message:
    return event(name, openid=OPENID, created_at=NOW, **fields)


class TestTexts:
    def test_a_code_is_typed(self, service: SampleService) -> None:
        turn = submitted(service, message("text", Content=f"请查 {service.code()}"))
        assert turn.request.code.entry is Entry.TYPED
        assert turn.request.locale == "zh-CN"
        assert turn.request.channel == "wechat"
        assert turn.request.account == "official-account"
        assert turn.request.scope is None

    def test_a_code_in_english_is_answered_so(self, service: SampleService) -> None:
        assert submitted(service, message("text", Content=f"check {service.code()}")).request.locale == "en"
        turn = submitted(service, message("text", Content=f"EN {service.code()}"))
        assert turn.chosen_locale == "en"

    def test_an_account_answers_for_its_brands(self, service: SampleService) -> None:
        brands = frozenset({BrandId(7)})
        account = replace(OFFICIAL, name="dairy", brands=brands)
        turn = submitted(service, message("text", Content=service.code()), account)
        assert (turn.request.account, turn.request.scope) == ("dairy", brands)

    @pytest.mark.parametrize(
        ("text", "kind", "argument"),
        [
            ("你好", "help", ""),
            ("", "help", ""),
            ("帮助", "help", ""),
            ("EN", "language", "en"),
            ("中文", "language", "zh-CN"),
            ("退订", "help", ""),
            ("STOP", "help", ""),
            ("恢复", "help", ""),
            ("😀", "help", ""),
        ],
    )
    def test_words(self, service: SampleService, text: str, kind: str, argument: str) -> None:
        turn = command(service, message("text", Content=text))
        assert (turn.kind, turn.argument) == (kind, argument)


class TestVoices:
    @pytest.mark.parametrize("spoken", ["digits", "hanzi", "trades", "grouped"])
    def test_recognised_numerals_are_a_code(self, service: SampleService, spoken: str) -> None:
        code = service.code()
        grouped = "，".join(code[start : start + 4] for start in range(0, len(code), 4))
        recognised = {
            "digits": f"{code}。",
            "hanzi": code.translate(HANZI) + "。",
            "trades": "帮我查一下" + code.translate(TRADES) + "谢谢",
            "grouped": grouped.translate(HANZI) + "。",
        }[spoken]
        turn = submitted(service, message("voice", MediaId="m", Format="amr", Recognition=recognised))
        assert turn.request.code.entry is Entry.TYPED

    def test_words_of_the_trades_stay_words_elsewhere(self, service: SampleService) -> None:
        assert command(service, message("voice", Recognition="我有两个问题，拐弯怎么走")).kind == "help"

    def test_an_unrecognised_voice_gets_help(self, service: SampleService) -> None:
        assert command(service, message("voice", MediaId="m", Format="amr")).kind == "help"


class TestScans:
    @pytest.mark.parametrize("name", ["scancode_push", "scancode_waitmsg"])
    @pytest.mark.parametrize(
        "pattern",
        [
            PUBLIC_URL + "/q/{code}",
            "https://of.before.example/q/{code}?from=wechat",
            PUBLIC_URL + "/01/06901234567892/21/{code}",
            "https://old.example/check.aspx?c={code}",
            "{code}",
            "CODE_128,{code}",
        ],
    )
    def test_our_symbols_are_scanned_codes(self, service: SampleService, name: str, pattern: str) -> None:
        turn = submitted(service, scan(name, pattern.format(code=service.code())))
        assert turn.request.code.entry is Entry.SCANNED

    @pytest.mark.parametrize(
        "result",
        [
            "",
            "https://weixin.qq.com/r/abc",
            "EAN_13,6901234567892",
            "EAN_13,69012345678920123456",
            "UPC_A,012345678905",
            "123456",
            "WIFI:S:shop;P:12345678;;",
            "help",
        ],
    )
    def test_anything_else_gets_help(self, service: SampleService, result: str) -> None:
        assert command(service, scan("scancode_waitmsg", result)).kind == "help"

    def test_a_scan_without_a_result_gets_help(self, service: SampleService) -> None:
        assert command(service, told("scancode_push")).kind == "help"
        assert command(service, told("scancode_push", ScanCodeInfo="")).kind == "help"

    def test_a_scene_may_hold_a_code(self, service: SampleService) -> None:
        for found in (
            told("subscribe", EventKey=f"qrscene_{service.code()}", Ticket="t"),
            told("SCAN", EventKey=service.code(), Ticket="t"),
        ):
            assert submitted(service, found).request.code.entry is Entry.SCANNED

    @pytest.mark.parametrize(
        ("name", "key"),
        [("subscribe", ""), ("subscribe", "qrscene_123"), ("SCAN", "4711"), ("subscribe", "last_trade_no_1")],
    )
    def test_any_other_scene_is_welcomed(self, service: SampleService, name: str, key: str) -> None:
        assert command(service, told(name, EventKey=key)).kind == "welcome"

    def test_a_shared_link_is_read_as_a_scan(self, service: SampleService) -> None:
        shared = message("link", Title="查", Url=f"{PUBLIC_URL}/q/{service.code()}")
        assert submitted(service, shared).request.code.entry is Entry.SCANNED


class TestPlaces:
    def test_a_location_that_was_sent_is_confirmed(self, service: SampleService) -> None:
        sent = message(
            "location", Location_X=LATITUDE, Location_Y=LONGITUDE, Scale="16", Label="内蒙古呼和浩特市1号"
        )
        turn = command(service, sent)
        assert (turn.kind, turn.argument) == ("place", "内蒙古呼和浩特")
        assert turn.envelope is not None
        assert not turn.envelope.quiet

    def test_the_point_counts_where_the_address_says_nothing(self, service: SampleService) -> None:
        sent = message("location", Location_X="48.2", Location_Y="16.4", Label="Ring 1")
        assert command(service, sent).argument == "境外"

    @pytest.mark.parametrize("degrees", ["", "north", "nan", "inf", "-1e400"])
    def test_no_place_is_no_place(self, service: SampleService, degrees: str) -> None:
        sent = message("location", Location_X=degrees, Location_Y=degrees, Label="")
        assert command(service, sent).kind == "help"
        assert turn_of(service, told("LOCATION", Latitude=degrees, Longitude=degrees)) == Ignored(
            why="place_unknown"
        )

    def test_a_location_that_the_phone_told_is_kept_without_a_word(self, service: SampleService) -> None:
        turn = command(service, told("LOCATION", Latitude=LATITUDE, Longitude=LONGITUDE, Precision="65"))
        assert (turn.kind, turn.argument) == ("place", service.context.places.locate_point(31.0, 121.0))
        assert turn.envelope is not None
        assert turn.envelope.quiet


class TestEverythingElse:
    @pytest.mark.parametrize(
        ("found", "kind", "argument"),
        [
            (message("image", PicUrl="https://x.example", MediaId="m"), "picture", ""),
            (message("video", MediaId="m"), "help", ""),
            (message("of_tomorrow"), "help", ""),
            (told("CLICK", EventKey="help"), "help", ""),
            (told("CLICK", EventKey="report"), "report", ""),
            (told("CLICK", EventKey="language"), "language", ""),
            (told("CLICK", EventKey="language/en"), "language", "en"),
            (told("CLICK", EventKey="language/zh-CN"), "language", "zh-CN"),
            (told("CLICK", EventKey="of_before"), "help", ""),
        ],
    )
    def test_commands(self, service: SampleService, found: Message, kind: str, argument: str) -> None:
        turn = command(service, found)
        assert (turn.kind, turn.argument) == (kind, argument)

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("unsubscribe", "unfollowed"),
            ("VIEW", "event_without_answer"),
            ("pic_weixin", "event_without_answer"),
            ("of_tomorrow", "event_without_answer"),
        ],
    )
    def test_events_without_an_answer(self, service: SampleService, name: str, why: str) -> None:
        assert turn_of(service, told(name, EventKey="x")) == Ignored(why=why)

    def test_an_echo_is_not_answered(self, service: SampleService) -> None:
        echo = {**message("text", Content=service.code()), "FromUserName": ORIGINAL_ID}
        assert turn_of(service, echo) == Ignored(why="from_ourselves")


class TestEnvelopes:
    def test_a_message_is_known_by_its_number_and_its_sender(self, service: SampleService) -> None:
        turn = submitted(service, message("text", Content=service.code()))
        assert turn.envelope is not None
        token = turn.envelope.caller.token
        assert token is not None
        assert turn.envelope.message_id == turn.request.message_id == f"{token.hex()}/7"
        assert [subject.kind for subject in turn.subjects] == ["wechat"]
        assert turn.envelope.in_band
        assert turn.envelope.address is not None
        assert (turn.envelope.address.sender, turn.envelope.address.recipient) == (OFFICIAL.name, OPENID)

    def test_an_event_is_known_by_its_time_its_sender_and_what_it_carries(
        self, service: SampleService
    ) -> None:
        def id_of(found: Message) -> str:
            turn = turn_of(service, found)
            assert isinstance(turn, CodeSubmitted)
            assert turn.envelope is not None
            assert turn.request.message_id == turn.envelope.message_id
            return turn.envelope.message_id

        code, other = service.code(), service.code(number=1)
        one, two, again = (id_of(scan("scancode_waitmsg", read)) for read in (code, other, code))
        assert one == again
        assert one != two, "two labels scanned within a second have an answer each"
        ids = {one, two, *(id_of(told("SCAN", EventKey=scene)) for scene in (code, other))}
        assert len(ids) == 4
        assert all(f"/{NOW}/scan" in found for found in ids)
        assert not any(digits in found for digits in (code, other) for found in ids)

    def test_two_people_never_share_an_id(self, service: SampleService) -> None:
        one = message("text", Content=service.code())
        ids = {
            submitted(service, {**one, "FromUserName": openid}).request.message_id for openid in ("oA", "oB")
        }
        assert len(ids) == 2

    def test_the_same_openid_of_another_app_is_somebody_else(self, service: SampleService) -> None:
        one = message("text", Content=service.code())
        callers = {
            submitted(service, one, replace(OFFICIAL, app_id=app_id)).request.caller.token
            for app_id in ("wx1", "wx2")
        }
        assert len(callers) == 2

    def test_no_openid_stands_in_a_turn(self, service: SampleService) -> None:
        for found in (message("text", Content=service.code()), told("SCAN", EventKey="1")):
            assert OPENID not in repr(turn_of(service, found))

    def test_without_a_way_out_there_is_no_address(self, service: SampleService) -> None:
        adapter = OfficialAccountAdapter(OFFICIAL, service.context)
        turn = adapter.decode(brought(OFFICIAL, message("text", Content=service.code())))
        assert isinstance(turn, CodeSubmitted)
        assert turn.envelope is not None
        assert turn.envelope.address is None
        assert not adapter.manifest.pushes


class TestMiniPrograms:
    def test_every_answer_is_pushed(self, service: SampleService) -> None:
        turn = submitted(service, message("text", Content=service.code()), MINI_PROGRAM)
        assert turn.envelope is not None
        assert not turn.envelope.in_band
        assert turn.envelope.address is not None

    @pytest.mark.parametrize("prefix", ["pages/index/index?q=", "pages/index/index.html?from=1&q="])
    def test_a_card_carries_the_printed_address(self, service: SampleService, prefix: str) -> None:
        address = f"{PUBLIC_URL}/q/{service.code()}"
        for path in (prefix + quote(address, safe=""), prefix + quote(quote(address, safe=""), safe="")):
            card = message(
                "miniprogrampage", Title="查", AppId="wx1", PagePath=path, ThumbUrl="", ThumbMediaId=""
            )
            assert submitted(service, card, MINI_PROGRAM).request.code.entry is Entry.SCANNED

    def test_a_card_may_carry_the_code_alone(self, service: SampleService) -> None:
        card = message("miniprogrampage", PagePath=f"pages/index/index?code={service.code()}")
        assert submitted(service, card, MINI_PROGRAM).request.code.entry is Entry.SCANNED

    @pytest.mark.parametrize("path", ["", "pages/index/index", "?", "?q=", "?" + "&".join("abcdefgh" * 9)])
    def test_any_other_card_gets_help(self, service: SampleService, path: str) -> None:
        assert command(service, message("miniprogrampage", PagePath=path), MINI_PROGRAM).kind == "help"

    def test_who_enters_a_conversation_is_welcomed(self, service: SampleService) -> None:
        entered = told("user_enter_tempsession", SessionFrom="sessionFrom")
        assert command(service, entered, MINI_PROGRAM).kind == "welcome"

    def test_a_picture(self, service: SampleService) -> None:
        assert command(service, message("image", PicUrl="x", MediaId="m"), MINI_PROGRAM).kind == "picture"
