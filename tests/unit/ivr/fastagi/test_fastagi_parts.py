"""The pure parts of FastAGI: environment, replies, commands, scripts and addresses."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import SettingsInvalid, Undecodable
from channels.ivr.fastagi import commands
from channels.ivr.fastagi.environment import read_environment
from channels.ivr.fastagi.replies import AgiReply, NotAReply, read_reply
from channels.ivr.fastagi.script import (
    EndCall,
    GatherKeys,
    PutThrough,
    RecordReport,
    Script,
    read_script,
    write_script,
)
from channels.ivr.fastagi.server import read_address

BLOCK = {
    "network": "yes",
    "network_script": "verify",
    "request": "agi://127.0.0.1:4573/verify",
    "channel": "PJSIP/caller-00000000",
    "language": "en",
    "type": "PJSIP",
    "uniqueid": "1795241128.0",
    "version": "22.10.1",
    "callerid": "13800138000",
    "calleridname": "unknown",
    "callingpres": "0",
    "callingani2": "0",
    "callington": "0",
    "callingtns": "0",
    "dnid": "95001",
    "rdnis": "unknown",
    "context": "pv",
    "extension": "95001",
    "priority": "1",
    "enhanced": "0.0",
    "accountcode": "",
    "threadid": "139800348247744",
}


def block(*arguments: str, **changes: str | None) -> list[str]:
    told = {**BLOCK, **changes}
    lines = [f"agi_{name}: {text}" for name, text in told.items() if text is not None]
    return lines + [f"agi_arg_{number}: {text}" for number, text in enumerate(arguments, start=1)]


# -- environment -----------------------------------------------------------------------------------------------------


def test_the_facts_of_a_call() -> None:
    facts = read_environment(block("one", "", network_script="verify?lang=en&dialled=4008001234"))
    assert (facts.call_id, facts.caller, facts.dialled, facts.language) == (
        "1795241128.0",
        "13800138000",
        "4008001234",
        "en",
    )
    assert facts.arguments == ("one", "")
    assert not facts.is_back
    assert "13800138000" not in repr(facts)


def test_without_a_path_the_dialled_number_is_the_switchs() -> None:
    facts = read_environment(block(network_script=None))
    assert (facts.dialled, facts.language) == ("95001", "")


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("verify?lang=en", "en"),
        ("verify?lang=en-GB&dialled=1", "en-GB"),
        ("verify?lang=en&lang=zh-CN", "en"),
        ("verify?lang=", ""),
        ("verify?lang=e%0An", ""),
        ("verify?language=en", ""),
        ("lang=en", ""),
    ],
)
def test_the_address_may_ask_for_a_language(asked: str, language: str) -> None:
    assert read_environment(block(network_script=asked)).language == language


def test_a_caller_who_comes_back() -> None:
    assert read_environment(block("transfer_failed")).is_back


@pytest.mark.parametrize(
    ("number", "presentation", "caller"),
    [
        ("13800138000", "0", "13800138000"),
        ("+8613800138000", "0", "+8613800138000"),
        ("1380-0138(000)", "0", "1380-0138(000)"),
        ("+86 13800138000", "0", "+86 13800138000"),
        ("+8613800138000", "32", ""),
        ("13800138000", "35", ""),
        ("unknown", "67", ""),
        ("anonymous", "0", ""),
        ("", "0", ""),
        ('1380%s"', "0", ""),
        ("13800138000", "many", ""),
        ("13800138000", "９", ""),
        ("1" * 50, "0", ""),
    ],
)
def test_a_number_is_withheld_in_many_ways(number: str, presentation: str, caller: str) -> None:
    assert read_environment(block(callerid=number, callingpres=presentation)).caller == caller


@pytest.mark.parametrize(
    "lines",
    [
        [],
        block()[:-1],
        block()[1:],
        [*block(), "agi_dnid: 1"],
        [*block(), "agi_arg_2: x"],
        [*block()[:9], "agi_network_script: admin", *block()[9:]],
        [*block()[:9], "HANGUP", *block()[9:]],
        [*block()[:9], "agi_dnid: 1", *block()[9:]],
        block(callerid="1)\r"),
        block(calleridname="a\x00b"),
        block(uniqueid="two words"),
        block(uniqueid="1\u0661"),
        block(*["x"] * 100),
        block(network_script="verify?dialled=1" + "&lang=en" * 100),
    ],
)
def test_a_block_that_asterisk_would_not_write_is_refused(lines: list[str]) -> None:
    with pytest.raises(Undecodable):
        read_environment(lines)


@given(st.text(alphabet=st.sampled_from("1+\nagi_dnid: x\r2\0"), max_size=60), st.text(max_size=20))
def test_nothing_in_a_caller_id_changes_any_other_fact(number: str, name: str) -> None:
    lines = "\n".join(block(callerid=number, calleridname=name)).split("\n")
    try:
        facts = read_environment(lines)
    except Undecodable:
        return
    assert (facts.call_id, facts.dialled, facts.arguments) == ("1795241128.0", "95001", ())
    assert facts.caller in {"", number}


# -- replies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("200 result=0", AgiReply(code=200, result="0")),
        ("200 result=0 endpos=20000", AgiReply(code=200, result="0", end=20000)),
        ("200 result=88005555350123456789", AgiReply(code=200, result="88005555350123456789")),
        ("200 result=0000", AgiReply(code=200, result="0000")),
        ("200 result=*9", AgiReply(code=200, result="*9")),
        ("200 result= (timeout)", AgiReply(code=200, words="timeout")),
        ("200 result=", AgiReply(code=200)),
        ("200 result=12345 (timeout)", AgiReply(code=200, result="12345", words="timeout")),
        (
            "200 result=6994 (timeout) endpos=8160",
            AgiReply(code=200, result="6994", words="timeout", end=8160),
        ),
        ("200 result=-1 (hangup) endpos=8000", AgiReply(code=200, result="-1", words="hangup", end=8000)),
        ('200 result=1 (say "hi" (x) 50%)', AgiReply(code=200, result="1", words='say "hi" (x) 50%')),
        ("200 result=1 ()", AgiReply(code=200, result="1")),
        ("510 Invalid or unknown command", AgiReply(code=510)),
        ("511 Command Not Permitted on a dead channel or intercept routine", AgiReply(code=511)),
        ("520-Invalid command syntax.  Proper usage follows:", AgiReply(code=520)),
    ],
)
def test_recorded_replies(line: str, reply: AgiReply) -> None:
    assert read_reply(line) == reply


@pytest.mark.parametrize("line", ["", "HANGUP", "200", "200 OK", "agi_dnid: 1", "200 result=1 (1", "5"])
def test_what_is_no_reply(line: str) -> None:
    with pytest.raises(NotAReply):
        read_reply(line)


def test_the_number_of_a_result() -> None:
    numbers = ("35", "-1", "", "*9", "9" * 30)
    assert [AgiReply(code=200, result=result).number for result in numbers] == [35, -1, -1, -1, -1]


@given(st.text())
def test_any_line_is_a_reply_or_none(line: str) -> None:
    with suppress(NotAReply):
        assert read_reply(line).code >= 200


# -- commands --------------------------------------------------------------------------------------------------------


def words_of(line: str) -> list[str]:
    """Split a line as Asterisk does: at blanks, with quotes, and a backslash before a literal sign."""
    words: list[str] = []
    word, is_word, quoted, escaped = "", False, False, False
    for sign in line:
        if escaped:
            word, escaped = word + sign, False
        elif sign == "\\":
            escaped = is_word = True
        elif sign == '"':
            quoted, is_word = not quoted, True
        elif sign in " \t" and not quoted:
            words, word, is_word = [*words, *[word] * is_word], "", False
        else:
            word, is_word = word + sign, True
    return [*words, *[word] * is_word]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=50))
def test_a_quoted_word_is_read_as_itself(word: str) -> None:
    assert words_of(f"SET VARIABLE X {commands.quoted(word)}") == ["SET", "VARIABLE", "X", word]


@given(st.text(max_size=20), st.sampled_from("\n\r\0\x7f\t"), st.text(max_size=20))
def test_a_control_character_is_never_sent(before: str, sign: str, behind: str) -> None:
    with pytest.raises(ValueError, match="control"):
        commands.quoted(before + sign + behind)


def test_the_commands() -> None:
    assert commands.stream_file("a b/c", "12") == 'STREAM FILE "a b/c" "12"'
    assert commands.get_data(5000, 21) == 'GET DATA "" 5000 21'
    assert commands.wait_for_digit(300) == "WAIT FOR DIGIT 300"
    assert commands.record_file("r/x", 60_000, 4, beep=True) == 'RECORD FILE r/x wav "#" 60000 BEEP s=4'
    assert commands.set_variable("A", 'x"y') == 'SET VARIABLE A "x\\"y"'


# -- scripts ---------------------------------------------------------------------------------------------------------

WAITS = st.one_of(
    st.builds(
        GatherKeys,
        max_digits=st.integers(1, 64),
        first_digit_s=st.integers(1, 60),
        between_s=st.integers(1, 60),
    ),
    st.builds(
        RecordReport,
        max_s=st.integers(1, 600),
        name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", fullmatch=True),
    ),
    st.builds(PutThrough, number=st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True)),
    st.just(EndCall()),
)
SOUNDS = st.from_regex(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,9}){0,3}", fullmatch=True
)
SCRIPTS = st.builds(
    Script,
    say=st.lists(st.one_of(SOUNDS, st.integers(1, 10_000)), max_size=20).map(tuple),
    deaf=st.integers(0, 20),
    lengths_ms=st.dictionaries(SOUNDS, st.integers(1, 600_000), max_size=5),
    wait=WAITS,
    state=st.from_regex(r"[A-Za-z0-9_-]{0,100}", fullmatch=True),
)


@given(SCRIPTS)
def test_a_script_is_read_as_it_was_written(script: Script) -> None:
    assert read_script(write_script(script)) == script


GOOD = {"say": ["a"], "deaf": 0, "then": {"do": "hangup"}, "state": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"say": ["../etc/passwd"]},
        {"say": ["/etc/passwd"]},
        {"say": ["a&b"]},
        {"say": ['a" "#']},
        {"say": ["a b"]},
        {"say": ["a\n"]},
        {"say": [True]},
        {"say": [0]},
        {"say": [10_001]},
        {"say": [1.5]},
        {"say": ["a"] * 301},
        {"say": None},
        {"deaf": -1},
        {"lengths_ms": {"a": "long"}},
        {"lengths_ms": []},
        {"state": "x" * 901},
        {"state": "a b"},
        {"state": 7},
        {"then": {}},
        {"then": {"do": "gather", "max_digits": 0, "first_digit_s": 8, "between_s": 5}},
        {"then": {"do": "gather", "max_digits": 20, "first_digit_s": 8}},
        {"then": {"do": "record", "max_s": 60, "name": "../x"}},
        {"then": {"do": "record", "max_s": 6000, "name": "x"}},
        {"then": {"do": "transfer", "to": "PJSIP/1"}},
        {"then": {"do": "transfer", "to": 5}},
    ],
)
def test_a_script_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    assert read_script(json.dumps(GOOD).encode()).wait == EndCall()
    with pytest.raises(Undecodable):
        read_script(json.dumps(GOOD | change).encode())


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(
            lambda told: json.dumps(told).encode()
        ),
    )
)
def test_anything_else_is_no_script(body: bytes) -> None:
    with pytest.raises(Undecodable):
        read_script(body)


# -- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:4573", ("127.0.0.1", 4573)),
        ("[::1]:4573", ("::1", 4573)),
        ("switch.internal:0", ("switch.internal", 0)),
    ],
)
def test_an_address(listen: str, address: tuple[str, int]) -> None:
    assert read_address(listen) == address


@pytest.mark.parametrize(
    "listen", ["", "4573", ":4573", "127.0.0.1", "127.0.0.1:", "h:70000", "h:-1", "h:４"]
)
def test_no_address(listen: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"ivr\.fastagi\.listen"):
        read_address(listen)
