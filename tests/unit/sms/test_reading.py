"""What people text is understood: the code in any layout, the commands they know, and help for the rest."""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path

import pytest

import channels.reading as reading_module
from app.core.model.check_digits import check_digits_for
from app.core.model.code import MAX_READINGS, PRESET_LENGTHS
from channels.reading import Meant, Understood, understand
from channels.wording.locales import LOCALES

A = "1234567890123456" + "78" + check_digits_for("123456789012345678")
B = "0070070070070070" + "07" + check_digits_for("007007007007007007")
HANZI = A.translate(str.maketrans("0123456789", "〇一二三四五六七八九"))
FULL_WIDTH = A.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
FOURS = " ".join(A[at : at + 4] for at in range(0, 20, 4))


def read(text: str, *, media: bool = False) -> Understood:
    return understand(text, media=media, lengths=PRESET_LENGTHS)


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        (A, ""),
        (FOURS, ""),
        (FOURS.replace(" ", "-"), ""),
        (FOURS.replace(" ", "\n"), ""),
        (FULL_WIDTH, ""),
        (HANZI, "zh-CN"),
        (" ".join(HANZI), "zh-CN"),
        (HANZI.replace("一", "幺"), "zh-CN"),
        (f"请帮我查一下{A}是不是真的，谢谢", "zh-CN"),
        (f"我的手机13800138000，码{FOURS}", "zh-CN"),
        (f"13800138000 {A}", ""),
        (f"https://verify.example/q/{A}", ""),
        (f"verify.example/q/{A}", ""),
        (f"WWW.verify.example {A}", ""),
        (f"please check https://verify.example/q/{A}", "en"),
        (f"is {FOURS} ok", "en"),
        (f"vérifier {A}", "en"),
        (A.replace("0", "O").replace("1", "l"), ""),
        (f"x {A}", ""),
        (f"😀{A}😀", ""),
        (f"проверить {A}", ""),
        (f"EN {A}", "en"),
        (f"en:{FOURS}", "en"),
        (f"ＥＮ　{FULL_WIDTH}", "en"),
        (f"{A} English", "en"),
        (f"英文 {A}", "en"),
        (f"英文{A}", "en"),
        (f"英文 {HANZI}", "en"),
        (f"ZH {A}", "zh-CN"),
        (f"cn {A}", "zh-CN"),
        (f"中文 {A}", "zh-CN"),
        (f"stop {A}", "en"),
        (f"退订 {A}", "zh-CN"),
    ],
)
def test_a_code_is_found_and_its_language_told(text: str, locale: str) -> None:
    understood = read(text)
    assert understood.kind is Meant.CODE
    assert understood.reading is not None
    assert understood.reading.code.digits == A
    assert understood.locale == locale
    words = text.casefold().replace("ｅｎ", "en")
    asks = any(word in words for word in ("en ", "en:", "en\u3000", "english", "英文", "zh", "cn", "中文"))
    assert understood.argument == (locale if asks else "")


@pytest.mark.parametrize(
    ("text", "kind", "locale", "argument"),
    [
        ("EN", Meant.LANGUAGE, "en", "en"),
        ("english", Meant.LANGUAGE, "en", "en"),
        (" English. ", Meant.LANGUAGE, "en", "en"),
        ("英文", Meant.LANGUAGE, "en", "en"),
        ("ＥＮ", Meant.LANGUAGE, "en", "en"),
        ("中文", Meant.LANGUAGE, "zh-CN", "zh-CN"),
        ("ZH", Meant.LANGUAGE, "zh-CN", "zh-CN"),
        ("cn", Meant.LANGUAGE, "zh-CN", "zh-CN"),
        ("Chinese!", Meant.LANGUAGE, "zh-CN", "zh-CN"),
        ("HELP", Meant.HELP, "en", ""),
        ("帮助。", Meant.HELP, "zh-CN", ""),
        ("?", Meant.HELP, "", ""),
        ("？", Meant.HELP, "", ""),
        ("info", Meant.HELP, "en", ""),
        ("STOP", Meant.OPT_OUT, "en", ""),
        ("Stop!!", Meant.OPT_OUT, "en", ""),
        ("ｓｔｏｐ", Meant.OPT_OUT, "en", ""),
        ("\u200bstop\ufeff\n", Meant.OPT_OUT, "en", ""),
        ("stop  all", Meant.OPT_OUT, "en", ""),
        ("STOPALL", Meant.OPT_OUT, "en", ""),
        ("unsubscribe", Meant.OPT_OUT, "en", ""),
        ("Cancel", Meant.OPT_OUT, "en", ""),
        ("end", Meant.OPT_OUT, "en", ""),
        ("quit", Meant.OPT_OUT, "en", ""),
        ("TD", Meant.OPT_OUT, "", ""),
        ("t", Meant.OPT_OUT, "", ""),
        ("Ｔ", Meant.OPT_OUT, "", ""),
        ("退订", Meant.OPT_OUT, "zh-CN", ""),
        ("退訂", Meant.OPT_OUT, "zh-CN", ""),
        ("恢復", Meant.OPT_IN, "zh-CN", ""),
        ("幫助", Meant.HELP, "zh-CN", ""),
        ("退订！", Meant.OPT_OUT, "zh-CN", ""),
        ("停止", Meant.OPT_OUT, "zh-CN", ""),
        ("START", Meant.OPT_IN, "en", ""),
        ("unstop", Meant.OPT_IN, "en", ""),
        ("Yes.", Meant.OPT_IN, "en", ""),
        ("恢复", Meant.OPT_IN, "zh-CN", ""),
        ("“恢复”", Meant.HELP, "zh-CN", ""),
        ("kt", Meant.OPT_IN, "", ""),
        ("please stop", Meant.HELP, "en", ""),
        ("", Meant.HELP, "", ""),
        (" \n", Meant.HELP, "", ""),
        ("😀", Meant.HELP, "", ""),
        ("👍🏽👍🏽", Meant.HELP, "", ""),
        ("ok", Meant.HELP, "en", ""),
        ("谢谢", Meant.HELP, "zh-CN", ""),
        ("x", Meant.HELP, "", ""),
        ("12345", Meant.HELP, "", ""),
        ("查一下，第一，第二", Meant.HELP, "zh-CN", ""),
        ("12 ab 345", Meant.HELP, "en", ""),
        ("\x00", Meant.HELP, "", ""),
        ("\ud800", Meant.HELP, "", ""),
        ("。。。", Meant.HELP, "", ""),
    ],
)
def test_a_command_is_the_whole_text(text: str, kind: Meant, locale: str, argument: str) -> None:
    assert read(text) == Understood(kind=kind, locale=locale, argument=argument)


@pytest.mark.parametrize(
    ("text", "digits"),
    [("123456", "123456"), ("12 ab 34 cd 56", "12"), ("13800138000", "13800138000"), (A[:-1], A[:-1])],
)
def test_six_digits_are_a_try(text: str, digits: str) -> None:
    understood = read(text)
    assert understood.reading is not None
    assert understood.reading.code.digits == digits


def test_of_two_codes_the_first_is_answered() -> None:
    for text in (f"{A} {B}", f"{FOURS}\n{B}", f"{A} 和 {B}"):
        understood = read(text)
        assert understood.reading is not None
        assert (understood.reading.code.digits, understood.reading.more_codes) == (A, True)


@pytest.mark.parametrize(
    "text", ["7" * 1580 + A, "8 " * 800, (HANZI + "和") * 76, f"{A} " * 76, "12345678" * 200, "0" * 1600]
)
def test_the_longest_text_costs_three_proofs_at_most(text: str) -> None:
    understood = read(text)
    assert understood.reading is not None
    assert 1 + len(understood.reading.others) <= MAX_READINGS


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Meant.HELP),
        ("IMG_20261121_091203.jpg", Meant.HELP),
        ("image000000.jpg", Meant.HELP),
        ("mmexport1763693520123.jpg", Meant.HELP),
        (A[:-1], Meant.HELP),
        (A, Meant.CODE),
        (f"label.jpg {FOURS}", Meant.CODE),
        ("13800138000 " + FOURS, Meant.CODE),
        ("STOP", Meant.OPT_OUT),
    ],
)
def test_beside_a_picture_only_a_whole_code_is_one(text: str, kind: Meant) -> None:
    assert read(text, media=True).kind is kind


def test_an_imported_length_is_a_code_beside_a_picture() -> None:
    assert understand("12345678", media=True, lengths=frozenset({8})).kind is Meant.CODE


def test_the_words_are_clean() -> None:
    tables = tomllib.loads(Path(reading_module.__file__).with_name("commands.toml").read_text("utf-8"))
    assert set(tables) == {kind.value for kind in Meant} - {"code"}
    assert set(tables["language"]) == set(LOCALES)
    for name, table in tables.items():
        assert set(table) <= {"any", *LOCALES}
        for locale, words in table.items():
            for word in words:
                assert word == unicodedata.normalize("NFKC", word).strip().casefold()
                assert not any(char.isdigit() for char in word)
                for written in (word, word.upper(), f" {word}。", f"{word}\n"):
                    understood = read(written)
                    assert understood.kind == name
                    assert understood.locale == ("" if locale == "any" else locale)
