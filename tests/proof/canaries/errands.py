"""Who brings canaries to a served instance: every provider of texts and calls, WeChat, browsers and API clients.

Each errand is done rightly, then with a wrong signature and in a malformed body; no answer is looked at.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from aiohttp import ClientError

from app.adapters.clock import SystemClock
from channels.ivr.settings import TwilioVoiceOptions
from channels.ivr.twilio.simulate import new_call_sid
from channels.ivr.twilio.simulate import signed_webhook as call_webhook
from channels.ivr.twilio.webhooks import CALLS
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.simulate import new_message_sid
from channels.sms.twilio.simulate import signed_webhook as text_webhook
from tests.acceptance.wechat.chat_site import OFFICIAL, PROGRAM, PROGRAM_ID, TEMPLATE, ChatSite
from tests.integration.ivr.fastagi.switch_side import GOOD_BLOCK, ModelSwitch
from tests.integration.sms.centres import NodeCentre
from tests.proof.canaries.canaries import Canaries

TOKEN: Final = "0123456789abcdef" * 2
SECRET: Final = "path-secret-of-the-callbacks"
_OURS: Final = "+861069000001"
_ACTION: Final = re.compile(rb'action="(https?://[^"]+)"')
_JSON: Final = {"content-type": "application/json"}
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
_CLOCK: Final = SystemClock()


def settings_of(*, centre: int, switch: int, closed: int) -> dict[str, str]:
    """Return the settings of every channel; whatever is to be pushed by HTTP goes to the port ``closed``."""
    nobody = f"http://127.0.0.1:{closed}"
    return {
        "YANZHEN_CHANNELS": "web,api,sms,ivr,wechat",
        "YANZHEN_SMS__TWILIO__AUTH_TOKENS": TOKEN,
        "YANZHEN_SMS__TWILIO__ACCOUNT_SID": "AC" + "1" * 32,
        "YANZHEN_SMS__TWILIO__API_URL": nobody,
        "YANZHEN_SMS__KANNEL__SECRET": SECRET,
        "YANZHEN_SMS__KANNEL__SEND_URL": f"{nobody}/cgi-bin/sendsms",
        "YANZHEN_SMS__GATEWAY__FILES": "alibaba",
        "YANZHEN_SMS__GATEWAY__SECRETS": SECRET,
        "YANZHEN_SMS__GATEWAY__REPLY_BY": "kannel",
        "YANZHEN_SMS__SMPP__HOST": "127.0.0.1",
        "YANZHEN_SMS__SMPP__PORT": str(centre),
        "YANZHEN_SMS__SMPP__SYSTEM_ID": "yanzhen",
        "YANZHEN_SMS__SMPP__PASSWORD": "secret",
        "YANZHEN_IVR__TWILIO__AUTH_TOKENS": TOKEN,
        "YANZHEN_IVR__FASTAGI__LISTEN": f"127.0.0.1:{switch}",
        "YANZHEN_IVR__FASTAGI__RECORDINGS": "yanzhen-reports",
        "YANZHEN_IVR__OPERATOR": "+86 755 8888 0000",
        "YANZHEN_IVR__RECORD_REPORTS": "true",
        **{
            f"YANZHEN_THROTTLE__{name}": "1000000"
            for name in ("IP_PER_MINUTE", "IP_WRONG_PER_10_MINUTES", "WEB_PER_HOUR", "WEB_WRONG_PER_HOUR")
        },
    }


@dataclass(kw_only=True)
class Errands:
    """Does errands at ``site``. ``sent`` counts those that arrived, also where they were refused."""

    site: ChatSite
    canaries: Canaries
    centre: NodeCentre | None = None
    switch: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self._texts: Iterator[str] = self.canaries.texts()

    async def until_ready(self) -> None:
        """Wait until the instance has bound to the message centre and listens to the switch."""
        if self.centre is not None:
            await self.centre.see("bound")
        never = asyncio.Event()
        for _ in range(1_200):  # a minute
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.switch)
            except OSError:
                with suppress(TimeoutError):
                    await asyncio.wait_for(never.wait(), 0.05)
            else:
                writer.close()
                return
        raise TimeoutError

    async def do_all(self, share: slice = slice(None)) -> None:
        """Do every errand with a share of the canaries, so that each of them comes at least once."""
        numbers, openids = self.canaries.numbers[share], self.canaries.openids[share]
        await asyncio.gather(
            self.texts_by_twilio(numbers[::4]),
            self.texts_by_kannel(numbers[1::4]),
            self.texts_by_gateway(numbers[2::4]),
            self.calls_by_twilio(numbers[3::8]),
            self.calls_by_switch(numbers[7::16]),
            self.texts_by_smpp(numbers[15::16]),
            self.chats(openids[::2]),
            self.mini_programs(openids[1::2]),
            self.browsers((*self.canaries.codes[share], *self.canaries.wrong[share])),
            self.api_clients(numbers[::5]),
        )

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """Send one request; a server that is gone by now is no matter here."""
        try:
            async with self.site.client.request(
                method, self.site.server.url + path, headers=headers, data=body, allow_redirects=False
            ) as response:
                self.sent += 1
                return response.status, await response.read()
        except (ClientError, TimeoutError):
            return 0, b""

    # -- text messages ---------------------------------------------------------------------------------------

    async def texts_by_twilio(self, numbers: tuple[str, ...]) -> None:
        options = TwilioOptions(auth_tokens=(TOKEN,))
        for number in numbers:
            address, headers, body = text_webhook(
                options,
                self.site.server.url,
                sender=f"+86{number}",
                ours=_OURS,
                text=next(self._texts),
                message_sid=new_message_sid(),
            )
            path = address.removeprefix(self.site.server.url)
            await self.ask("POST", path, headers, body)
            await self.ask(
                "POST", path, {**headers, "X-Twilio-Signature": b64encode(b"x" * 20).decode()}, body
            )
        await self.ask("POST", path, headers, body[:-30] + b"%ff%fe" + numbers[0].encode())

    async def texts_by_kannel(self, numbers: tuple[str, ...]) -> None:
        """Texts of codes, and of the first four a wish each: another language, help, no further texts, a number."""
        wishes = ("EN", "帮助", "TD", numbers[0])
        for place, number in enumerate(numbers):
            words = wishes[place] if place < len(wishes) else next(self._texts)
            query = {
                "from": f"+86{number}",
                "to": "95001",
                "text": words,
                "id": secrets.token_hex(8),
                "ts": f"{_CLOCK.now():%Y-%m-%d %H:%M:%S}",
            }
            await self.ask("GET", f"/channels/sms/kannel/{SECRET}?{urlencode(query)}")
            await self.ask("GET", f"/channels/sms/kannel/wrong?{urlencode(query)}")
            await self.ask("GET", f"/channels/sms/kannel/{SECRET}?{urlencode({**query, 'ts': number})}")
            await self.ask("GET", f"/channels/sms/kannel/{SECRET}/delivered/{number}?type=1&from={number}")

    async def texts_by_gateway(self, numbers: tuple[str, ...]) -> None:
        now = _CLOCK.now().astimezone(ZoneInfo("Asia/Shanghai"))
        items = [
            {
                "phone_number": number,
                "content": next(self._texts),
                "dest_code": "95001",
                "send_time": f"{now - timedelta(seconds=place):%Y-%m-%d %H:%M:%S}",
                "sequence_id": place,
            }
            for place, number in enumerate(numbers)
        ]
        for start in range(0, len(items), 10):
            body = json.dumps(items[start : start + 10], ensure_ascii=False).encode()
            for path in (SECRET, "wrong"):
                await self.ask("POST", f"/channels/sms/gateway/alibaba/{path}", _JSON, body)
            await self.ask("POST", f"/channels/sms/gateway/alibaba/{SECRET}", _JSON, body[:-5])
            odd = json.dumps([{**items[start], "send_time": numbers[0]}, numbers[0]]).encode()
            await self.ask("POST", f"/channels/sms/gateway/alibaba/{SECRET}", _JSON, odd)

    async def texts_by_smpp(self, numbers: tuple[str, ...]) -> None:
        for number in numbers if self.centre is not None else ():
            assert self.centre is not None
            self.sent += 1
            text = {"message": next(self._texts), "data_coding": 8, "source_addr": f"86{number}"}
            await self.centre.order("deliver", name=number, **text)
            await self.centre.see("answered", name=number)

    # -- calls -----------------------------------------------------------------------------------------------

    async def calls_by_twilio(self, numbers: tuple[str, ...]) -> None:
        for number in numbers:
            call, path, fields = new_call_sid(), CALLS.path, {}
            code = self.canaries.codes[int(number[-3:]) % len(self.canaries.codes)]
            for keys in ("", code, "3", number):
                status, body = await self._turn(
                    call, number, path, {**fields, "Digits": keys} if keys else {}
                )
                action = _ACTION.search(body)
                if status != 200 or action is None:
                    break
                path = action[1].decode().partition("//")[2].partition("/")[2]
                path, fields = f"/{path}", {"msg": "Gather End"}
            await self._turn(call, number, path, {"Digits": code}, token="f" * 32)

    async def _turn(
        self, call: str, number: str, path: str, fields: Mapping[str, str], token: str = TOKEN
    ) -> tuple[int, bytes]:
        options = TwilioVoiceOptions(auth_tokens=(token,))
        _, headers, body = call_webhook(
            options,
            self.site.server.url,
            path,
            call_sid=call,
            caller=f"+86{number}",
            ours=_OURS,
            fields=fields,
        )
        return await self.ask("POST", path, headers, body)

    async def calls_by_switch(self, numbers: tuple[str, ...]) -> None:
        for number in numbers if self.switch else ():
            code = self.canaries.codes[int(number[-3:]) % len(self.canaries.codes)]
            block = re.sub(rb"(agi_callerid(?:name)?): [^\n]*", rb"\1: +86" + number.encode(), GOOD_BLOCK)
            block = re.sub(rb"(agi_uniqueid): [^\n]*", rb"\1: " + secrets.token_hex(8).encode(), block)
            await ModelSwitch([f"{code}", "3"]).live(self.switch, block)
            await ModelSwitch([number]).live(self.switch, block.replace(b"agi_request", number.encode()))
            self.sent += 2

    # -- WeChat ----------------------------------------------------------------------------------------------

    async def chats(self, openids: tuple[str, ...]) -> None:
        for place, openid in enumerate(openids):
            for account in (OFFICIAL, PROGRAM)[: 1 + (place % 3 == 0)]:
                text = next(self._texts)
                await self.site.text(
                    account, text, openid=openid, message_id=23 * 10**15 + secrets.randbelow(10**12)
                )
                self.sent += 1
            bad = self.site.sealed(OFFICIAL, f"<xml><FromUserName>{openid}{text}", openid=openid)
            for query in (bad.query, {**bad.query, "msg_signature": openid}):
                await self.ask("POST", f"{OFFICIAL.path}?{urlencode(query)}", {}, bad.body)
            await self.ask("POST", f"{OFFICIAL.path}?{urlencode(bad.query)}", {}, openid.encode() * 3)
            if place % 10 == 0:
                await self.site.text(
                    OFFICIAL,
                    self.canaries.numbers[place],
                    openid=openid,
                    message_id=secrets.randbelow(10**17),
                )

    async def mini_programs(self, openids: tuple[str, ...]) -> None:
        for place, openid in enumerate(openids):
            self.site.platform.accounts[PROGRAM_ID].sign_in(openid, f"login-{openid}")
            self.site.platform.accounts[PROGRAM_ID].consent(openid, TEMPLATE)
            signed_in = await self._post("session", {}, {"code": f"login-{openid}", "app_id": PROGRAM_ID})
            await self._post("session", {}, {"code": openid})
            bearer = {"authorization": f"Bearer {signed_in.get('token', '')}"}
            code = self.canaries.codes[place % len(self.canaries.codes)]
            told = await self._post("verifications", bearer, {"code": code})
            await self._post("verifications", bearer, {"code": next(self._texts), "locale": openid})
            await self._post("recall-watches", bearer, {"result": told.get("result", "")})
            await self._post("recall-watches", bearer, {"result": openid})
            if place % 3:
                continue
            words = (
                f"{openid} saw {code}, call +86 {self.canaries.numbers[place % len(self.canaries.numbers)]}"
            )
            await self._post("reports", bearer, {"result": told.get("result"), "text": words})
            await self._post("reports", {"authorization": f"Bearer {openid}"}, {"text": words})
            await self.ask("POST", "/api/v1/wechat/reports", {**_JSON, **bearer}, words.encode())
            await self.ask("GET", f"/api/v1/wechat/verifications?limit={openid}", bearer)
            await self.ask("GET", "/api/v1/wechat/verifications", bearer)

    async def _post(self, name: str, headers: Mapping[str, str], document: object) -> dict[str, str]:
        _, body = await self.ask(
            "POST", f"/api/v1/wechat/{name}", {**_JSON, **headers}, json.dumps(document).encode()
        )
        try:
            told = json.loads(body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    # -- the web ---------------------------------------------------------------------------------------------

    async def browsers(self, codes: tuple[str, ...]) -> None:
        for place, code in enumerate(codes):
            await self.browser(code, strays=place % 5 == 0)

    async def browser(self, code: str, *, strays: bool = True) -> None:
        """Ask, and ask again; one who ``strays`` also goes where no page is."""
        form = urlencode({"code": code, "nonce": secrets.token_urlsafe(16)}).encode()
        await self.ask("POST", "/verify", _FORM, form)
        if not strays:
            return
        await self.ask("POST", "/verify", _FORM, form)
        await self.ask("POST", "/verify", {**_FORM, "Origin": f"https://{code}.example"}, form)
        await self.ask("POST", "/verify", _JSON, form)
        await self.ask("POST", "/verify", _FORM, b"code=%ff" + code.encode())
        for path in (f"/q/{code}", f"/q/{code}/{code}", f"/r/{code}", f"/01/{code}/21/{code}"):
            await self.ask("GET", path)

    async def api_clients(self, numbers: tuple[str, ...]) -> None:
        for number in numbers:
            await self.api_client(number)

    async def api_client(self, number: str) -> None:
        """Ask with the number wherever a client may put it, and with bodies that cannot be read."""
        text = next(self._texts)
        document = json.dumps({"code": text, "locale": number}).encode()
        key = {**_JSON, "Idempotency-Key": f"order of {number} {quote(text)}"[:200]}
        for _ in range(2):
            await self.ask("POST", "/api/v1/verifications", key, document)
        for body in (
            json.dumps({"code": f"{text} call me {number}", "entry": number}).encode(),
            json.dumps({"code": [number, text]}).encode(),
            document[:-2],
            text.encode() + b"\xff" + number.encode(),
        ):
            await self.ask("POST", "/api/v1/verifications", _JSON, body)
        await self.ask(
            "PUT", f"/api/v1/{number}?code={number}", {"user-agent": number, "cookie": f"yz={number}"}
        )

    async def at_once(self, count: int) -> None:
        """Have ``count`` questions of several kinds under way together, whatever becomes of them."""
        numbers, openids = self.canaries.numbers[:count], self.canaries.openids[:count]

        async def one(number: str, openid: str) -> None:
            await self.texts_by_twilio((number,))
            await self.texts_by_kannel((number,))
            await self.browser(next(self._texts))
            await self.mini_programs((openid,))

        await asyncio.gather(
            *(one(*each) for each in zip(numbers, openids, strict=False)), return_exceptions=True
        )
