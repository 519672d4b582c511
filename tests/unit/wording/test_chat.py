"""The chat's form: a few lines that say what the other forms say, on one screen whatever the names."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.model.label import LabelSummary
from app.core.model.verdict import Outcome, Verdict
from channels.wording.chat import LONGEST_CHAT
from channels.wording.locales import LOCALES
from channels.wording.notices import NoticeWords
from channels.wording.reply import TextForm, Wording
from channels.wording.variants import Variant
from tests.unit.wording.test_one_segment import CHANNELS, LATE, PLACES, fullest
from tests.unit.wording.verdicts import LABEL, verdict_of

WORDING = Wording.load("Asia/Shanghai")
EVERY = list(product(Variant, LOCALES))
BOOKS = {locale: WORDING.reply(verdict_of(Variant.FIRST), locale).book for locale in LOCALES}
MOST_BYTES = 2048
LONGEST = LabelSummary(
    brand="牌" * 120,
    brand_en="B" * 120,
    service_line="+86 (400) 800-1234-5678-9012-345",
    product="奶" * 120,
    product_en="M" * 120,
)
EMOJI = replace(
    LONGEST, brand="😀" * 120, brand_en="😀" * 120, product="👨‍👩‍👧" * 24, product_en="e\u0301" * 60
)
WARNINGS = {
    "zh-CN": ("请勿使用", "先不要使用", "停止使用"),
    "en": ("do not use the product", "stop using", "do not use it yet"),
}
REPEAT = """\
该码已被查询 3 次，首次为 2026年3月5日 09:12（短信，内蒙古）。如非您本人查询，请勿使用，并拨打品牌服务电话。
产品：奶粉（海岸牧场）
请核对：涂层此前是否已刮开，标签是否揭开重贴，品牌和品名是否相符。
请留好包装和购物凭证。
品牌服务电话：400-800-1234
本次查询：2026年11月20日 09:12"""
FIRST = """\
This code matches our record. This is its first check.
Product: Milk (Coast)
Look: you scratched off the coating yourself, the label lies flat, brand and product fit.
If anything does not fit, do not use the product yet and call the brand.
Service line: 400-800-1234
This check: 20 Nov 2026, 09:12"""


def chat(verdict: Verdict, locale: str, *, more_codes: bool = False) -> str:
    return WORDING.reply(verdict, locale, more_codes=more_codes).text(TextForm.CHAT)


def test_the_agreed_answers() -> None:
    assert chat(verdict_of(Variant.REPEAT, label=LABEL), "zh-CN") == REPEAT
    assert chat(verdict_of(Variant.FIRST, label=LABEL), "en") == FIRST


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_whatever_fills_it_an_answer_is_on_one_screen(variant: Variant, locale: str) -> None:
    labelled = verdict_of(variant).label is not None
    told = "via" in BOOKS[locale].meanings[variant].chat.names
    for label, place, channel, count, more in product(
        (LONGEST, EMOJI) if labelled else (LONGEST,),
        PLACES if told else PLACES[:1],
        CHANNELS if told else CHANNELS[:1],
        (2, 999_999),
        (False, True),
    ):
        text = chat(fullest(variant, label, place, channel, count), locale, more_codes=more)
        assert len(text) <= LONGEST_CHAT, (len(text), text)
        assert len(text.encode()) <= MOST_BYTES
        lines = text.split("\n")
        assert all(line == line.strip() and line for line in lines), lines
        assert "  " not in text
        assert "{" not in text
        assert not labelled or any("800-1234-5678-9012-345" in line for line in lines)


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_it_says_what_the_other_forms_say(variant: Variant, locale: str) -> None:
    verdict = verdict_of(variant, label=LABEL, channel="sms", ordinal=4321)
    reply = WORDING.reply(verdict, locale)
    book, text = reply.book, reply.chat
    names = book.meanings[variant].message.names
    assert ("4321" in text) == ("4321" in reply.message) == ("count" in names)
    if "first_at" in names and verdict.first:
        assert book.moment(verdict.first.at) in text
        assert "内蒙古" in text or "Inner Mongolia" in text or "via" not in names
    if "own_at" in names and verdict.own_first_at:
        assert book.moment(verdict.own_first_at) in text or book.day(verdict.own_first_at) in text
    for position in verdict.slip_positions:
        assert book.position(position) in text
    told = reply.message + " ".join(reply.page.look_at) + reply.page.next_step
    for words in WARNINGS[locale]:
        assert words.lower() not in text.lower() or any(w.lower() in told.lower() for w in WARNINGS[locale])
    if any(words.lower() in reply.message.lower() for words in WARNINGS[locale]):
        assert any(words.lower() in text.lower() for words in WARNINGS[locale])
    assert (LABEL.service_line in text) == (verdict.label is not None)
    assert ((LABEL.product in text) or (LABEL.product_en in text)) == (verdict.label is not None)
    assert bool(book.meanings[variant].look_at) == bool(book.meanings[variant].chat_look)
    assert (verdict.recorded_at is not None) == text.endswith(
        book.stamp(verdict.recorded_at) if verdict.recorded_at else "\0"
    )


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_there_is_always_a_next_step_and_nothing_is_over_claimed(variant: Variant, locale: str) -> None:
    reply = WORDING.reply(verdict_of(variant, label=LABEL, channel="wechat"), locale)
    assert reply.book.meanings[variant].chat_next in reply.chat.split("\n")
    assert not re.search(
        r"fake|counterfeit|genuine|authentic|dear|假|冒|伪|正品|尊敬|亲爱|[!！]", reply.chat, re.IGNORECASE
    )


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("form", ["chat", "chat_next"])
def test_the_words_of_an_answer_keep_to_its_locale(form: str, locale: str) -> None:
    for meaning in BOOKS[locale].meanings.values():
        text = meaning.chat.text if form == "chat" else meaning.chat_next
        assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (locale == "zh-CN"), text


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_that_the_first_of_two_codes_was_answered_is_the_last_line(variant: Variant, locale: str) -> None:
    reply = WORDING.reply(
        verdict_of(variant, label=LABEL, channel="wechat", ordinal=12), locale, more_codes=True
    )
    *lines, last = reply.chat.split("\n")
    assert last == reply.book.fragments["chat_more_codes"]
    alone = chat(reply.verdict, locale)
    if len(alone) + len(last) < LONGEST_CHAT:
        assert "\n".join(lines) == alone
    else:
        next_step = reply.book.meanings[variant].chat_next
        assert lines == [line for line in alone.split("\n") if line != next_step]


def test_names_give_way_and_show_where_they_were_cut() -> None:
    label = replace(LABEL, product_en="Coast infant formula " * 4, brand_en="Coast Pastures " * 4)
    line = chat(verdict_of(Variant.FIRST, label=label), "en").split("\n")[1]
    assert line == (
        "Product: Coast infant formula Coast infant formula Coast infant form…"
        " (Coast Pastures Coast Pastures Coast Pas…)"
    )
    family = replace(LABEL, product="👨‍👩‍👧" * 20)
    cut_name = chat(verdict_of(Variant.FIRST, label=family), "zh-CN").split("\n")[1]
    assert cut_name == "产品：" + "👨‍👩‍👧" * 11 + "…（海岸牧场）"


def test_a_name_is_one_line_and_english_falls_back_to_what_there_is() -> None:
    label = LabelSummary(brand="海岸\n牧场", product="奶粉\r\n一段", service_line=" 400  800\n1234 ")
    lines = chat(verdict_of(Variant.FIRST, label=label), "en").split("\n")
    assert lines[1] == "Product: 奶粉 一段 (海岸 牧场)"
    assert "Service line: 400 800 1234" in lines
    long = replace(label, service_line="4" + "-" * 40 + "00")
    assert "Service line: 400" in chat(verdict_of(Variant.FIRST, label=long), "en").split("\n")


def test_what_is_not_known_takes_no_line() -> None:
    label = replace(LABEL, service_line="")
    assert chat(verdict_of(Variant.FIRST, label=label), "en") == FIRST.replace(
        "Service line: 400-800-1234\n", ""
    )
    bare = Verdict(outcome=Outcome.FIRST, ordinal=1)
    assert chat(bare, "en").split("\n") == [FIRST.split("\n", maxsplit=1)[0], *FIRST.split("\n")[2:4]]


@given(st.text(max_size=150), st.text(max_size=150), st.text(max_size=60))
def test_whatever_a_name_holds_the_answer_keeps_its_size_and_its_lines(
    product_name: str, brand: str, service_line: str
) -> None:
    label = LabelSummary(brand=brand, product=product_name, service_line=service_line)
    for locale in LOCALES:
        text = chat(fullest(Variant.REPEAT_OWN_BEFORE, label, "黑龙江", "sms", 99), locale)
        assert len(text) <= LONGEST_CHAT
        assert len(text.encode("utf-8", "surrogatepass")) <= MOST_BYTES
        assert text.count("\n") <= 5
        assert text.endswith(BOOKS[locale].stamp(LATE))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", NoticeWords)
def test_a_notice_of_a_chat(name: NoticeWords, locale: str) -> None:
    text = WORDING.notice(name, locale).text(TextForm.CHAT)
    assert 0 < len(text) <= 200
    assert not re.search(r"[!！{【]|fake|假|伪|尊敬|亲爱|  ", text)
    assert re.search(r"[\u4e00-\u9fff]", text.split("\n")[0]) is not None or locale == "en"


@pytest.mark.parametrize("name", [NoticeWords.HELP, NoticeWords.WELCOME, NoticeWords.LANGUAGE])
def test_the_other_language_is_named_in_its_own_words(name: NoticeWords) -> None:
    assert WORDING.notice(name, "zh-CN").chat.endswith("\nFor English, reply EN.")
    assert WORDING.notice(name, "en").chat.endswith("\n中文请回复“中文”。")
