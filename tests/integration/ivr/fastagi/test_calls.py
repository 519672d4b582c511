"""Whole calls through the listener: what a caller hears, what is told of the keys, what the dialplan learns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from channels.base import InboundRequest, OutboundResponse
from channels.ivr.fastagi.pace import Pace
from tests.integration.ivr.fastagi.recordings import block_of
from tests.integration.ivr.fastagi.switch_side import (
    BYE,
    CODE,
    DEAD,
    GOOD_BLOCK,
    USAGE,
    Answer,
    Dialogue,
    ModelSwitch,
    SwitchSide,
    gather,
    listening,
    script,
)

BACK = GOOD_BLOCK.removesuffix(b"\n") + b"agi_arg_1: transfer_failed\n\n"
WHOLE_CALL = (
    gather("zh-CN/greeting", 300, "zh-CN/entry.prompt"),
    gather("zh-CN/first", 300, "zh-CN/menu", most=1, state="s2"),
    gather("zh-CN/first", "zh-CN/menu", most=1, state="s3"),
)


async def live(
    answers: Iterable[Answer],
    presses: Iterable[str] = (),
    *,
    block: bytes = GOOD_BLOCK,
    recordings: str = "",
    **choices: object,
) -> tuple[Dialogue, ModelSwitch]:
    """One call with a model of the switch; return what was told, and what the switch did."""
    dialogue = Dialogue(*answers)
    model = ModelSwitch(presses, **choices)
    async with listening(dialogue, recordings=recordings) as (_, port):
        await model.live(port, block)
    return dialogue, model


async def test_a_whole_call() -> None:
    dialogue, model = await live(WHOLE_CALL, [f"{CODE}#", "*"])

    assert dialogue.told == ["started", f"keys {CODE} hash", "keys * length", "silence"]
    assert dialogue.ends == ["completed"]
    assert 0 <= int(dialogue.requests[-1].headers["seconds"]) < 60, "nobody waits in this call"
    assert model.commands[0] == "ANSWER"
    assert model.commands[-2:] == ["SET VARIABLE YANZHEN_STATUS DONE", "HANGUP"]
    assert model.played[:2] == ["yanzhen/zh-CN/greeting", "yanzhen/zh-CN/entry.prompt"]
    assert model.played[-1] == "yanzhen/zh-CN/goodbye"
    first, second, *_ = [request.headers for request in dialogue.requests]
    assert first["call"].startswith("1795241128.0-")
    assert first["call"] == second["call"]
    assert (first["caller"], first["withheld"], first["dialled"]) == ("13800138000", "", "95001")
    assert (first["state"], second["state"]) == ("", "s1")
    assert dialogue.requests[0].remote == "127.0.0.1"


async def test_two_sessions_of_one_call_have_ids_of_their_own() -> None:
    one, _ = await live(())
    other, _ = await live(())
    assert one.requests[0].headers["call"] != other.requests[0].headers["call"]


@pytest.mark.parametrize(
    ("presses", "told"),
    [
        (f"{CODE}#", f"keys {CODE} hash"),
        (CODE, f"keys {CODE} length"),
        (CODE[:7], f"keys {CODE[:7]} pause"),
        (f"{CODE}12#", f"keys {CODE}12 hash"),
        (f"{CODE}1", f"keys {CODE}1 pause"),
        ("0000#", "keys 0000 hash"),
        ("#", "keys hash"),
        ("0#", "keys 0 hash"),
        ("9", "keys 9 pause"),
        ("*", "keys * pause"),
        ("12*34#", "keys 12*34 hash"),
        ("1A2BC3D#", "keys 123 hash"),
        ("", "silence"),
    ],
)
async def test_keys_after_the_prompt(presses: str, told: str) -> None:
    dialogue, model = await live([gather("zh-CN/entry.prompt")], [presses])
    assert dialogue.told == ["started", told]
    assert model.played[-1] == "yanzhen/zh-CN/goodbye"


@pytest.mark.parametrize("key", list("0123456789*"))
async def test_a_menu_takes_one_key_at_once(key: str) -> None:
    dialogue, model = await live([gather("zh-CN/menu", most=1)], [key])
    assert dialogue.told == ["started", f"keys {key} length"]
    assert not [command for command in model.commands if command.startswith("GET DATA")]


async def test_a_hash_behind_the_longest_code_stops_no_prompt() -> None:
    answers = [gather("zh-CN/entry.prompt"), gather("zh-CN/verdict", "zh-CN/menu", most=1)]
    dialogue, model = await live(answers, [f"{CODE}#"])
    assert dialogue.told == ["started", f"keys {CODE} hash", "silence"]
    assert "yanzhen/zh-CN/menu" in model.played


async def test_a_key_in_the_middle_of_several_prompts_stops_them_and_counts() -> None:
    dialogue = Dialogue(gather("zh-CN/a", 300, "zh-CN/b", "zh-CN/c"))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('STREAM FILE yanzhen/zh-CN/a "0123456789*#"', "200 result=0 endpos=8000")
        await side.expect("WAIT FOR DIGIT 300", "200 result=0")
        await side.expect('STREAM FILE yanzhen/zh-CN/b "0123456789*#"', "200 result=56 endpos=8160")
        await side.expect('GET DATA "" 5000 19', "200 result=800555535")
        await side.expect('STREAM FILE yanzhen/zh-CN/goodbye ""', "200 result=0 endpos=8000")
        await side.expect("SET VARIABLE YANZHEN_STATUS DONE", "200 result=1")
        await side.expect("HANGUP", "200 result=1", "HANGUP")
        await side.wait_closed()
    assert dialogue.told == ["started", "keys 8800555535 hash"]


async def test_the_first_key_has_its_own_wait() -> None:
    dialogue = Dialogue(gather("zh-CN/a"))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('GET OPTION yanzhen/zh-CN/a "0123456789*#ABCD" 8000', "200 result=0 endpos=8000")
        await side.expect("CHANNEL STATUS", "200 result=6")
        await side.command()
        assert dialogue.told == ["started", "silence"]
        side.close()


async def test_a_hang_up_behind_a_prompt_is_no_silence() -> None:
    dialogue = Dialogue(gather("zh-CN/a"))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('GET OPTION yanzhen/zh-CN/a "0123456789*#ABCD" 8000', "200 result=0 endpos=8000")
        await side.expect("CHANNEL STATUS", "HANGUP", DEAD)
        await side.expect("SET VARIABLE YANZHEN_STATUS HUNG_UP", "200 result=1")
        await side.wait_closed()
    assert dialogue.told == ["started", "hung_up"]


async def test_keys_do_not_stop_what_is_not_interruptible() -> None:
    answers = [gather(300, "zh-CN/a", deaf=2)]
    dialogue = Dialogue(*answers)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect("WAIT FOR DIGIT 300", "200 result=35")
        await side.expect('STREAM FILE yanzhen/zh-CN/a ""', "200 result=0 endpos=8000")
        await side.expect("WAIT FOR DIGIT 8000", "200 result=49")
        await side.expect('GET DATA "" 5000 19', "200 result=2 (timeout)")
        await side.command()
        side.close()
    assert dialogue.told[:2] == ["started", "keys 12 pause"]


async def test_the_pause_after_a_whole_entry_has_no_ears() -> None:
    dialogue = Dialogue(gather(800, "zh-CN/verdict", most=1, deaf=1))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect("WAIT FOR DIGIT 800", "200 result=35")
        await side.expect(
            'GET OPTION yanzhen/zh-CN/verdict "0123456789*#ABCD" 8000', "200 result=49 endpos=1"
        )
        await side.command()
        side.close()
    assert dialogue.told[:2] == ["started", "keys 1 length"]


async def test_a_stray_key_never_costs_the_last_words() -> None:
    dialogue = Dialogue(script("zh-CN/verdict", 300, "zh-CN/goodbye", do="hangup"))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('STREAM FILE yanzhen/zh-CN/verdict ""', "200 result=0 endpos=8000")
        await side.expect("WAIT FOR DIGIT 300", "200 result=35")
        await side.expect('STREAM FILE yanzhen/zh-CN/goodbye ""', "200 result=0 endpos=8000")
        await side.expect("SET VARIABLE YANZHEN_STATUS DONE", "200 result=1")
        await side.expect("HANGUP", "200 result=1")
        await side.wait_closed()


@pytest.mark.parametrize("say", [(), (300,)])
async def test_waiting_without_words(say: tuple[int, ...]) -> None:
    dialogue, _ = await live([gather(*say)], [f"{CODE}#"])
    assert dialogue.told == ["started", f"keys {CODE} hash"]


# -- prompts, refusals ---------------------------------------------------------------------------------------------


async def test_missing_prompts_are_passed_over_and_said() -> None:
    dialogue = Dialogue(gather("zh-CN/a", "zh-CN/gone"))
    model = ModelSwitch([f"{CODE}#"], missing=("gone",))
    async with listening(dialogue) as (listener, port):
        await model.live(port)
        assert dialogue.told == ["started", f"keys {CODE} hash"]
        while listener.calls_in_progress:
            await asyncio.sleep(0)
        assert listener.trouble == "prompts_missing"
        await ModelSwitch().live(port)
        while listener.calls_in_progress:
            await asyncio.sleep(0)
        assert listener.trouble == ""


@pytest.mark.parametrize("reply", ["510 Invalid or unknown command", USAGE, "200 result=-1 endpos=0"])
async def test_a_prompt_that_is_refused_is_passed_over(reply: str) -> None:
    dialogue = Dialogue(gather("zh-CN/a", most=1))
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.expect('GET OPTION yanzhen/zh-CN/a "0123456789*#ABCD" 8000', *reply.split("\n"))
        await side.expect("CHANNEL STATUS", "200 result=6")
        await side.expect("WAIT FOR DIGIT 8000", "200 result=49")
        await side.command()
        side.close()
    assert dialogue.told[:2] == ["started", "keys 1 length"]


@pytest.mark.parametrize(
    "answer",
    [
        OutboundResponse(status=503),
        OutboundResponse(status=200, body=b"{"),
        script("zh-CN/../secret", do="hangup"),
        script("zh-CN/a\nHANGUP", do="hangup"),
        script("zh-CN/a", do="transfer", to="4008001234,U(evil)"),
        script("zh-CN/a", do="fly"),
        script("zh-CN/a", state="two words", do="hangup"),
        gather("zh-CN/a", most=0),
    ],
)
async def test_no_answer_that_can_be_followed_ends_the_call_politely(answer: OutboundResponse) -> None:
    dialogue, model = await live([answer])
    assert (dialogue.told, dialogue.ends) == (["started"], ["failed"])
    assert model.commands == ["ANSWER", "SET VARIABLE YANZHEN_STATUS FAILED", "HANGUP"]


async def test_a_pipeline_that_fails_or_hangs_ends_the_call_politely() -> None:
    async def fail(_: InboundRequest) -> OutboundResponse:
        raise RuntimeError("nobody expected this")

    async def hang(_: InboundRequest) -> OutboundResponse:
        await asyncio.Event().wait()
        raise AssertionError

    for answer in (fail, hang):
        model = ModelSwitch()
        async with listening(Dialogue(answer), pace=Pace(turn_s=0.05)) as (_, port):
            await model.live(port)
        assert model.variables["YANZHEN_STATUS"] == "FAILED"
        assert model.commands[-1] == "HANGUP"


# -- reports, operators --------------------------------------------------------------------------------------------

RECORD = script("zh-CN/report.record", do="record", max_s=60, name="call-1")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("200 result=0 (timeout) endpos=480000", ["recorded call-1"]),
        ("200 result=35 (dtmf) endpos=40000", ["recorded call-1"]),
        ("200 result=35 (dtmf) endpos=400", ["silence"]),
        ("200 result=6994 (timeout) endpos=40160", ["recorded call-1"]),
        ("200 result=6994 (timeout) endpos=8160", ["silence"]),
    ],
)
async def test_a_report_is_recorded(reply: str, told: list[str]) -> None:
    dialogue = Dialogue(RECORD)
    async with listening(dialogue, recordings="yanzhen-reports/") as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send("200 result=0 endpos=8000")
        await side.expect('RECORD FILE yanzhen-reports/call-1 wav "#" 60000 BEEP s=4', reply)
        await side.command()
        assert dialogue.told == ["started", *told]
        side.close()


@pytest.mark.parametrize(("samples", "told"), [(16_000, ["recorded call-1", "hung_up"]), (400, ["hung_up"])])
async def test_a_report_ended_by_hanging_up_is_kept(samples: int, told: list[str]) -> None:
    dialogue = Dialogue(RECORD)
    async with listening(dialogue, recordings="yanzhen-reports") as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send("200 result=0 endpos=8000")
        await side.command()
        side.send(f"200 result=-1 (hangup) endpos={samples}")
        side.send("HANGUP")
        await side.expect("SET VARIABLE YANZHEN_STATUS HUNG_UP", "200 result=1")
        await side.wait_closed()
    assert dialogue.told == ["started", *told]


async def test_a_switch_without_its_tone_records_all_the_same() -> None:
    dialogue = Dialogue(RECORD)
    async with listening(dialogue, recordings="reports") as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send("200 result=0 endpos=8000")
        await side.expect(
            'RECORD FILE reports/call-1 wav "#" 60000 BEEP s=4', "200 result=-1 (randomerror) endpos=0"
        )
        await side.expect("CHANNEL STATUS", "200 result=6")
        await side.expect('RECORD FILE reports/call-1 wav "#" 60000 s=4', "200 result=35 (dtmf) endpos=9000")
        await side.command()
        side.close()
    assert dialogue.told[:2] == ["started", "recorded call-1"]


async def test_a_folder_that_cannot_be_written_is_a_silence() -> None:
    dialogue = Dialogue(RECORD)
    async with listening(dialogue, recordings="nowhere") as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await side.command()
        side.send("200 result=0 endpos=8000")
        await side.command()
        side.send("200 result=-1 (writefile)")
        await side.expect("CHANNEL STATUS", "200 result=6")
        await side.command()
        side.close()
    assert dialogue.told[:2] == ["started", "silence"]


async def test_without_a_folder_nothing_is_recorded() -> None:
    dialogue, model = await live([RECORD])
    assert dialogue.told == ["started", "silence"]
    assert not [command for command in model.commands if command.startswith("RECORD")]


async def test_a_caller_put_through_is_left_to_the_dialplan_and_may_come_back() -> None:
    transfer = script("zh-CN/transfer", state="sealed-state_1", do="transfer", to="+864008001234")
    dialogue, model = await live([transfer])
    assert model.variables["YANZHEN_TRANSFER"] == "+864008001234"
    assert model.commands[-1] == "SET VARIABLE YANZHEN_STATUS TRANSFER"
    assert "HANGUP" not in model.commands
    call_id = dialogue.requests[0].headers["call"]
    assert dialogue.ends == ["transferred"]

    again, _ = await live([BYE], block=BACK, variables=dict(model.variables))
    assert again.told == ["transfer_failed"]
    assert again.requests[0].headers["call"] == call_id
    assert again.requests[0].headers["state"] == "sealed-state_1"
    assert again.requests[-1].headers["call"] == call_id
    assert (again.ends, again.requests[-1].headers["seconds"]) == (["completed"], ""), "it began before"


@pytest.mark.parametrize("kept", [{}, {"YANZHEN_STATE": ""}, {"YANZHEN_STATE": "nonsense"}])
async def test_a_caller_who_comes_back_without_a_state_begins_anew(kept: dict[str, str]) -> None:
    dialogue, _ = await live([BYE], block=BACK, variables=kept)
    assert dialogue.told == ["started"]


async def test_a_dead_channel_is_told_nobody() -> None:
    block = block_of("04e-agi-in-h-extension", 1)
    dialogue, model = await live(WHOLE_CALL, block=block, hang_up_at=1, how="quiet")
    assert dialogue.told == []
    assert model.commands == ["ANSWER", "SET VARIABLE YANZHEN_STATUS HUNG_UP"]


# -- hang-ups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reply", "before", "quiet", "closing", "reset"])
async def test_a_hang_up_at_every_step_is_told_once(how: str) -> None:
    _, whole = await live(WHOLE_CALL, [f"{CODE}#", "*"])
    for step in range(1, len(whole.commands) + 1):
        dialogue, model = await live(WHOLE_CALL, [f"{CODE}#", "*"], hang_up_at=step, how=how)
        events = [told.split()[0] for told in dialogue.told if not told.startswith("refused")]
        assert events[:1] == ["started"] * (step > 1), (how, step)
        said_goodbye = any("goodbye" in command for command in model.commands)
        assert events.count("hung_up") == (step > 1 and not said_goodbye), (how, step, events)
        assert dialogue.ends == ["completed" if said_goodbye else "hung_up"] * (step > 1), (how, step)
        assert "hung_up" not in events[:-1], (how, step, events)
        assert not [command for command in model.commands[step:] if command.startswith("STREAM")], how


async def test_a_hang_up_while_the_engine_works_is_seen_before_a_word_is_said() -> None:
    gate = asyncio.Event()

    async def slow(_: InboundRequest) -> OutboundResponse:
        await gate.wait()
        return gather("zh-CN/verdict")

    dialogue = Dialogue(slow)
    async with listening(dialogue) as (_, port):
        side = await SwitchSide.connect(port)
        await side.begin()
        await dialogue.wait_for("started")
        side.send("HANGUP")
        # a second connection proves that the line above was read
        await ModelSwitch().live(port)
        gate.set()
        await side.expect("SET VARIABLE YANZHEN_STATUS HUNG_UP", "200 result=1")
        await side.wait_closed()
    assert sorted(dialogue.ends) == ["completed", "hung_up"]  # the second connection's, and this one's
