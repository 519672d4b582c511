"""What is answered of a hidden label is what is answered of a code that is none, on every channel."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from channels.base import InboundRequest, OutboundResponse
from channels.wechat.simulate import read_answer
from tests.proof.harness import Prove
from tests.proof.timing.questions import ACCOUNT, QUESTIONS
from tests.proof.timing.site import CLASSES, NEVER_ISSUED, Service, Site, open_service, prepare

_EACH = 5
_BUCKET = 64  # octets, as a listener sees lengths at best
# what differs between any two answers: sealed and random texts, which are equally long, and numbers of the moment
_SEALED = re.compile(rb"[A-Za-z0-9_~-]{20,}")
_NUMBER = re.compile(rb"[0-9]+")
_ENGLISH = {"accept-language": "en"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return prepare(Path(tmp_path_factory.mktemp("alike")) / "data")


def _without_moment(text: bytes) -> bytes:
    return _NUMBER.sub(b"0", _SEALED.sub(lambda found: b"*" * len(found[0]), text))


def _seen(channel: str, response: OutboundResponse) -> tuple[object, ...]:
    """Return what a listener sees of a response, and what a reader reads in it."""
    words = response.body
    if channel == "wechat":
        answer = read_answer(ACCOUNT, response.body)
        words = f"{answer.kind} {answer.text}".encode()
    headers = tuple((name, len(value), _without_moment(value.encode())) for name, value in response.headers)
    return (
        response.status,
        response.content_type,
        headers,
        len(response.body) // _BUCKET,
        _without_moment(words),
    )


async def _answers(
    service: Service, channel: str, request: InboundRequest
) -> list[tuple[str, OutboundResponse]]:
    """Return the answer, the same to the message that is delivered again, and the pages it leads to."""
    told = await service.carry(channel, request)
    answers = [(channel, told), (channel, await service.carry(channel, request))]
    place = dict(told.headers).get("Location", "")
    if place:
        page = replace(
            request,
            method="GET",
            route="/r/{result}",
            path=place,
            parts={"result": place.removeprefix("/r/")},
            body=b"",
        )
        readers = (request.headers, {**request.headers, **_ENGLISH}, {})
        answers += [
            (channel, await service.carry(channel, replace(page, headers=reader))) for reader in readers
        ]
    return answers


def test_a_hidden_label_is_answered_like_a_code_that_is_none(site: Site, prove: Prove) -> None:
    async def run() -> tuple[int, list[str]]:
        compared, unlike, serial = 0, [], 0
        async with open_service(site.settings) as service:
            for channel, ask in QUESTIONS.items():
                for codes, kind in ((site.codes, "code"), (site.slips, "slip")):
                    seen: dict[str, list[list[tuple[object, ...]]]] = {name: [] for name in CLASSES}
                    for name in CLASSES:
                        for code in codes[name][:_EACH]:
                            serial += 1
                            answers = await _answers(service, channel, ask(service, code, serial))
                            seen[name].append([_seen(*answer) for answer in answers])
                            compared += len(answers)
                    expected = seen[NEVER_ISSUED][0]
                    unlike += [
                        f"{channel}, {kind} of {name}: {one} is not {expected}"
                        for name in CLASSES
                        for one in seen[name]
                        if one != expected
                    ]
        return compared, unlike

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        compared, unlike = runner.run(run())
    assert not unlike, unlike[0]
    prove("timing", breaches={"unlike_answers": len(unlike)}, answers_compared=compared)


def test_the_comparison_sees_a_label_that_is_told(site: Site) -> None:
    async def run() -> list[bool]:
        async with open_service(site.settings) as service:
            found = []
            for place, (channel, ask) in enumerate(QUESTIONS.items()):
                unknown, known = site.codes[NEVER_ISSUED][place], site.active[place]
                told = [
                    [
                        _seen(*answer)
                        for answer in await _answers(
                            service, channel, ask(service, code, 10**6 + 2 * place + n)
                        )
                    ]
                    for n, code in enumerate((unknown, known))
                ]
                found.append(told[0] != told[1])
            return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == [True] * len(QUESTIONS)
