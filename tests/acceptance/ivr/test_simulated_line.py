"""The simulated telephone against servers that answer as ours never should: it ends, and says why."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import SecretStr

from app.bootstrap.simulated_call import MOST_TURNS, SimulatedCall, Waiting, open_call
from app.core.errors import NotAuthentic, RuleBroken, StoreUnavailable, Undecodable, YanzhenError
from app.settings import Settings, load_settings
from app.speech.silence import silence_sha, silence_sound

PUBLIC = "https://check.example"
BASE = f"{PUBLIC}/channels/ivr"
ACTION = f"{BASE}/twilio/turn/20/state"
CLIP = "0123456789abcdef"
GATHER = f'<Gather action="{ACTION}" numDigits="20" timeout="8" finishOnKey="#" actionOnEmptyResult="true"/>'
Answer = Callable[[str], web.Response]


class Line:
    """A server with one answer to everything; keeps the paths and forms of what came."""

    def __init__(self, answer: Answer) -> None:
        self.came: list[tuple[str, dict[str, str]]] = []
        self._answer = answer

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.came.append((request.path, {name: str(text) for name, text in form.items()}))
        if request.path.endswith("/status"):
            return web.Response(status=204)
        return self._answer(request.path)


def documents(*bodies: str) -> Answer:
    """Return an answer of one document after the other, the last one for ever."""
    left = list(bodies)
    return lambda _path: web.Response(text=f"<Response>{left.pop(0) if left[1:] else left[0]}</Response>")


@asynccontextmanager
async def calling(answer: Answer, settings: Settings) -> AsyncIterator[tuple[SimulatedCall, Line]]:
    line = Line(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", line.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    call = await open_call(
        settings,
        caller="+8613800138000",
        ours="95001",
        url=f"http://127.0.0.1:{runner.addresses[0][1]}",
    )
    try:
        yield call, line
    finally:
        await call.close()
        await runner.cleanup()


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("data")
    return load_settings(
        flags={
            "data_dir": folder,
            "public_url": PUBLIC,
            "ivr": {"twilio": {"auth_tokens": (SecretStr("a-token-of-the-line-that-is-tried"),)}},
        }
    )


def wav(rate_hz: int) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(b"\1\0" * rate_hz)
    return written.getvalue()


async def test_a_call_that_is_sent_round_in_circles_ends(settings: Settings) -> None:
    async with calling(documents(f"<Redirect>{ACTION}</Redirect>"), settings) as (call, line):
        heard = await call.dial()
    assert heard.waiting is None
    assert heard.lines == (f"(hung up: more than {MOST_TURNS} turns)",)
    assert len(line.came) == MOST_TURNS + 1
    path, form = line.came[-1]
    assert (path, form["CallStatus"], call.ended) == ("/channels/ivr/twilio/status", "completed", "turns")


async def test_the_end_is_told_once_whoever_hangs_up(settings: Settings) -> None:
    async with calling(documents(GATHER), settings) as (call, line):
        heard = await call.dial()
        assert heard.waiting == Waiting(most=20, silence_s=8, ends_on_hash=True)
        assert (await call.press("12#")).waiting is not None
    await call.close()
    told = [(path.rpartition("/")[2], form["CallStatus"], form.get("Digits")) for path, form in line.came]
    assert told == [
        ("twilio", "ringing", None),
        ("state", "in-progress", "12"),
        ("status", "completed", None),
    ]
    assert line.came[1][1]["FinishedOnKey"] == "#"
    assert call.ended == "caller"


async def test_a_recording_is_told_and_an_empty_one_goes_on(settings: Settings) -> None:
    recorded = f"{BASE}/twilio/recorded/state"
    record = f'<Record action="{recorded}" maxLength="60"/><Redirect>{recorded}</Redirect>'
    async with calling(documents(record, "<Hangup/>"), settings) as (call, line):
        assert (await call.dial()).waiting == Waiting(most=1, silence_s=60, ends_on_hash=True, records=True)
        assert (await call.press("#")).waiting is None
        assert line.came[1][1]["RecordingSid"].startswith("RE")
        with pytest.raises(RuleBroken):
            await call.press("1")
    async with calling(documents(record, "<Hangup/>"), settings) as (call, line):
        await call.dial()
        assert (await call.press("")).waiting is None
        assert "RecordingSid" not in line.came[1][1]
        assert line.came[1][0] == "/channels/ivr/twilio/recorded/state"


async def test_words_pauses_and_unknown_clips_are_heard(settings: Settings) -> None:
    silence = silence_sha(250)
    said = "".join(f"<Play>{BASE}/clips/{sha}.wav</Play>" for sha in (silence, CLIP))
    sounds = {f"{silence}.wav": silence_sound(250), f"{CLIP}.wav": wav(8000)}

    def answer(path: str) -> web.Response:
        sound = sounds.get(path.rpartition("/")[2])
        return documents(f"<Say>words</Say>{said}")(path) if sound is None else web.Response(body=sound)

    async with calling(answer, settings) as (call, line):
        heard = await call.dial()
    assert heard.lines == ("[words]", f"[clip {CLIP}]")
    assert call.sound.length_ms == 400 + 250 + 1000
    assert call.ended == "service", "a document that waits for nothing ends the call"
    assert [path.rpartition("/")[2] for path, _ in line.came] == ["twilio", *sounds, "status"]


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        (lambda _path: web.Response(status=403), NotAuthentic, "public URL"),
        (lambda _path: web.Response(status=404), StoreUnavailable, "no hotline"),
        (lambda _path: web.Response(status=302), StoreUnavailable, "302"),
        (lambda _path: web.Response(text="<html/>"), Undecodable, "TwiML"),
        (documents("<Redirect>https://elsewhere.example/x</Redirect>"), NotAuthentic, "--public-url"),
        (documents(f"<Redirect>{PUBLIC}.evil.example/x</Redirect>"), NotAuthentic, "--public-url"),
        (documents(f"<Play>{PUBLIC}/readyz</Play>"), Undecodable, "clip"),
        (documents(f"<Play>{BASE}/clips/{CLIP}.wav</Play>"), Undecodable, "WAV"),
        (
            lambda path: (
                web.Response(body=wav(16000))
                if "/clips/" in path
                else documents(f"<Play>{BASE}/clips/{CLIP}.wav</Play>")(path)
            ),
            Undecodable,
            "8 kHz",
        ),
    ],
)
async def test_an_answer_that_cannot_be_acted_on_is_named(
    settings: Settings, answer: Answer, error: type[YanzhenError], why: str
) -> None:
    async with calling(answer, settings) as (call, _line):
        with pytest.raises(error, match=why):
            await call.dial()
