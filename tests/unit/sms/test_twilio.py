"""Twilio's wire: signatures and TwiML against the provider's Node library, and what forms and addresses become."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.reply import Delivery, ReplyId
from channels.base import InboundRequest, Refusal, RefusalKind
from channels.signatures import parse_form
from channels.sms.dialect import IncomingText
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.dialect import DELIVERIES, MESSAGES, TwilioDialect
from channels.sms.twilio.signing import Signatures
from channels.sms.twilio.simulate import new_message_sid, read_reply, signed_webhook
from channels.turns import DeliveryReport, Ignored
from tests.fakes.clock import START

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-of-32-characters-or-more"
OTHER_TOKEN = "the-token-that-comes-after-this1"
PUBLIC_URL = "https://check.example.cn"
SHOPPER = "+8613912345678"
OURS = "+8610690000001"
SID = "SM" + "0123456789abcdef" * 2
FORM = "application/x-www-form-urlencoded; charset=UTF-8"

# What Twilio documents for an incoming message, each field with a value of the documented shape.
RECORDED = {
    "ToCountry": "CN",
    "ToState": "",
    "SmsMessageSid": SID,
    "NumMedia": "0",
    "ToCity": "",
    "FromZip": "",
    "SmsSid": SID,
    "FromState": "Nei Mongol",
    "SmsStatus": "received",
    "FromCity": "",
    "Body": "请查 8800 5555 3500 0000 1234 & 谢谢+1%",
    "FromCountry": "CN",
    "To": OURS,
    "MessagingServiceSid": "MG" + "ab" * 16,
    "ToZip": "",
    "NumSegments": "1",
    "MessageSid": SID,
    "AccountSid": "AC" + "12" * 16,
    "From": SHOPPER,
    "ApiVersion": "2010-04-01",
}
REPORT = {
    "SmsSid": SID,
    "SmsStatus": "delivered",
    "MessageStatus": "delivered",
    "To": SHOPPER,
    "MessageSid": SID,
    "AccountSid": "AC" + "12" * 16,
    "From": OURS,
    "ApiVersion": "2010-04-01",
    "RawDlrDoneDate": "2603050800",
}
Fields = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One form, signed over ``url`` by the peer."""

    public_url: str
    fields: Fields
    token: str = TOKEN
    signed_base: str = ""

    @property
    def url(self) -> str:
        return (self.signed_base or self.public_url) + MESSAGES.path


CASES = (
    Signed(public_url=PUBLIC_URL, fields=RECORDED),
    Signed(public_url=PUBLIC_URL, fields={"Body": "验真 一二三，零〇", "From": SHOPPER}),
    Signed(public_url=PUBLIC_URL, fields={"Body": "a&b=c;d?e#f%2B \r\n\t\"<>'", "Empty": ""}),
    Signed(public_url=PUBLIC_URL, fields={"Body": "", "From": "", "To": ""}),
    Signed(public_url=PUBLIC_URL, fields={}),
    Signed(public_url=PUBLIC_URL, fields={"Media": ["b", "a", "b"], "Body": "😀 emoji"}),
    Signed(public_url=PUBLIC_URL, fields=RECORDED, token=OTHER_TOKEN),
    Signed(public_url=PUBLIC_URL, fields=RECORDED, signed_base=PUBLIC_URL + ":443"),
    Signed(public_url=PUBLIC_URL + ":443", fields=RECORDED, signed_base=PUBLIC_URL),
    Signed(public_url=PUBLIC_URL + ":8443", fields=RECORDED),
    Signed(public_url="http://check.example.cn", fields=RECORDED),
    Signed(public_url="http://check.example.cn", fields=RECORDED, signed_base="http://check.example.cn:80"),
    Signed(public_url=PUBLIC_URL + "/proxied", fields=RECORDED),
)
TEXTS = (
    "",
    "【验真】清茗第3次查询，首次26-03-05内蒙古小程序。非您所查请慎用。举报4008001234",
    "a < b & c > d \"e\" 'f' ]]> &amp;",
    "两行\n第二行 😀",
)


def form_of(fields: Fields) -> bytes:
    return urlencode(fields, doseq=True).encode()


def post(
    fields: Fields | bytes,
    *,
    signature: str | None = None,
    path: str = MESSAGES.path,
    route: str = MESSAGES.path,
    parts: Mapping[str, str] | None = None,
    content_type: str = FORM,
    **headers: str,
) -> InboundRequest:
    sent = {"content-type": content_type, **{name.replace("_", "-"): text for name, text in headers.items()}}
    if signature is not None:
        sent["x-twilio-signature"] = signature
    return InboundRequest(
        method="POST",
        route=route,
        path=path,
        parts=parts or {},
        headers=sent,
        body=fields if isinstance(fields, bytes) else form_of(fields),
        received_at=START,
    )


def report(fields: Fields, *, reply: str = "71") -> InboundRequest:
    path = f"/channels/sms/twilio/delivery/{reply}"
    return post(fields, path=path, route=DELIVERIES.path, parts={"reply": reply})


def sign(request: InboundRequest, token: str = TOKEN, public_url: str = PUBLIC_URL) -> InboundRequest:
    signature = Signatures((token,), public_url).sign(request.path, parse_form(request.body))
    return InboundRequest(
        method=request.method,
        route=request.route,
        path=request.path,
        parts=request.parts,
        headers={**request.headers, "x-twilio-signature": signature},
        body=request.body,
        received_at=START,
    )


def make_dialect(*tokens: str, public_url: str = PUBLIC_URL, account_sid: str = "") -> TwilioDialect:
    return TwilioDialect(TwilioOptions(auth_tokens=tokens or (TOKEN,), account_sid=account_sid), public_url)


@pytest.fixture
def dialect() -> TwilioDialect:
    return make_dialect()


@pytest.fixture(scope="module")
def peer() -> dict[str, Any]:
    """What the Node library answers to every case, asked once."""
    node = shutil.which("node")
    assert node is not None, "Node is not installed: see CONTRIBUTING.md"
    ours = [Signatures((one.token,), one.public_url) for one in CASES]
    asked = {
        "signatures": [{"token": one.token, "url": one.url, "fields": one.fields} for one in CASES],
        "checks": [
            {
                "token": one.token,
                "url": one.public_url + MESSAGES.path,
                "fields": one.fields,
                "signature": signatures.sign(MESSAGES.path, parse_form(form_of(one.fields))),
            }
            for one, signatures in zip(CASES, ours, strict=True)
        ],
        "texts": TEXTS,
    }
    answered = subprocess.run(
        [node, str(Path(__file__).with_name("twilio_peer.js"))],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        cwd=ROOT,
        encoding="utf-8",
        timeout=60,
    )
    answers: dict[str, Any] = json.loads(answered.stdout)
    return answers


class TestSignatures:
    def test_theirs_hold_with_us(self, peer: dict[str, Any]) -> None:
        for case, signature in zip(CASES, peer["signatures"], strict=True):
            dialect = make_dialect(TOKEN, OTHER_TOKEN, public_url=case.public_url)
            dialect.authenticate(post(case.fields, signature=signature))

    def test_ours_hold_with_them(self, peer: dict[str, Any]) -> None:
        assert peer["checks"] == [True] * len(CASES)

    @pytest.mark.parametrize(
        "signature", [None, "", "=", "garbage", "a" * 28, "é" * 28, "\ud800", "x" * 10_000, "null"]
    )
    def test_a_missing_or_garbled_one_is_refused(self, dialect: TwilioDialect, signature: str | None) -> None:
        with pytest.raises(NotAuthentic):
            dialect.authenticate(post(RECORDED, signature=signature))

    def test_it_holds_for_these_bytes_at_this_address_alone(self, dialect: TwilioDialect) -> None:
        good = sign(post(RECORDED))
        dialect.authenticate(good)
        signature = good.headers["x-twilio-signature"]
        for other in (
            post({**RECORDED, "Body": "another code"}, signature=signature),
            post({**RECORDED, "Added": "1"}, signature=signature),
            post({**RECORDED, "From": SHOPPER + "9"}, signature=signature),
            post({name: text for name, text in RECORDED.items() if name != "ToZip"}, signature=signature),
            post(RECORDED, signature=signature, path="/channels/sms/twilio/"),
            post(RECORDED, signature=signature, path="/channels/sms/twilio/delivery/71"),
            post(RECORDED, signature=signature.swapcase()),
            post(RECORDED, signature=signature + "="),
        ):
            with pytest.raises(NotAuthentic):
                dialect.authenticate(other)

    @pytest.mark.parametrize(
        "public_url", ["http://check.example.cn", "https://other.example.cn", "https://check.example.cn/x"]
    )
    def test_another_public_address_does_not_hold(self, dialect: TwilioDialect, public_url: str) -> None:
        with pytest.raises(NotAuthentic):
            dialect.authenticate(sign(post(RECORDED), public_url=public_url))

    def test_two_tokens_hold_while_they_rotate_and_a_third_never(self) -> None:
        rotating = make_dialect(TOKEN, OTHER_TOKEN)
        rotating.authenticate(sign(post(RECORDED), TOKEN))
        rotating.authenticate(sign(post(RECORDED), OTHER_TOKEN))
        with pytest.raises(NotAuthentic):
            rotating.authenticate(sign(post(RECORDED), "a third one"))
        with pytest.raises(NotAuthentic):
            make_dialect(OTHER_TOKEN).authenticate(sign(post(RECORDED), TOKEN))

    def test_every_token_is_tried_however_early_one_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from channels import signatures

        compared: list[bool] = []

        def counting(expected: bytes, given: bytes) -> bool:
            compared.append(expected == given)
            return compared[-1]

        monkeypatch.setattr(signatures, "compare_digest", counting)
        make_dialect(TOKEN, OTHER_TOKEN).authenticate(sign(post(RECORDED)))
        assert compared == [True, False, False, False]

    @pytest.mark.parametrize("tokens", [(), ("",), (TOKEN, " ")])
    def test_an_empty_token_is_none(self, tokens: tuple[str, ...]) -> None:
        with pytest.raises(SettingsInvalid):
            TwilioDialect(TwilioOptions(auth_tokens=tokens), PUBLIC_URL)

    def test_a_body_that_cannot_be_read_is_not_signed(self, dialect: TwilioDialect) -> None:
        for body in (b"Body=\xff", b"Body=%FF", b"&".join(b"a%d=1" % number for number in range(300))):
            with pytest.raises(NotAuthentic) as refused:
                dialect.authenticate(post(body, signature="x"))
            assert refused.value.__cause__ is None

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(codec="ascii"), min_size=1), st.text(st.characters(codec="utf-8"))
            ),
            max_size=8,
        )
    )
    def test_any_form_is_read_as_it_was_written(self, pairs: list[tuple[str, str]]) -> None:
        form = parse_form(urlencode(pairs).encode())
        assert {name: form.getall(name) for name in form} == {
            name: [text for other, text in pairs if other == name] for name, _ in pairs
        }


class TestMessages:
    def test_a_recorded_webhook_becomes_a_text(self, dialect: TwilioDialect) -> None:
        request = post(RECORDED, i_twilio_idempotency_token="7f3ab2c0-0000-4000-8000-000000000001")
        assert dialect.decode(request) == (
            IncomingText(
                sender=SHOPPER,
                ours=OURS,
                text=RECORDED["Body"],
                message_id=SID,
                alias_id="7f3ab2c0-0000-4000-8000-000000000001",
            ),
        )

    def test_the_older_name_of_the_id_will_do(self, dialect: TwilioDialect) -> None:
        older = {**RECORDED, "MessageSid": ""}
        assert _text(dialect, older).message_id == SID

    @pytest.mark.parametrize(("num_media", "media"), [("0", False), ("2", True), ("", False), ("x", False)])
    def test_pictures_are_told(self, dialect: TwilioDialect, num_media: str, *, media: bool) -> None:
        text = _text(dialect, {**RECORDED, "NumMedia": num_media, "Body": ""})
        assert (text.media, text.text) == (media, "")

    @pytest.mark.parametrize(
        ("opt_out_type", "opted"), [("STOP", "out"), ("start", "in"), ("", ""), ("X", "")]
    )
    def test_an_opt_out_the_provider_took_is_told(
        self, dialect: TwilioDialect, opt_out_type: str, opted: str
    ) -> None:
        assert _text(dialect, {**RECORDED, "OptOutType": opt_out_type}).opted == opted

    def test_help_the_provider_gave_is_not_given_again(self, dialect: TwilioDialect) -> None:
        decoded = dialect.decode(post({**RECORDED, "OptOutType": "HELP"}))
        assert decoded == (Ignored(why="provider_gave_help"),)

    @pytest.mark.parametrize("sender", ["whatsapp:" + SHOPPER, "messenger:123", "rcs:" + SHOPPER])
    def test_other_channels_of_the_provider_are_not_texts(self, dialect: TwilioDialect, sender: str) -> None:
        assert dialect.decode(post({**RECORDED, "From": sender})) == (Ignored(why="not_a_text_message"),)

    @pytest.mark.parametrize(
        "changed",
        [
            {"MessageSid": "", "SmsSid": ""},
            {"MessageSid": SID[:-1]},  # a signed form that was cut anew
            {"MessageSid": SID + "0"},
            {"MessageSid": SID[:-1] + "-"},
            {"MessageSid": "SM" + "é" * 32},
            {"From": ""},
            {"To": ""},
        ],
    )
    def test_a_form_without_its_marks_is_malformed(
        self, dialect: TwilioDialect, changed: dict[str, str]
    ) -> None:
        with pytest.raises(Undecodable):
            dialect.decode(post({**RECORDED, **changed}))

    @pytest.mark.parametrize("body", [b"", b"Body=\xff\xfe", b"Body=%C3%28&From=%2B1", b"{}", b"\x00" * 50])
    def test_a_broken_body_is_malformed(self, dialect: TwilioDialect, body: bytes) -> None:
        with pytest.raises(Undecodable) as refused:
            dialect.decode(post(body))
        assert refused.value.__cause__ is None

    @pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data; boundary=x"])
    def test_another_type_is_malformed(self, dialect: TwilioDialect, content_type: str) -> None:
        with pytest.raises(Undecodable):
            dialect.decode(post(RECORDED, content_type=content_type))

    @pytest.mark.parametrize("token", ["", " ", "x" * 129, "a b", "é", "a\n"])
    def test_an_idempotency_token_of_another_shape_is_left_out(
        self, dialect: TwilioDialect, token: str
    ) -> None:
        (text,) = dialect.decode(post(RECORDED, i_twilio_idempotency_token=token))
        assert isinstance(text, IncomingText)
        assert text.alias_id == ""


class TestReports:
    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("accepted", Delivery.ACCEPTED),
            ("queued", Delivery.ACCEPTED),
            ("sending", Delivery.ACCEPTED),
            ("sent", Delivery.SENT),
            ("delivered", Delivery.DELIVERED),
            ("read", Delivery.DELIVERED),
            ("failed", Delivery.FAILED),
            ("undelivered", Delivery.FAILED),
            ("canceled", Delivery.FAILED),
        ],
    )
    def test_each_state_is_told_with_both_ids(
        self, dialect: TwilioDialect, word: str, state: Delivery
    ) -> None:
        request = sign(report({**REPORT, "MessageStatus": word}))
        dialect.authenticate(request)
        assert dialect.decode(request) == (
            DeliveryReport(sender="twilio", provider_id=SID, reply_id=ReplyId(71), state=state),
        )

    def test_the_older_name_of_the_state_will_do(self, dialect: TwilioDialect) -> None:
        (told,) = dialect.decode(report({**REPORT, "MessageStatus": "", "SmsStatus": "sent"}))
        assert isinstance(told, DeliveryReport)
        assert told.state is Delivery.SENT

    def test_an_unknown_state_changes_nothing(self, dialect: TwilioDialect) -> None:
        decoded = dialect.decode(report({**REPORT, "MessageStatus": "receiving"}))
        assert decoded == (Ignored(why="delivery_state_unknown"),)

    @pytest.mark.parametrize("reply", ["", "x", "-1", "1" * 20, "１２"])
    def test_a_reply_that_is_no_number_is_malformed(self, dialect: TwilioDialect, reply: str) -> None:
        with pytest.raises(Undecodable):
            dialect.decode(report(REPORT, reply=reply))

    def test_a_report_holds_for_its_own_reply_alone(self, dialect: TwilioDialect) -> None:
        signature = sign(report(REPORT)).headers["x-twilio-signature"]
        moved = post(REPORT, signature=signature, path="/channels/sms/twilio/delivery/72")
        with pytest.raises(NotAuthentic):
            dialect.authenticate(moved)


class TestAnswers:
    def test_twiml_is_theirs(self, dialect: TwilioDialect, peer: dict[str, Any]) -> None:
        for text, theirs in zip(TEXTS, peer["texts"], strict=True):
            ours = dialect.say(post(RECORDED), text)
            assert (ours.status, ours.content_type) == (200, "text/xml; charset=utf-8")
            assert ET.canonicalize(ours.body.decode()) == ET.canonicalize(theirs)
            assert read_reply(ours.body) == text

    def test_nothing_said_is_an_empty_response(self, dialect: TwilioDialect) -> None:
        (root,) = [ET.fromstring(dialect.say(post(RECORDED), "").body)]
        assert (root.tag, len(root), root.text) == ("Response", 0, None)

    def test_what_xml_cannot_hold_is_left_out(self, dialect: TwilioDialect) -> None:
        assert read_reply(dialect.say(post(RECORDED), "a\x00b\x1b\ud800\uffffc\r\n").body) == "abc\n"
        assert read_reply(dialect.say(post(RECORDED), "\x00").body) == ""

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (RefusalKind.NOT_AUTHENTIC, 403),
            (RefusalKind.MALFORMED, 400),
            (RefusalKind.TOO_LARGE, 413),
            (RefusalKind.NOT_ALLOWED, 405),
            (RefusalKind.UNKNOWN_ADDRESS, 404),
            (RefusalKind.UNAVAILABLE, 503),
            (RefusalKind.INTERNAL, 500),
        ],
    )
    def test_a_refusal_is_short_and_says_no_more_than_it_must(
        self, dialect: TwilioDialect, kind: RefusalKind, status: int
    ) -> None:
        answer = dialect.refuse(Refusal(kind=kind, message=f"{SHOPPER} {TOKEN}"))
        assert (answer.status, answer.content_type) == (status, "text/plain")
        assert len(answer.body) < 100
        assert SHOPPER.encode() not in answer.body
        assert TOKEN.encode() not in answer.body

    def test_every_refusal_has_an_answer(self, dialect: TwilioDialect) -> None:
        for kind in RefusalKind:
            assert dialect.refuse(Refusal(kind=kind)).status >= 400


class TestSetUp:
    def test_without_an_account_nothing_is_pushed(self) -> None:
        dialect = make_dialect()
        assert (dialect.name, dialect.in_band, dialect.reply_by) == ("twilio", True, "")
        assert (dialect.senders(), dialect.listeners()) == ((), ())

    def test_with_an_account_replies_go_back_the_same_way(self) -> None:
        dialect = make_dialect(account_sid="AC" + "12" * 16)
        (sender,) = dialect.senders()
        assert dialect.senders() == (sender,)
        assert sender.name == dialect.reply_by == "twilio"

    def test_both_addresses_take_forms_of_a_bounded_size(self, dialect: TwilioDialect) -> None:
        assert {(one.method, one.path, one.max_body_bytes) for one in dialect.routes()} == {
            ("POST", "/channels/sms/twilio", 16384),
            ("POST", "/channels/sms/twilio/delivery/{reply}", 16384),
        }

    def test_the_library_of_calls_is_loaded_by_the_first_call(self) -> None:
        program = (
            "import sys; import channels.sms.twilio.dialect; "
            "sys.exit(int(any(name in sys.modules for name in ('twilio.rest', 'aiohttp', 'requests'))))"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode == 0


class TestSimulation:
    @pytest.mark.parametrize("public_url", [PUBLIC_URL, PUBLIC_URL + "/", "http://127.0.0.1:8080"])
    def test_a_simulated_webhook_is_a_real_one(self, public_url: str) -> None:
        options = TwilioOptions(auth_tokens=(TOKEN, OTHER_TOKEN))
        sid = new_message_sid()
        url, headers, body = signed_webhook(
            options, public_url, sender=SHOPPER, ours=OURS, text="查 8800 & 1234", message_sid=sid
        )
        assert url == public_url.rstrip("/") + "/channels/sms/twilio"
        lowered = {name.lower(): text for name, text in headers.items()}
        request = post(
            body,
            signature=lowered["x-twilio-signature"],
            content_type=lowered["content-type"],
            i_twilio_idempotency_token=lowered["i-twilio-idempotency-token"],
        )
        dialect = TwilioDialect(options, public_url)
        dialect.authenticate(request)
        (text,) = dialect.decode(request)
        assert isinstance(text, IncomingText)
        assert (text.sender, text.ours, text.text) == (SHOPPER, OURS, "查 8800 & 1234")
        assert text.message_id == sid
        assert text.alias_id

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"<Response/>", ""),
            (b"<Response><Message>a &lt; b</Message></Response>", "a < b"),
            (b"<Response><Message><Body>a</Body></Message></Response>", "a"),
            (b"<Response><Message>a</Message><Message>b</Message></Response>", "a\nb"),
        ],
    )
    def test_the_text_of_an_answer_is_read(self, body: bytes, text: str) -> None:
        assert read_reply(body) == text

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not found",
            b"<html/>",
            b"\xff\xfe",
            b'<!DOCTYPE a [<!ENTITY b "c">]><Response>&b;</Response>',
        ],
    )
    def test_another_document_is_no_answer(self, body: bytes) -> None:
        with pytest.raises(Undecodable):
            read_reply(body)


def _text(dialect: TwilioDialect, fields: Fields) -> IncomingText:
    (text,) = dialect.decode(post(fields))
    assert isinstance(text, IncomingText)
    return text
