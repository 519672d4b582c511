"""Who may write to us, under which token and key, and how the answer is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from channels.base import InboundRequest
from channels.wechat.crypto import MessageKeys
from channels.wechat.envelope import Envelopes
from channels.wechat.settings import Account
from channels.wechat.signatures import Signatures, sign
from channels.wechat.simulate import Message, handshake, read_answer, signed_webhook, text_message
from tests.contract.channel.wechat_bindings import (
    COMPATIBLE,
    KEY,
    MINI_PROGRAM,
    NONCE,
    NOW,
    OFFICIAL,
    OPENID,
    OTHER_KEY,
    PLAIN,
    brought,
    checked,
    delivery,
)

MESSAGE: Message = text_message("你好", openid=OPENID, message_id=7, created_at=NOW)


def opened(account: Account, request: InboundRequest) -> str:
    content = Envelopes(account, reads_json=False).open(request).fields["Content"]
    assert isinstance(content, str)
    return content


def test_a_signature_as_the_platforms_documents_show_it() -> None:
    """sha1 of the sorted token, timestamp and nonce, run together."""
    assert sign("weixin", "1409659589", "263014780") == sign("263014780", "weixin", "1409659589")
    assert sign("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"  # FIPS 180, appendix A


class TestModes:
    @pytest.mark.parametrize("account", [OFFICIAL, COMPATIBLE, PLAIN], ids=lambda account: account.mode.value)
    def test_each_reads_what_its_console_sends(self, account: Account) -> None:
        assert opened(account, brought(account, MESSAGE)) == "你好"

    def test_encrypted_takes_nothing_plain(self) -> None:
        with pytest.raises(NotAuthentic, match="not encrypted"):
            opened(OFFICIAL, brought(PLAIN, MESSAGE))

    def test_encrypted_reads_nothing_beside_the_envelope(self) -> None:
        assert opened(OFFICIAL, brought(COMPATIBLE, {**MESSAGE, "Content": "encrypted"})) == "encrypted"

    def test_compatible_takes_what_is_plain(self) -> None:
        assert opened(COMPATIBLE, brought(PLAIN, MESSAGE)) == "你好"

    def test_compatible_reads_the_encrypted_part(self) -> None:
        request = brought(COMPATIBLE, MESSAGE)
        forged = replace(request, body=request.body.replace("你好".encode(), "别信".encode()))
        assert forged.body != request.body
        assert opened(COMPATIBLE, forged) == "你好"

    def test_plain_takes_no_envelope(self) -> None:
        with pytest.raises(Undecodable):
            Envelopes(PLAIN, reads_json=False).open(
                replace(brought(OFFICIAL, MESSAGE), body=b"<Encrypt>1</Encrypt>")
            )

    def test_a_mini_program_reads_json_and_an_official_account_does_not(self) -> None:
        request = brought(MINI_PROGRAM, MESSAGE, as_json=True)
        assert Envelopes(MINI_PROGRAM, reads_json=True).open(request).fields["MsgId"] == "7"
        with pytest.raises(NotAuthentic):
            Envelopes(OFFICIAL, reads_json=False).open(request)


class TestKeysThatChange:
    @pytest.mark.parametrize("key", [KEY, OTHER_KEY])
    @pytest.mark.parametrize("token", OFFICIAL.tokens)
    def test_the_answer_is_closed_by_what_opened_the_request(self, key: str, token: str) -> None:
        """Technical plan of encrypted messages, point 5: reply under the key that decrypted."""
        theirs = replace(OFFICIAL, tokens=(token,), aes_keys=(key,))
        envelopes = Envelopes(OFFICIAL, reads_json=False)
        request = brought(theirs, MESSAGE)
        document = "<xml><MsgType>text</MsgType><Content>好</Content></xml>"
        answer = envelopes.close(envelopes.open(request), document)
        assert read_answer(theirs, answer.body).text == "好"
        assert b"Content" not in answer.body

    def test_another_key_or_token_is_refused(self) -> None:
        for theirs in (replace(OFFICIAL, aes_keys=("b" * 43,)), replace(OFFICIAL, tokens=("no",))):
            with pytest.raises(NotAuthentic):
                opened(OFFICIAL, brought(theirs, MESSAGE))

    def test_another_app_id_in_the_envelope_is_refused(self) -> None:
        for app_id in ("wx0000000000000000", OFFICIAL.app_id + "0", OFFICIAL.app_id[:-1]):
            with pytest.raises(NotAuthentic, match="AppID"):
                opened(OFFICIAL, brought(replace(OFFICIAL, app_id=app_id), MESSAGE))

    def test_an_envelope_addressed_to_another_account_is_refused(self) -> None:
        request = brought(OFFICIAL, MESSAGE)
        body = request.body.replace(b"gh_0123456789ab", b"gh_0123456789ac")
        with pytest.raises(NotAuthentic, match="addressed"):
            opened(OFFICIAL, replace(request, body=body))

    @pytest.mark.parametrize("sealed", ["", "A", "AAAA", "A" * 64, "é" * 64, "\ud800", "=" * 24])
    def test_noise_opens_with_no_key(self, sealed: str) -> None:
        with pytest.raises(NotAuthentic):
            MessageKeys((KEY,), "wx1", account="it").unseal(sealed)

    def test_every_length_survives(self) -> None:
        """The padding is to 32 bytes, not to the 16 of the cipher."""
        keys = MessageKeys((KEY,), "wx1", account="it")
        for length in range(70):
            assert keys.unseal(keys.seal("x" * length)).text == "x" * length

    def test_equal_texts_are_sealed_alike_and_unlike_ones_begin_unlike(self) -> None:
        keys = MessageKeys((KEY,), "wx1", account="it")
        assert keys.seal("text", about="a") == keys.seal("text", about="a")
        beginnings = {keys.seal(text, about=about)[:20] for text in ("text", "texts") for about in ("a", "b")}
        assert len(beginnings) == 4


class TestFreshness:
    @pytest.mark.parametrize("seconds", [-300, -1, 0, 300])
    def test_five_minutes_are_allowed(self, seconds: int) -> None:
        assert opened(OFFICIAL, brought(OFFICIAL, MESSAGE, sent_at=NOW + seconds)) == "你好"

    @pytest.mark.parametrize("seconds", [-86_400, -301, 301, 10**9])
    def test_more_is_refused(self, seconds: int) -> None:
        with pytest.raises(NotAuthentic, match="too old"):
            opened(OFFICIAL, brought(OFFICIAL, MESSAGE, sent_at=NOW + seconds))

    def test_a_nonce_may_come_again(self) -> None:
        envelopes = Envelopes(OFFICIAL, reads_json=False)
        for number in (1, 2):
            request = brought(OFFICIAL, {**MESSAGE, "MsgId": number}, nonce="again")
            assert envelopes.open(request).fields["MsgId"] == str(number)

    @pytest.mark.parametrize("nonce", ["", "a b", "]]>", "é", "x" * 65, "\n"])
    def test_a_nonce_that_could_not_stand_in_the_answer_is_refused(self, nonce: str) -> None:
        with pytest.raises(NotAuthentic):
            opened(OFFICIAL, brought(OFFICIAL, MESSAGE, nonce=nonce))


class TestHandshake:
    @pytest.mark.parametrize("account", [OFFICIAL, COMPATIBLE, PLAIN], ids=lambda account: account.mode.value)
    def test_what_the_platform_shows_comes_back(self, account: Account) -> None:
        query = handshake(account, "5927782489442352469", sent_at=NOW, nonce=NONCE)
        assert Envelopes(account, reads_json=False).open_handshake(checked(account, query)) == (
            "5927782489442352469"
        )

    def test_an_encrypted_one_comes_back_decrypted(self) -> None:
        shown = MessageKeys((OTHER_KEY,), OFFICIAL.app_id, account="it").seal("5927782489442352469")
        query = {
            "timestamp": str(NOW),
            "nonce": NONCE,
            "echostr": shown,
            "msg_signature": sign("token-of-before", str(NOW), NONCE, shown),
        }
        request = checked(OFFICIAL, query)
        assert Envelopes(OFFICIAL, reads_json=False).open_handshake(request) == "5927782489442352469"
        with pytest.raises(NotAuthentic):
            Envelopes(OFFICIAL, reads_json=False).open_handshake(
                replace(request, query={**query, "msg_signature": "0" * 40})
            )

    @pytest.mark.parametrize("change", [{"signature": ""}, {"timestamp": "x"}, {"nonce": "1"}])
    def test_a_forged_one_is_refused(self, change: dict[str, str]) -> None:
        query = {**handshake(OFFICIAL, "1", sent_at=NOW, nonce=NONCE), **change}
        with pytest.raises(NotAuthentic):
            Envelopes(OFFICIAL, reads_json=False).open_handshake(checked(OFFICIAL, query))

    @pytest.mark.parametrize("echo", ["", "a b", "<script>\n", "é", "x" * 513])
    def test_only_a_word_is_shown_again(self, echo: str) -> None:
        query = handshake(OFFICIAL, echo, sent_at=NOW, nonce=NONCE)
        with pytest.raises(Undecodable):
            Envelopes(OFFICIAL, reads_json=False).open_handshake(checked(OFFICIAL, query))


class TestSettings:
    @pytest.mark.parametrize(
        "account",
        [
            replace(OFFICIAL, tokens=()),
            replace(OFFICIAL, tokens=("token", "")),
            replace(OFFICIAL, aes_keys=()),
            replace(OFFICIAL, app_id=""),
            replace(OFFICIAL, aes_keys=("short",)),
            replace(COMPATIBLE, aes_keys=("?" * 43,)),
        ],
    )
    def test_an_account_that_anybody_could_play_is_refused(self, account: Account) -> None:
        with pytest.raises(SettingsInvalid, match="official-account"):
            Envelopes(account, reads_json=False)

    def test_no_secret_and_no_content_stand_in_a_repr(self) -> None:
        webhook = signed_webhook(OFFICIAL, MESSAGE, sent_at=NOW, nonce=NONCE)
        shown = Envelopes(OFFICIAL, reads_json=False).open(delivery(OFFICIAL, webhook))
        for secret in (*OFFICIAL.tokens, *OFFICIAL.aes_keys, OFFICIAL.app_secret, OPENID, "你好"):
            assert secret not in f"{OFFICIAL!r} {shown!r} {webhook!r}"

    def test_every_token_is_tried(self) -> None:
        signatures = Signatures(("one", "two"), account="it")
        for token in ("one", "two"):
            assert signatures.prove(sign(token, "1", "2"), timestamp="1", nonce="2") == token
