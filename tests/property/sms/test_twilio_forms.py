"""What is read, signed and written for Twilio without its library is what the standard library and Twilio's own do."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from app.core.errors import Undecodable
from channels.base import InboundRequest
from channels.signatures import Form, parse_form
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.dialect import _NOT_XML, MESSAGES, TwilioDialect
from channels.sms.twilio.signing import Signatures
from tests.fakes.clock import FakeClock

_TOKENS = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)
_PIECES = st.sampled_from(
    [
        "a",
        "From",
        "=",
        "&",
        "+",
        "%",
        "%2",
        "%41",
        "%E4%BD%A0",
        "%e4%bd",
        "%F0%9F%98%80",
        "你",
        "é",
        "%zz",
        "%00",
        "\n",
        " ",
        ";",
    ]
)
_FIELDS = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=6)), max_size=8)
_URLS = st.sampled_from(
    ["https://verify.example", "https://verify.example:8443", "http://v.example:80", "https://v.example/base"]
)


@settings(max_examples=500)
@given(
    body=st.one_of(
        st.lists(_PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()), st.binary(max_size=24)
    )
)
@example(body=b"a=%E4&b=%BD%A0")
def test_a_form_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    try:
        expected = parse_qsl(body.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict")
    except ValueError:
        with pytest.raises(Undecodable):
            parse_form(body)
        return
    assert parse_form(body).pairs == expected


@given(fields=_FIELDS)
def test_a_form_gives_what_is_in_it(fields: list[tuple[str, str]]) -> None:
    form = parse_form(urlencode(fields).encode())
    assert list(form) == list(dict.fromkeys(name for name, _ in fields))
    assert len(form) == len({name for name, _ in fields})
    for name in form:
        assert form.getall(name) == [text for given_name, text in fields if given_name == name]
        assert form.first(name) == form.getall(name)[0]


@settings(max_examples=300)
@given(
    fields=_FIELDS,
    url=_URLS,
    token=st.sampled_from(_TOKENS),
    path=st.sampled_from(["/", "/sms/twilio", "/a/你"]),
)
def test_signatures_are_those_of_the_library(
    fields: list[tuple[str, str]], url: str, token: str, path: str
) -> None:
    form, library = Form(fields), RequestValidator(token)
    signatures = Signatures(_TOKENS, url)
    by_library = library.compute_signature(url + path, form)
    assert Signatures((token,), url).sign(path, form) == by_library
    assert signatures.match(path, form, by_library)
    assert library.validate(url + path, form, by_library)
    assert not signatures.match(path, form, RequestValidator("another").compute_signature(url + path, form))
    assert not signatures.match(path + "x", form, by_library)
    assert not signatures.match(path, Form([*fields, ("x", "y")]), by_library)


@settings(max_examples=300)
@given(text=st.text(max_size=40))
@example(text="a<b>&\"'\r\n\t{0}{}]]>")
@example(text="")
def test_twiml_is_what_the_library_writes(text: str) -> None:
    twiml = MessagingResponse()
    sayable = _NOT_XML.sub("", text)
    if sayable:
        twiml.message(sayable)
    request = InboundRequest(
        method="POST", route=MESSAGES.path, path=MESSAGES.path, remote="", received_at=FakeClock().now()
    )
    dialect = TwilioDialect(TwilioOptions(auth_tokens=_TOKENS), "https://verify.example")
    assert dialect.say(request, text).body == str(twiml).encode()
