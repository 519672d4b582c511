"""The mini-program's API in memory: sign-in, verification, own history, recall watches and reports, on every path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from app.core.model.caller import CallerKind
from app.core.model.label import BrandId
from app.core.model.reply import ReplyAddress
from app.core.model.verdict import VerificationId
from channels.abilities import ErrandFailed
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind
from channels.recalls import RecallNotices
from channels.turns import ThrottleSubject
from channels.wechat.api.adapter import MiniProgramApiAdapter
from channels.wechat.api.sessions import LIVES_FOR, MiniProgram
from channels.wechat.settings import Account, AccountKind
from channels.wording.recall import RecallWords
from tests.fakes.fake_sign_ins import FakeSignIns
from tests.fakes.open_throttle import OpenThrottle, ShutThrottle
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.fakes.scripted_sender import ScriptedSender

OPENID, OTHER = "oOpenid-of-the-one", "oOpenid-of-another"
MAIN = Account(
    name="mini-program",
    kind=AccountKind.MINI_PROGRAM,
    tokens=("t",),
    app_id="wx-main",
    app_secret="secret",
    recall_template="template-1",
)
FURTHER = replace(
    MAIN, name="orchard", app_id="wx-orchard", recall_template="", brands=frozenset({BrandId(7)})
)
SESSION = "/api/v1/wechat/session"
VERIFICATIONS = "/api/v1/wechat/verifications"
WATCHES = "/api/v1/wechat/recall-watches"
REPORTS = "/api/v1/wechat/reports"
REMOTE = "192.0.2.7"
_PATIENCE_MS = 60_000


class App:
    """A mini-program's requests to one service."""

    def __init__(self, service: SampleService, *, sessions_from: datetime | None = None) -> None:
        self.service = service
        accounts = (replace(MAIN, sessions_from=sessions_from), FURTHER)
        self.platforms = {account.app_id: FakeSignIns() for account in accounts}
        programs = [
            MiniProgram(account=account, platform=self.platforms[account.app_id]) for account in accounts
        ]
        self.adapter = MiniProgramApiAdapter(service.context, programs)
        # the deadline is one of real time: it is others' to prove, and a machine that stalls must not answer here
        self.adapter.manifest = replace(self.adapter.manifest, deadline_ms=_PATIENCE_MS)
        self._codes = 0

    async def carry(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = "",
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> OutboundResponse:
        request = InboundRequest(
            method=method,
            route=path,
            path=path,
            query=query or {},
            headers={
                "content-type": "application/json",
                **({"authorization": f"Bearer {token}"} if token else {}),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            body=body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body),
            remote=REMOTE,
            received_at=self.service.clock.now(),
        )
        return await self.service.pipeline.carry(self.adapter, request)

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
        answer = await self.carry(method, path, body, **more)
        assert ("Cache-Control", "no-store") in answer.headers
        return answer.status, orjson.loads(answer.body) if answer.body else None

    async def sign_in(self, openid: str = OPENID, *, app_id: str | None = None) -> str:
        """Sign in and return the token."""
        self._codes += 1
        code = f"js-code-{self._codes}"
        self.platforms[app_id or MAIN.app_id].codes[code] = openid
        body = {"code": code} | ({"app_id": app_id} if app_id else {})
        status, session = await self.ask("POST", SESSION, body)
        assert status == 200
        token: str = session["token"]
        return token

    async def verify(self, token: str, code: str, **members: object) -> Any:
        status, verdict = await self.ask("POST", VERIFICATIONS, {"code": code, **members}, token=token)
        assert status == 200
        return verdict


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service(throttle=OpenThrottle())
    yield service
    await service.engine.close()


@pytest.fixture
def app(service: SampleService) -> App:
    return App(service)


# -- sign-in -------------------------------------------------------------------------------------------------


async def test_a_login_code_becomes_a_token_of_two_hours(app: App) -> None:
    app.platforms["wx-main"].codes["js-1"] = OPENID
    status, session = await app.ask("POST", SESSION, {"code": "js-1"})
    assert (status, session.keys()) == (200, {"token", "expires_in", "recall_template"})
    assert (session["expires_in"], session["recall_template"]) == (7200, "template-1")
    assert OPENID not in session["token"]
    assert (await app.verify(session["token"], app.service.code()))["outcome"] == "first"


async def test_a_code_works_once(app: App) -> None:
    app.platforms["wx-main"].codes["js-1"] = OPENID
    statuses = [(await app.ask("POST", SESSION, {"code": "js-1"}))[0] for _ in range(2)]
    assert statuses == [200, 401]
    answer = await app.carry("POST", SESSION, {"code": "js-1"})
    assert orjson.loads(answer.body)["code"] == "sign_in_refused"
    assert ("WWW-Authenticate", "Bearer") in answer.headers


async def test_each_account_asks_its_own_platform(app: App) -> None:
    app.platforms["wx-main"].codes["js-1"] = OPENID
    app.platforms["wx-orchard"].codes["js-2"] = OPENID
    status, session = await app.ask("POST", SESSION, {"code": "js-2", "app_id": "wx-orchard"})
    assert (status, session["recall_template"]) == (200, None)
    assert (app.platforms["wx-main"].asked, app.platforms["wx-orchard"].asked) == ([], ["js-2"])
    for unknown in ("wx-other", "", 7, ["wx-main"]):
        status, problem = await app.ask("POST", SESSION, {"code": "js-1", "app_id": unknown})
        assert (status, problem["code"]) == (422, "unknown_app")


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_a_platform_that_does_not_answer_is_trouble_of_ours(app: App, locale: str) -> None:
    app.platforms["wx-main"].trouble = ErrandFailed(why="no_answer")
    answer = await app.carry("POST", SESSION, {"code": "js-1"}, accept_language=locale)
    problem = orjson.loads(answer.body)
    assert (answer.status, problem["code"], problem["locale"]) == (503, "unavailable", locale)
    assert ("Retry-After", "5") in answer.headers
    assert app.service.journal.counts["sign_in_no_answer", "wechat"] == 1


async def test_sign_ins_count_against_the_address_alone(app: App) -> None:
    await app.sign_in()
    throttle = app.service.throttle
    assert isinstance(throttle, OpenThrottle)
    assert throttle.asked == [(ThrottleSubject("address", REMOTE),)]


async def test_an_address_that_signs_in_too_often_is_told_when_to_come_back() -> None:
    service = await start_sample_service(throttle=ShutThrottle())
    app = App(service)
    answer = await app.carry("POST", SESSION, {"code": "js-1"}, accept_language="en")
    problem = orjson.loads(answer.body)
    assert (answer.status, problem["code"], problem["outcome"]) == (429, "throttled", "throttled")
    assert ("Retry-After", "60") in answer.headers
    assert app.platforms["wx-main"].asked == []
    await service.engine.close()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "missing_code"),
        ({"code": 5}, 422, "missing_code"),
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b'{"code": "\xff"}', 400, "invalid_utf8"),
    ],
)
async def test_what_is_no_sign_in_is_refused(app: App, body: object, status: int, code: str) -> None:
    told, problem = await app.ask("POST", SESSION, body)
    assert (told, problem["code"]) == (status, code)
    assert app.platforms["wx-main"].asked == []


# -- tokens --------------------------------------------------------------------------------------------------


def changed(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


async def test_no_request_passes_without_a_token_of_ours(app: App) -> None:
    token = await app.sign_in()
    identities = app.service.context.identities
    foreign_account = orjson.dumps({"account": "gone", "openid": OPENID, "ends_at": 2**40})
    wrong = {
        "": "Bearer",
        "Bearer": "Bearer",
        f"Basic {token}": "Bearer",
        token: "Bearer",
        f"Bearer {changed(token, 5)}": 'Bearer error="invalid_token"',
        f"Bearer {token[:-1]}": 'Bearer error="invalid_token"',
        f"Bearer {token} {token}": 'Bearer error="invalid_token"',
        "Bearer 💡": 'Bearer error="invalid_token"',
        f"Bearer {identities.seal_state(b'{}', about='call-1')}": 'Bearer error="invalid_token"',
        f"Bearer {identities.seal_result(VerificationId(1))}": 'Bearer error="invalid_token"',
        f"Bearer {identities.seal_state(foreign_account, about='mini-program')}": 'Bearer error="invalid_token"',
    }
    for authorization, challenge in wrong.items():
        for method, path in (
            ("POST", VERIFICATIONS),
            ("GET", VERIFICATIONS),
            ("POST", WATCHES),
            ("POST", REPORTS),
        ):
            answer = await app.carry(
                method,
                path,
                {"code": app.service.code(), "text": "x"},
                authorization=authorization,
                cookie=f"__Host-yz_caller={token}; token={token}",
            )
            assert (answer.status, orjson.loads(answer.body)["code"]) == (401, "sign_in_required")
            assert ("WWW-Authenticate", challenge) in answer.headers
    assert app.service.store.facts == []
    assert app.service.reports.kept == {}


async def test_a_token_ends(app: App) -> None:
    token = await app.sign_in()
    app.service.clock.advance(LIVES_FOR.total_seconds() - 1)
    assert (await app.ask("GET", VERIFICATIONS, token=token))[0] == 200
    app.service.clock.advance(1)
    assert (await app.ask("GET", VERIFICATIONS, token=token))[0] == 401
    renewed = await app.sign_in()
    assert (await app.ask("GET", VERIFICATIONS, token=renewed))[0] == 200


async def test_an_operator_ends_all_sessions_of_one_mini_program(app: App) -> None:
    clock = app.service.clock
    early, elsewhere = await app.sign_in(), await app.sign_in(app_id=FURTHER.app_id)
    clock.advance(60)
    ended = App(app.service, sessions_from=clock.now())
    late = await ended.sign_in()
    statuses = [(await ended.ask("GET", VERIFICATIONS, token=one))[0] for one in (early, late, elsewhere)]
    assert statuses == [401, 200, 200]


async def test_a_time_to_come_ends_sessions_when_it_has_come(app: App) -> None:
    ahead = App(app.service, sessions_from=app.service.clock.now() + timedelta(minutes=1))
    token = await ahead.sign_in()
    assert (await ahead.ask("GET", VERIFICATIONS, token=token))[0] == 200
    app.service.clock.advance(60)
    assert (await ahead.ask("GET", VERIFICATIONS, token=token))[0] == 401
    renewed = await ahead.sign_in()
    assert (await ahead.ask("GET", VERIFICATIONS, token=renewed))[0] == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(app: App, scheme: str) -> None:
    token = await app.sign_in()
    answer = await app.carry("GET", VERIFICATIONS, authorization=f"{scheme} {token}")
    assert answer.status == 200


# -- verification --------------------------------------------------------------------------------------------


async def test_a_first_verification_in_full(app: App) -> None:
    token = await app.sign_in()
    code = app.service.code()
    verdict = await app.verify(token, f"https://verify.example/q/{code}", locale="en", entry="scanned")
    result = verdict.pop("result")
    assert app.service.context.identities.open_result(result) == VerificationId(1)
    assert verdict == {
        "outcome": "first",
        "ordinal": 1,
        "reasons": [],
        "message": "This code matches our record. This is its first check.",
        "headline": "Matches our record, first check",
        "lead": verdict["lead"],
        "facts": [
            {"name": "count", "label": "Times checked", "value": "Once, just now"},
            {"name": "recorded", "label": "This check", "value": "5 March 2026 at 09:12"},
        ],
        "look_at": verdict["look_at"],
        "next_step": verdict["next_step"],
        "product": "Coast infant formula 800 g",
        "brand": "Coast Pastures",
        "programme": "Quality Month label",
        "service_line": "400-800-1234",
        "recorded_at": "2026-03-05T01:12:00Z",
        "locale": "en",
    }
    assert verdict["lead"]
    assert verdict["next_step"]
    assert len(verdict["look_at"]) >= 2
    (fact,) = app.service.store.facts
    assert fact.verification.channel == "wechat"
    identity = app.service.context.identities.caller(CallerKind.WECHAT, f"wx-main/{OPENID}")
    assert fact.token == identity.token


async def test_a_slip_gives_its_place_and_no_result(app: App) -> None:
    token = await app.sign_in()
    code = app.service.code()
    slip = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    verdict = await app.verify(token, slip)
    assert (verdict["outcome"], verdict["slip_position"]) == ("mistyped", [7])
    assert verdict["ordinal"] is verdict["result"] is verdict["recorded_at"] is verdict["product"] is None


async def test_the_same_key_is_one_query_and_a_strangers_key_another(app: App) -> None:
    token, stranger = await app.sign_in(), await app.sign_in(OTHER)
    code = app.service.code()
    answers = [
        await app.carry("POST", VERIFICATIONS, {"code": code}, token=one, idempotency_key="key-1")
        for one in (token, token, stranger)
    ]
    assert answers[0] == answers[1]
    outcomes = [orjson.loads(answer.body)["outcome"] for answer in answers]
    assert outcomes == ["first", "first", "repeat"]
    assert len(app.service.store.facts) == 2


async def test_a_key_outlives_the_token(app: App) -> None:
    """Whoever had to sign in again before trying again still asks the same question."""
    code, answers = app.service.code(), []
    for _ in range(2):
        token = await app.sign_in()
        answers.append(
            await app.carry("POST", VERIFICATIONS, {"code": code}, token=token, idempotency_key="key-1")
        )
        app.service.clock.advance(2 * 3600)
    assert answers[0] == answers[1]
    assert len(app.service.store.facts) == 1


async def test_one_person_in_two_mini_programs_is_two_callers(app: App) -> None:
    ours, theirs = await app.sign_in(), await app.sign_in(app_id="wx-orchard")
    assert (await app.verify(ours, app.service.code()))["outcome"] == "first"
    assert (await app.verify(ours, app.service.code()))["outcome"] == "repeat_own"
    verdict = await app.verify(theirs, app.service.code())
    assert (verdict["outcome"], verdict["product"]) == ("not_found", None), "another brand's code"
    _, ours_read = await app.ask("GET", VERIFICATIONS, token=ours)
    _, theirs_read = await app.ask("GET", VERIFICATIONS, token=theirs)
    assert [len(body["records"]) for body in (ours_read, theirs_read)] == [2, 1]


async def test_the_limits_count_the_person_and_the_address(app: App) -> None:
    token = await app.sign_in()
    await app.verify(token, app.service.unknown_code())
    throttle = app.service.throttle
    assert isinstance(throttle, OpenThrottle)
    caller = app.service.context.identities.caller(CallerKind.WECHAT, f"wx-main/{OPENID}")
    expected = (ThrottleSubject("wechat", caller.token or b""), ThrottleSubject("address", REMOTE))
    assert throttle.asked[1:] == [expected]
    assert throttle.wrong == [expected]


async def test_what_cannot_be_recorded_is_unavailable(app: App) -> None:
    token = await app.sign_in()
    app.service.store.down = True
    answer = await app.carry("POST", VERIFICATIONS, {"code": app.service.code(), "locale": "en"}, token=token)
    problem = orjson.loads(answer.body)
    assert (answer.status, problem["code"], problem["outcome"]) == (503, "unavailable", "unavailable")
    assert "Retry-After" in dict(answer.headers)


# -- history -------------------------------------------------------------------------------------------------


async def test_a_history_is_of_records_the_newest_first(app: App) -> None:
    token, stranger = await app.sign_in(), await app.sign_in(OTHER)
    told = [await app.verify(token, app.service.code(number=number)) for number in (1, 2)]
    await app.verify(stranger, app.service.code(number=3))
    told.append(await app.verify(token, app.service.unknown_code()))
    status, body = await app.ask("GET", VERIFICATIONS, token=token, query={"locale": "en"})
    assert status == 200
    assert body["locale"] == "en"
    assert [record["result"] for record in body["records"]] == [verdict["result"] for verdict in told[::-1]]
    assert body["records"][1] == {
        "outcome": "first",
        "headline": "Matches our record, first check",
        "recorded_at": "2026-03-05T01:12:00Z",
        "product": "Coast infant formula 800 g",
        "result": told[1]["result"],
    }
    assert body["records"][0]["product"] is None
    assert len(app.service.store.facts) == 4, "reading counts nothing"


async def test_a_history_may_be_cut(app: App) -> None:
    token = await app.sign_in()
    for number in range(25):
        await app.verify(token, app.service.code(number=number))
    for query, length in (({}, 20), ({"limit": "1"}, 1), ({"limit": "50"}, 25)):
        _, body = await app.ask("GET", VERIFICATIONS, token=token, query=query)
        assert len(body["records"]) == length
    for limit in ("0", "51", "-1", "", "ten", "١", "9" * 400):
        status, problem = await app.ask("GET", VERIFICATIONS, token=token, query={"limit": limit})
        assert (status, problem["code"]) == (422, "invalid_limit")


@pytest.mark.parametrize(
    ("query", "header", "locale"),
    [
        ({"locale": "en"}, "zh-CN", "en"),
        ({"locale": "fr"}, "en", "en"),
        ({}, "en-US,en;q=0.9", "en"),
        ({}, "", "zh-CN"),
        ({}, "fr", "zh-CN"),
    ],
)
async def test_a_history_speaks_the_readers_language(
    app: App, query: dict[str, str], header: str, locale: str
) -> None:
    token = await app.sign_in()
    await app.verify(token, app.service.code())
    _, body = await app.ask("GET", VERIFICATIONS, token=token, query=query, accept_language=header)
    assert body["locale"] == locale
    assert body["records"][0]["product"].isascii() is (locale == "en")


async def test_a_history_waits_for_the_record(app: App) -> None:
    token = await app.sign_in()
    app.service.store.down = True
    answer = await app.carry("GET", VERIFICATIONS, token=token)
    assert (answer.status, orjson.loads(answer.body)["code"]) == (503, "unavailable")
    assert ("Retry-After", "5") in answer.headers


# -- recalls -------------------------------------------------------------------------------------------------


async def test_a_recall_is_watched_at_the_callers_own_address(app: App) -> None:
    token = await app.sign_in()
    verdict = await app.verify(token, app.service.code())
    for _ in range(2):
        status, body = await app.ask(
            "POST", WATCHES, {"result": verdict["result"], "locale": "en"}, token=token
        )
        assert (status, body) == (204, None)
    app.service.recall()
    (notice,) = await app.service.watches.due()
    assert notice.address == ReplyAddress(sender="mini-program/recall", recipient=OPENID)
    assert notice.locale == "en"


async def test_who_asked_is_told_of_a_recall_once(app: App) -> None:
    service = app.service
    token = await app.sign_in()
    verdict = await app.verify(token, service.code())
    assert (await app.ask("POST", WATCHES, {"result": verdict["result"]}, token=token))[0] == 204
    service.recall()
    sender = ScriptedSender("mini-program/recall")
    for _ in range(3):
        notices = RecallNotices(
            watches=service.watches,
            outbox=service.outbox,
            words=RecallWords.load("Asia/Shanghai"),
            journal=service.journal,
            clock=service.clock,
            deliver=lambda: None,
        )
        for part in (notices.run(), service.courier([sender]).run()):
            task = asyncio.create_task(part)
            for _ in range(50):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
        service.clock.advance(700)
    assert service.journal.failures == []
    (sent,) = sender.sent
    assert sent.address.recipient == OPENID
    assert json.loads(sent.text)["data"]["thing1"]["value"] == "海岸婴儿配方奶粉 800 克"


async def test_only_ones_own_check_of_a_label_of_ours_is_watched(app: App) -> None:
    token, stranger = await app.sign_in(), await app.sign_in(OTHER)
    own = await app.verify(token, app.service.code())
    unknown = await app.verify(token, app.service.unknown_code())
    for result, who in (
        (own["result"], stranger),
        (unknown["result"], token),
        ("x" * 22, token),
        (None, token),
        (7, token),
    ):
        status, problem = await app.ask("POST", WATCHES, {"result": result}, token=who)
        assert (status, problem["code"]) == (404, "unknown_result")
    app.service.recall()
    assert await app.service.watches.due() == []


async def test_a_mini_program_without_a_template_tells_of_no_recalls(app: App) -> None:
    token = await app.sign_in(app_id="wx-orchard")
    status, problem = await app.ask("POST", WATCHES, {"result": "x" * 22}, token=token)
    assert (status, problem["code"]) == (404, "recall_notices_not_offered")


async def test_a_watch_that_cannot_be_kept_is_asked_for_again(app: App) -> None:
    token = await app.sign_in()
    verdict = await app.verify(token, app.service.code())
    app.service.watches.down = True
    status, problem = await app.ask("POST", WATCHES, {"result": verdict["result"]}, token=token)
    assert (status, problem["code"]) == (503, "unavailable")


# -- reports -------------------------------------------------------------------------------------------------

WORDS = "封口像是被打开过"


async def test_a_report_is_kept_beside_the_check_it_is_about(app: App) -> None:
    token = await app.sign_in()
    verdict = await app.verify(token, app.service.code())
    status, body = await app.ask(
        "POST", REPORTS, {"result": verdict["result"], "text": f" {WORDS}\n"}, token=token
    )
    assert (status, body) == (204, None)
    (report,) = app.service.reports.kept.values()
    assert (report.channel, report.account, report.words) == ("wechat", "mini-program", WORDS)
    assert report.verification_id == VerificationId(1)


async def test_a_caller_and_a_check_are_one_report_and_without_a_check_a_day_is(app: App) -> None:
    token, stranger = await app.sign_in(), await app.sign_in(OTHER)
    results = [(await app.verify(token, app.service.code(number=number)))["result"] for number in (1, 2)]
    for result, who, kept in (
        (results[0], token, 1),
        (results[0], token, 1),
        (results[1], token, 2),
        (results[0], stranger, 3),
        (None, token, 4),
        (None, token, 4),
        (None, stranger, 5),
    ):
        assert (await app.ask("POST", REPORTS, {"result": result, "text": WORDS}, token=who))[0] == 204
        assert len(app.service.reports.kept) == kept
    app.service.clock.advance(timedelta(days=1).total_seconds())
    token = await app.sign_in()
    assert (await app.ask("POST", REPORTS, {"text": WORDS}, token=token))[0] == 204
    assert len(app.service.reports.kept) == 6


@pytest.mark.parametrize("text", [None, 7, "", " \n", "字" * 501, ["x"]])
async def test_what_is_no_report_is_refused(app: App, text: object) -> None:
    token = await app.sign_in()
    status, problem = await app.ask("POST", REPORTS, {"text": text}, token=token)
    assert (status, problem["code"]) == (422, "invalid_text")
    assert app.service.reports.kept == {}


async def test_a_report_may_be_as_long_as_promised(app: App) -> None:
    token = await app.sign_in()
    body = json.dumps({"text": "😀" * 500}).encode()
    (route,) = [route for route in app.adapter.routes() if route.path == REPORTS]
    assert len(body) <= route.max_body_bytes
    assert (await app.ask("POST", REPORTS, body, token=token))[0] == 204


async def test_a_report_about_a_check_that_is_none_is_refused(app: App) -> None:
    token = await app.sign_in()
    for result in ("x" * 22, "", 7):
        status, problem = await app.ask("POST", REPORTS, {"result": result, "text": WORDS}, token=token)
        assert (status, problem["code"]) == (404, "unknown_result")


async def test_a_report_that_cannot_be_kept_is_not_thanked_for(app: App) -> None:
    token = await app.sign_in()
    app.service.reports.down = True
    status, problem = await app.ask("POST", REPORTS, {"text": WORDS}, token=token)
    assert (status, problem["code"]) == (503, "unavailable")


# -- secrecy -------------------------------------------------------------------------------------------------


async def test_an_openid_stands_in_no_answer_repr_or_message_id(app: App) -> None:
    token = await app.sign_in()
    verdict = await app.verify(token, app.service.code())
    body = {"result": verdict["result"], "text": WORDS}
    seen = [await app.carry("POST", path, body, token=token) for path in (WATCHES, REPORTS)]
    seen.append(await app.carry("GET", VERIFICATIONS, token=token))
    assert all(OPENID.encode() not in answer.body for answer in seen)
    for path in (VERIFICATIONS, WATCHES, REPORTS):
        request = InboundRequest(
            method="POST",
            route=path,
            path=f"{path}?{urlencode(body)}",
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {token}",
                "idempotency-key": "k",
            },
            body=orjson.dumps({"code": app.service.code(), **body}),
            received_at=app.service.clock.now(),
        )
        assert OPENID not in repr(app.adapter.decode(request))


def test_every_refusal_of_the_server_is_a_problem_document(app: App) -> None:
    for kind in RefusalKind:
        answer = app.adapter.refuse(Refusal(kind=kind, locale="en"))
        assert answer.content_type == "application/problem+json"
        assert orjson.loads(answer.body)["status"] == answer.status >= 400


def test_without_a_mini_program_there_is_no_api(service: SampleService) -> None:
    with pytest.raises(ValueError, match="mini-program"):
        MiniProgramApiAdapter(service.context, [])
