"""Calling without a telephone: `yanzhen simulate call` on a fresh demonstration, by its keys and by its input."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
import wave
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from app.core.model.verdict import Outcome
from app.speech.sound import measure, read_samples
from tests.acceptance.cli.shell import Server, Shell

pytestmark = pytest.mark.xdist_group("simulate-call")

GREETING: Final = "您好，欢迎拨打验真热线。"
ENTRY: Final = "请输入涂层下的数字，按井号键结束。"
GOODBYE: Final = "感谢来电，再见。"
_SAMPLE: Final = re.compile(r"^((?:\d{4} ){3,5}\d{4})\s+(\w+)\s", re.MULTILINE)
READY_CPU_S: Final = 10.0  # a third of what all clips take
_TRIES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A demonstration that serves, and its sample codes by outcome."""

    shell: Shell
    server: Server
    codes: dict[str, list[str]]
    ready_cpu_s: float  # from the start on an empty folder, seconds of a core

    def words(self, *more: object) -> tuple[object, ...]:
        return ("simulate", "call", "--port", self.server.url.rpartition(":")[2], *more)

    def call(self, keys: str, *more: object) -> dict[str, Any]:
        """Call, press ``keys``, and return what the command printed as JSON."""
        answer: dict[str, Any] = self.shell.json(*self.words("--keys", keys, *more))
        return answer


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    shell = Shell(tmp_path_factory.mktemp("demonstration") / "data")
    with shell.serving("demo") as server:
        assert server.get("/readyz")[0] == 200
        ready_cpu_s = sum(psutil.Process(server.process.pid).cpu_times()[:4])
        codes: dict[str, list[str]] = {}
        for code, outcome in _SAMPLE.findall(server.until_printed("Serving on")):
            codes.setdefault(outcome, []).append(code.replace(" ", ""))
        yield Demonstration(shell=shell, server=server, codes=codes, ready_cpu_s=ready_cpu_s)


def said(turn: dict[str, Any]) -> str:
    """Return a turn's words; those of clips that are still being made are in brackets, which is not looked at here."""
    return re.sub(r"[\[\]]", "", "\n".join(turn["said"]))


def test_an_empty_folder_is_no_reason_to_wait(demonstration: Demonstration) -> None:
    assert demonstration.ready_cpu_s <= READY_CPU_S
    call = demonstration.call(
        "", "--withheld"
    )  # the voice is at work: what it has not made yet is in brackets
    assert GREETING in said(call["turns"][0])


def test_a_first_check_heard_twice_and_reported(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    call = demonstration.call(f"{code}#,*,2", "--from", "+86 138-0000-0001")
    opening, verdict, again, transfer, end = call["turns"]
    assert said(opening) == f"{GREETING}\nFor English, press nine.\n{ENTRY}"
    assert opening["waits_for"] == {"kind": "keys", "most": 20, "ends_on_hash": True, "silence_s": 8}
    assert opening["pressed"] == f"{code}#"
    assert "为首次查询" in said(verdict)
    assert verdict["waits_for"]["most"] == 1
    assert again["said"] == verdict["said"], "hearing it again is no second check"
    assert re.search(r"\(rings \+86\d+: no-answer\)\n暂时没有接通。", said(transfer))
    assert (said(end), end["waits_for"], call["ended"]) == (GOODBYE, None, "service")
    assert re.fullmatch(r"CA[0-9a-f]{32}", call["call_id"])
    _, seen = demonstration.server.verify(code)
    assert seen["ordinal"] == 2, "one call was one query"


def test_a_transfer_that_is_answered_ends_the_call(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    call = demonstration.call(f"{code}#,2", "--from", "+8613800000002", "--transfer", "completed")
    assert said(call["turns"][-1]).endswith(": completed)")
    assert (len(call["turns"]), call["ended"]) == (3, "service")


def test_slips_the_other_language_and_keys_that_come_too_late(demonstration: Demonstration) -> None:
    slip = demonstration.codes[Outcome.MISTYPED][0]
    call = demonstration.call(f"{slip}#7,9#,12,", "--from", "+8613800000003")
    _, hint, english, more, *_ = (said(turn) for turn in call["turns"])
    assert "请再看一下" in hint
    assert "(nobody listened any more to #7)" in hint
    assert "Please" in english
    assert more == "", "a hand that mends a code is not cut into"
    assert said(call["turns"][-1]) == "Thank you for calling. Goodbye."


def test_silence_ends_the_call_without_a_query(demonstration: Demonstration) -> None:
    call = demonstration.call("", "--withheld")
    assert [turn["pressed"] for turn in call["turns"]] == ["", "", None]
    assert said(call["turns"][-1]) == GOODBYE


def test_every_call_has_one_closed_record_and_nobody_stands_in_it(demonstration: Demonstration) -> None:
    def records() -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(demonstration.shell.folder / "yanzhen.db")) as db:
            return db.execute("SELECT * FROM call").fetchall()

    before = records()
    call = demonstration.call("", "--from", "+8613800000008")
    demonstration.shell.run(*demonstration.words("--keys", "9#", "--withheld"))
    made = [record for record in records() if record not in before]
    assert [(account, how) for _, account, _, _, how, _ in made] == [("twilio", "completed")] * 2
    for key, _, started_at, ended_at, _, seconds in made:
        assert isinstance(key, bytes)
        assert len(key) == 16
        assert isinstance(started_at, int)
        assert isinstance(ended_at, int)
        assert seconds == (ended_at - started_at) // 1_000_000
    assert call["call_id"] not in repr(made)


def test_a_number_is_known_again_and_a_withheld_one_is_nobodys(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop()  # of a brand that calls two checks normal
    answers = [said(demonstration.call(f"{code}#", "--withheld")["turns"][1]) for _ in range(2)]
    assert "为首次查询" in answers[0]
    assert "两次" in answers[1]
    assert "刚刚" not in answers[1]
    number = ("--from", "+8613800000004")
    answers = [said(demonstration.call(f"{code}#", *number)["turns"][1]) for _ in range(2)]
    assert "三次" in answers[0]
    assert "您首次查询是在" in answers[1]


def test_people_read_sentences_and_press_keys_line_by_line(
    demonstration: Demonstration, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    typed = io.StringIO(f"help\n{code[:4]} {code[4:8]} {code[8:]}#\n")
    monkeypatch.setattr("sys.stdin", typed)
    heard = demonstration.shell.run(*demonstration.words("--from", "+8613800000005"))
    assert "0 to 9" in heard.stderr
    lines = re.sub(r"[\[\]]", "", heard.stdout).splitlines()
    assert re.fullmatch(r"CA[0-9a-f]{32}: ringing, answered", lines[0])
    assert lines[1] == f"  {GREETING}"
    assert "up to 20 keys, # ends them; an empty line is 8 s of silence" in lines
    assert any("还没有启用这个标签" in line for line in lines)
    assert re.fullmatch(r"You hung up: 2 turns, \d+\.\d s of speech and pauses\.", lines[-1])


def test_the_whole_call_is_saved_as_one_sound(demonstration: Demonstration, tmp_path: Path) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    file = tmp_path / "call.wav"
    for _ in range(_TRIES):  # the service makes its first clips meanwhile, the greeting before all others
        call = demonstration.call(f"{code}#", "--from", "+8613800000006", "--save", file)
        if "[" not in "".join(call["turns"][0]["said"]):
            break
    with wave.open(str(file)) as sound:
        shape = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
        samples = array("h", sound.readframes(sound.getnframes()))
    assert shape == (8000, 1, 2)
    assert call["saved"] == str(file)
    assert len(samples) * 1000 // 8000 == call["audio_ms"]
    clip = demonstration.shell.json("prompts", "listen", "greeting")
    greeting = read_samples(Path(clip["file"]))
    assert samples[: len(greeting)] == greeting
    level = measure(samples)
    assert level.peak_dbfs > -20
    assert not level.clipped
    printed = demonstration.shell.run(*demonstration.words("--keys", "", "--save", file)).stdout
    assert re.search(r"^Saved .*call\.wav: \d+\.\d s\.$", printed, re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A player that is a real program: it notes how it was called, and keeps what it was given."""

    folder: Path

    def install(self, name: str, *, exit_code: int = 0) -> None:
        program = self.folder / name
        kept = str(self.folder / "played")
        program.write_text(
            f"""#!{sys.executable}
import json, pathlib, sys
*_, file = sys.argv
sound = {{"wav": pathlib.Path(file).read_bytes().hex(), "input": sys.stdin.read(), "argv": sys.argv}}
with open({kept!r}, "a") as kept:
    kept.write(json.dumps(sound) + "\\n")
sys.exit({exit_code})
"""
        )
        program.chmod(0o755)

    @property
    def played(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "played").read_text().splitlines()]

    @property
    def sounds(self) -> list[bytes]:
        """The samples of each sound played."""
        sounds = []
        for sound in self.played:
            with wave.open(io.BytesIO(bytes.fromhex(sound["wav"]))) as file:
                sounds.append(file.readframes(file.getnframes()))
        return sounds


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Player:
    """No player at all, until one is installed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Player(folder=folder)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("aplay", ["-q"]),
        ("paplay", []),
        ("afplay", []),
        ("ffplay", ["-nodisp", "-autoexit", "-loglevel", "error"]),
    ],
)
def test_a_call_is_heard_turn_by_turn(
    demonstration: Demonstration, player: Player, tmp_path: Path, name: str, flags: list[str]
) -> None:
    player.install(name)
    file = tmp_path / "call of mine; ls.wav"
    call = demonstration.call("", "--withheld", "--play", "--save", file)
    assert [sound["argv"][1:-1] for sound in player.played] == [flags] * len(call["turns"])
    assert {Path(sound["argv"][0]).name for sound in player.played} == {name}
    assert {sound["input"] for sound in player.played} == {""}, "keys are for the call"
    with wave.open(str(file)) as whole:
        assert b"".join(player.sounds) == whole.readframes(whole.getnframes())
    assert not any(Path(sound["argv"][-1]).exists() for sound in player.played)


def test_keys_from_a_pipe_do_not_cut_the_turns_off(
    demonstration: Demonstration, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    player.install("aplay")
    player.install("ffplay")
    monkeypatch.setattr("sys.stdin", io.StringIO("9#\n"))
    demonstration.shell.run(*demonstration.words("--from", "+8613800000007", "--play"))
    assert [Path(sound["argv"][0]).name for sound in player.played] == ["aplay", "aplay"]


def test_a_player_that_fails_ends_no_call(demonstration: Demonstration, player: Player) -> None:
    player.install("paplay", exit_code=1)
    heard = demonstration.shell.run(*demonstration.words("--keys", "", "--withheld", "--play"))
    assert "The call is over: 3 turns" in heard.stdout
    assert heard.stderr.count("could not play it") == 1


def test_without_a_player_nobody_is_called(demonstration: Demonstration, player: Player) -> None:
    refused = demonstration.shell.run(*demonstration.words("--keys", "", "--play"), expect=1)
    assert "aplay, paplay, afplay, ffplay" in refused.stderr
    assert "--save" in refused.stderr
    assert not refused.stdout
    assert list(player.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "code", "remedy"),
    [
        (("--public-url", "https://elsewhere.example"), 1, "public URL"),
        (("--url", "http://127.0.0.1:9"), 4, "does not answer"),
        (("--from", "Bob"), 1, "--withheld"),
        (("--keys", "12a#"), 2, "0 to 9"),
        (("--save", "no/such/folder/call.wav"), 4, "Make it first"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    demonstration: Demonstration, more: tuple[str, ...], code: int, remedy: str
) -> None:
    refused = demonstration.shell.run(*demonstration.words("--keys", "", *more), expect=code)
    assert remedy in refused.stderr
    assert not refused.stdout


def test_without_a_provider_the_command_says_what_to_set(tmp_path: Path) -> None:
    refused = Shell(tmp_path / "data").run("simulate", "call", "--keys", "", expect=1)
    assert "YANZHEN_IVR__TWILIO__AUTH_TOKENS" in refused.stderr
