"""Peers that forge, flood, stall or vanish; too many calls; and the end of the service."""

from __future__ import annotations

import asyncio

import pytest

from channels.base import InboundRequest, OutboundResponse
from channels.ivr.fastagi.pace import Pace
from tests.integration.ivr.fastagi.recordings import NAMES, Connection, connections
from tests.integration.ivr.fastagi.switch_side import (
    CODE,
    DEAD,
    DEADLINE_S,
    GOOD_BLOCK,
    WORKS_WHEN_DEAD,
    Closed,
    Dialogue,
    ModelSwitch,
    SwitchSide,
    gather,
    listening,
    script,
)

TURNS = (
    gather("zh-CN/greeting", 300, "zh-CN/entry.prompt"),
    gather("zh-CN/verdict", 300, "zh-CN/menu", most=1, state="s2"),
    gather("zh-CN/entry.prompt", state="s3"),
    script("zh-CN/report.record", do="record", max_s=60, name="call-1", state="s4"),
)
HURRY = Pace(
    environment_s=1, reply_s=1, grace_s=1, unknown_prompt_s=1, turn_s=60, farewell_s=1, parting_s=0.1
)


# -- every recorded conversation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_caller_is_understood(name: str) -> None:
    """The block and the keys of every recorded call, by a switch that executes what we ask."""
    for connection in connections(name):
        dialogue = Dialogue(*[gather("zh-CN/entry.prompt", most=24)] * len(connection.presses))
        async with listening(dialogue) as (_, port):
            await ModelSwitch(connection.presses).live(port, connection.block)
        if name == "08b-caller-id-line-break":
            assert dialogue.told == ["refused environment"]
            continue
        keyed = [told for told in dialogue.told if told.startswith("keys")]
        assert dialogue.told[0] == "started"
        assert keyed == [told_of(pressed) for pressed in connection.presses]


def told_of(pressed: str) -> str:
    """What the dialogue is to hear of the keys that somebody pressed."""
    keys, ended, _ = pressed.partition("#")
    digits = "".join(key for key in keys if key in "0123456789*")
    return " ".join(part for part in ("keys", digits, "hash" if ended else "pause") if part)


async def replay(port: int, connection: Connection) -> SwitchSide:
    """Answer our commands with what Asterisk once said, in its order and whatever it was about."""
    side = await SwitchSide.connect(port, connection.block)
    replies = iter([reply for reply in connection.replies if not reply.startswith(b"HANGUP")])
    is_dead = False
    try:
        while True:
            command = await side.command()
            if command.startswith("GET FULL VARIABLE"):
                side.send(f"200 result=1 ({command.rpartition(' ')[2]})")
            elif is_dead:
                side.send("200 result=1" if command.startswith(WORKS_WHEN_DEAD) else DEAD)
            else:
                reply = next(replies, b"HANGUP\n" + DEAD.encode() + b"\n")
                is_dead = b"HANGUP\n" in reply or reply.startswith(b"511")
                side.send(reply)
    except Closed:
        side.close()
        return side


@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_reply_is_survived(name: str) -> None:
    """Every reply and HANGUP in its recorded place, answering other commands than it once did."""
    for connection in connections(name):
        dialogue = Dialogue(*TURNS)
        async with listening(dialogue, recordings="reports") as (listener, port):
            async with asyncio.timeout(DEADLINE_S):
                await replay(port, connection)
            await ModelSwitch().live(port)
            assert listener.trouble in {"", "prompts_missing"}
        first = dialogue.requests[0].headers.get("call", "")
        events = [
            request.headers["event"] for request in dialogue.requests if request.headers.get("call") == first
        ]
        assert events.count("hung_up") <= 1
        assert "hung_up" not in events[:-1] or not first


# -- forged, broken, slow --------------------------------------------------------------------------------------------


async def test_forged_lines_never_reach_the_dialogue() -> None:
    forged = GOOD_BLOCK.partition(b"agi_callerid: ")[0] + b"agi_callerid: 1"
    rest = GOOD_BLOCK[len(GOOD_BLOCK.partition(b"agi_calleridname")[0]) :]
    whole = b"\n" + rest + b"200 result=0\n200 result=1 (x)\n200 result=0\n" * 3
    for lines in (b"\nagi_dnid: 95999", b"\n\n200 result=1", b"\nHANGUP\n", whole, b"\n\x00"):
        dialogue = Dialogue()
        async with listening(dialogue) as (_, port):
            side = await SwitchSide.connect(port, forged + lines + b"\n" + rest)
            await side.wait_closed()
        assert side.commands[-1] == "HANGUP"
        assert "ANSWER" not in side.commands
        assert [told.split()[0] for told in dialogue.told] == ["refused"]


async def test_a_reply_to_the_proof_must_be_the_secret() -> None:
    dialogue = Dialogue()
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.command()
        side.send("200 result=1 (something else)")
        await side.wait_closed()
    assert dialogue.told == ["refused forged"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "environment"),
        (b"\n", "environment"),
        (b"\x16\x03\x01" * 100 + b"\n\n", "environment"),
        (b"agi_network: yes\n" * 1000, "flooded"),
        (b"x" * 100_000, "line_too_long"),
        (b"agi_network: " + b"y" * 100_000, "line_too_long"),
    ],
)
async def test_garbage_is_refused_and_counted(data: bytes, why: str) -> None:
    dialogue = Dialogue()
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port, data)
        await side.wait_closed()
        await dialogue.wait_for("refused")
    assert dialogue.told == [f"refused {why}"]


async def test_a_peer_that_dribbles_is_given_up() -> None:
    dialogue = Dialogue()
    async with listening(dialogue, pace=HURRY) as (_, port):
        side = await SwitchSide.connect(port, GOOD_BLOCK[:-1])
        await side.wait_closed()
        await dialogue.wait_for("refused")
    assert dialogue.told == ["refused too_slow"]


async def test_a_block_in_single_octets_is_read() -> None:
    dialogue = Dialogue(*TURNS)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port, b"")
        for octet in GOOD_BLOCK:
            side.send(bytes([octet]))
            await asyncio.sleep(0)
        await side.begin()
        side.close()
        await dialogue.wait_for("hung_up")
    assert dialogue.told == ["started", "hung_up"]


async def die_at(step: int) -> None:
    """Be silent from the ``step``-th command on; the first one is the proof."""
    quick = {"do": "gather", "max_digits": 2, "first_digit_s": 1, "between_s": 1}
    dialogue = Dialogue(*[script("zh-CN/a", 100, "zh-CN/b", **quick)] * 2)
    async with listening(dialogue, pace=HURRY) as (_, port):
        side = await SwitchSide.connect(port)
        if step:
            await side.begin()
            for _ in range(step - 1):
                await side.command()
                side.send("200 result=0 endpos=1" if len(side.commands) < 5 else "200 result=49 endpos=1")
        await side.wait_closed()
    assert dialogue.ends == ["failed"] * bool(step)
    assert dialogue.told[-1] == "refused too_slow"


async def test_a_dead_switch_is_given_up_at_every_wait() -> None:
    await asyncio.gather(*(die_at(step) for step in range(6)))


@pytest.mark.parametrize(
    ("flood", "why"),
    [
        (b"200 result=0\n" * 5000, "out_of_step"),
        (b"200 result=0 endpos=1" * 5000, "line_too_long"),
        (b"520-Invalid\n" + b"free text\n" * 5000, "flooded"),
        (b"noise\n", "out_of_step"),
    ],
)
async def test_a_flood_ends_the_call_and_no_other(flood: bytes, why: str) -> None:
    dialogue = Dialogue(*TURNS)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send(flood)
        await side.wait_closed()
        await dialogue.wait_for("refused")
        assert dialogue.told[0] == "started"
        assert dialogue.told[-1].startswith("refused")
        assert dialogue.told[-1] in {f"refused {why}", "refused flooded"}
        assert dialogue.ends == ["failed"]
        model = await ModelSwitch([f"{CODE}#"]).live(port)
        assert model.variables["YANZHEN_STATUS"] == "DONE"


async def test_hang_up_lines_without_end_are_no_replies() -> None:
    dialogue = Dialogue(*TURNS)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send(b"HANGUP\n" * 5000 + DEAD.encode() + b"\n")
        await side.expect("SET VARIABLE YANZHEN_STATUS HUNG_UP", "200 result=1")
        await side.wait_closed()
    assert dialogue.told == ["started", "hung_up"]


async def test_strangers_are_let_go_without_a_word() -> None:
    dialogue = Dialogue()
    async with listening(dialogue, allow_from="10.0.0.0/8") as (_, port):
        side = await SwitchSide.connect(port)
        with pytest.raises(Closed):
            await side.command()
        await dialogue.wait_for("refused")
    assert dialogue.told == ["refused address"]


# -- many, and the end -------------------------------------------------------------------------------------------------


async def test_two_hundred_calls_at_once_and_one_too_many() -> None:
    everyone, arrived = asyncio.Event(), 0

    async def together(_: InboundRequest) -> OutboundResponse:
        nonlocal arrived
        arrived += 1
        if arrived == 200:
            everyone.set()
        await everyone.wait()
        return gather("zh-CN/entry.prompt")

    dialogue = Dialogue(*[together] * 200)
    async with listening(dialogue, max_calls=200, pace=Pace(turn_s=60)) as (listener, port):
        calls = [asyncio.create_task(ModelSwitch([f"{CODE}#"]).live(port)) for _ in range(199)]
        await dialogue.wait_for("started", 199)
        last = await SwitchSide.connect(port)
        echo = await last.command()
        assert listener.calls_in_progress == 200
        busy = await ModelSwitch().live(port)
        assert busy.variables == {"YANZHEN_STATUS": "BUSY"}
        assert busy.commands == ["SET VARIABLE YANZHEN_STATUS BUSY"]
        last.send(f"200 result=1 ({echo.rpartition(' ')[2]})")
        await last.expect("ANSWER", "200 result=0")
        async with asyncio.timeout(DEADLINE_S):
            models = await asyncio.gather(*calls)
        last.close()
    assert all(model.variables["YANZHEN_STATUS"] == "DONE" for model in models)
    assert dialogue.told.count(f"keys {CODE} hash") == 199
    assert dialogue.told.count("refused busy") == 1
    assert len({request.headers["call"] for request in dialogue.requests if "call" in request.headers}) == 200


async def test_a_full_house_does_not_keep_those_it_turns_away() -> None:
    gate = asyncio.Event()

    async def wait(_: InboundRequest) -> OutboundResponse:
        await gate.wait()
        return script(do="hangup")

    dialogue = Dialogue(wait)
    async with listening(dialogue, max_calls=1) as (_, port):
        guest = asyncio.create_task(ModelSwitch().live(port))
        await dialogue.wait_for("started")
        silent = [await SwitchSide.connect(port, b"") for _ in range(60)]
        async with asyncio.timeout(DEADLINE_S):
            ends = [asyncio.create_task(side.wait_closed()) for side in silent]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert sum(end.done() for end in ends) >= 1
        for side in silent:
            side.abort()
        await asyncio.wait(ends)
        gate.set()
        assert (await guest).variables["YANZHEN_STATUS"] == "DONE"


async def test_at_the_end_of_the_service_a_call_gets_its_answer_and_is_left_to_the_dialplan() -> None:
    dialogue = Dialogue(*TURNS)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('STREAM FILE yanzhen/zh-CN/greeting "0123456789*#"')

        async def rest_of_the_call() -> None:
            side.send("200 result=56 endpos=100")
            await side.expect('GET DATA "" 5000 19', "200 result=8005")
            await side.expect('STREAM FILE yanzhen/zh-CN/verdict ""', "200 result=0 endpos=8000")
            await side.expect("WAIT FOR DIGIT 300", "200 result=0")
            await side.expect('STREAM FILE yanzhen/zh-CN/menu ""', "200 result=0 endpos=8000")
            await side.expect("SET VARIABLE YANZHEN_STATUS STOPPED", "200 result=1")
            with pytest.raises(Closed):
                await side.command()

        caller = asyncio.create_task(rest_of_the_call())
    await caller
    assert dialogue.told == ["started", "keys 88005 hash"]
    assert dialogue.ends == ["stopped"]


async def test_a_call_that_does_not_end_is_cut_off_in_time() -> None:
    dialogue = Dialogue(*TURNS)
    hurry = Pace(farewell_s=0.05, parting_s=5)
    async with listening(dialogue, pace=hurry) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()  # a prompt that never ends

        async def cut() -> None:
            await side.expect("SET VARIABLE YANZHEN_STATUS STOPPED", "200 result=1")
            with pytest.raises(Closed):
                await side.command()

        switch = asyncio.create_task(cut())
    await switch
    assert (dialogue.told, dialogue.ends) == (["started"], ["stopped"])


async def test_nobody_is_accepted_once_the_service_has_stopped() -> None:
    async with listening(Dialogue()) as (listener, port):
        pass
    assert listener.trouble == "stopped"
    with pytest.raises(ConnectionRefusedError):
        await SwitchSide.connect(port)


async def test_a_port_in_use_is_tried_again() -> None:
    from ipaddress import ip_network

    from app.adapters.clock import SystemClock
    from channels.ivr.fastagi.server import FastAgiListener
    from channels.ivr.settings import FastAgiOptions

    blocker = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = blocker.sockets[0].getsockname()[1]
    options = FastAgiOptions(listen=f"127.0.0.1:{port}", allow_from=(ip_network("127.0.0.0/8"),))
    pace = Pace(first_pause_s=0.01, longest_pause_s=0.01)
    listener = FastAgiListener(options, clock=SystemClock(), token="token", pace=pace)
    task = asyncio.create_task(listener.listen(Dialogue()))
    async with asyncio.timeout(DEADLINE_S):
        while listener.trouble != "cannot_listen":
            await asyncio.sleep(0)
        blocker.close()
        assert await listener.wait_open() == ("127.0.0.1", port)
    assert listener.trouble == ""
    task.cancel()
    await asyncio.wait([task])
