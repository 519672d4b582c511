"""A hotline of four prompts against which the peer itself is proved: it checks every signature and notes every post."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from twilio.request_validator import RequestValidator

from tests.acceptance.ivr.sound import Samples, encode_clip, noise

TOKEN: Final = "token-of-the-toy-hotline"
RIGHT: Final = "11223344"
CLIPS: Final[dict[str, Samples]] = {
    "greeting": noise(1, 2000),
    "genuine": noise(2, 1200),
    "unknown": noise(3, 1200),
    "goodbye": noise(4, 600),
}
_GREETING: Final = "<Play>/clip/greeting.wav</Play>"
_GATHER: Final = f'<Gather action="entered?call=1" timeout="1">{_GREETING}</Gather>'
_DOCUMENTS: Final = {
    "/voice": f"{_GATHER}<Redirect>silence</Redirect>",
    "/wants-every-silence": '<Gather action="entered" timeout="1" actionOnEmptyResult="true" numDigits="8"/>',
    "/silence": "<Say language='zh-CN'>再见</Say><Pause length='1'/><Play>clip/goodbye.wav</Play><Hangup/>",
    "/report": '<Record action="/reported" timeout="1" maxLength="5"/><Hangup/>',
    "/reported": '<Dial action="/dialled"><Number>4008001234</Number></Dial>',
    "/dialled": "<Play>/clip/goodbye.wav</Play>",
    "/refusing": '<Reject reason="busy"/>',
    "/strange": '<Gather speed="2"/>',
    "/no-clip": "<Play>/not-a-clip</Play>",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    path: str
    form: dict[str, str]
    authentic: bool
    idempotency: str


@dataclass
class ToyHotline:
    """Where it listens and what was posted to it; ``public`` is the origin that signatures are made over."""

    origin: str = ""
    public: str = "https://toy.example.org"
    posts: list[Post] = field(default_factory=list)
    turns: int = 0

    def of(self, call_sid: str) -> list[Post]:
        return [post for post in self.posts if post.form.get("CallSid") == call_sid]

    async def voice(self, request: web.Request) -> web.Response:
        document = await self._take(request)
        if document is None:
            return web.Response(status=403)
        return web.Response(text=f"<Response>{document}</Response>", content_type="text/xml")

    async def status(self, request: web.Request) -> web.Response:
        return web.Response(status=403 if await self._take(request) is None else 204)

    async def clip(self, request: web.Request) -> web.Response:
        return web.Response(body=encode_clip(CLIPS[request.match_info["name"]]), content_type="audio/wav")

    async def not_a_clip(self, request: web.Request) -> web.Response:
        return web.Response(text="not found", content_type="text/plain")

    async def _take(self, request: web.Request) -> str | None:
        form = await request.post()
        header = request.headers.get("X-Twilio-Signature", "")
        authentic = RequestValidator(TOKEN).validate(f"{self.public}{request.path_qs}", form, header)
        self.posts.append(
            Post(
                path=request.path_qs,
                form={name: str(value) for name, value in form.items()},
                authentic=authentic,
                idempotency=request.headers["I-Twilio-Idempotency-Token"],
            )
        )
        if not authentic:
            return None
        self.turns += 1
        if request.path == "/entered":
            verdict = "genuine" if form["Digits"] == RIGHT else "unknown"
            return f"<Play>/clip/{verdict}.wav</Play><Hangup/>"
        if request.path == "/forgetful":
            return f"<Pause length='{self.turns}'/>"
        return _DOCUMENTS.get(request.path, "")


@asynccontextmanager
async def running_toy_hotline() -> AsyncIterator[ToyHotline]:
    """Serve the toy on a free port of the loopback."""
    toy = ToyHotline()
    app = web.Application()
    app.router.add_get("/clip/{name}.wav", toy.clip)
    app.router.add_post("/status", toy.status)
    app.router.add_post("/{rest:.*}", toy.voice)
    app.router.add_get("/not-a-clip", toy.not_a_clip)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        toy.origin = f"http://{host}:{port}"
        yield toy
    finally:
        await runner.cleanup()
