"""Every answer has every form in every locale, says the same, and never more than is known."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

import channels.wording as wording_package
from app.core.model.verdict import Detail, First, Outcome, Verdict
from channels.wording.book import Template
from channels.wording.locales import LOCALES, negotiate_locale, resolve_locale
from channels.wording.reply import Reply, Wording
from channels.wording.segments import find_gsm7_length, fits_one_segment, ucs2_length
from channels.wording.short import SHORT_VALUES
from channels.wording.values import VALUES
from channels.wording.variants import Variant, variant_of
from tests.unit.wording.verdicts import AT, LONGEST_LABEL, verdict_of

FOLDER = Path(wording_package.__file__).parent
EVERY = [(variant, locale) for variant in Variant for locale in LOCALES]

_REPEAT_ZH = (
    "该码已被查询 3 次，首次为 2026年3月5日 09:12（短信，内蒙古）。"
    "如非您本人查询，请勿使用，并拨打品牌服务电话。"
)
_REPEAT_EN = (
    "This code has been checked 3 times, first on 5 March 2026 at 09:12 (text message, Inner Mongolia). "
    "If that was not you, do not use the product and call the brand."
)


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording.load("Asia/Shanghai")


def forms_of(reply: Reply) -> dict[str, str]:
    page = reply.page
    return {
        "message": reply.message,
        "short": reply.short,
        "chat": reply.chat,
        "headline": page.headline,
        "lead": page.lead,
        "next_step": page.next_step,
        "look_at": " ".join(page.look_at),
        "facts": " ".join(f"{fact.label} {fact.value}" for fact in page.facts),
    }


def test_every_outcome_has_a_wording() -> None:
    for outcome in Outcome:
        assert variant_of(Verdict(outcome=outcome)) in Variant


@pytest.mark.parametrize("variant", Variant)
def test_a_verdict_takes_its_own_wording(variant: Variant) -> None:
    assert variant_of(verdict_of(variant)) is variant


def test_lower_facts_change_no_words() -> None:
    verdict = Verdict(outcome=Outcome.RECALLED, reasons=(Outcome.VOIDED, Outcome.REPEAT, Detail.OWN_BEFORE))
    assert variant_of(verdict) is Variant.RECALLED


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_every_wording_has_every_form(wording: Wording, variant: Variant, locale: str) -> None:
    forms = forms_of(wording.reply(verdict_of(variant), locale))
    for name in ("message", "short", "chat", "headline", "lead", "next_step"):
        assert forms[name].strip(), name
    for text in forms.values():
        assert "{" not in text
        assert "  " not in text
        assert "None" not in text
        assert "!" not in text
        assert "！" not in text
    assert len(re.findall(r"[。！？]|[.?](?: |$)", forms["message"])) <= 3


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_nothing_is_called_fake_or_simply_genuine(wording: Wording, variant: Variant, locale: str) -> None:
    for text in forms_of(wording.reply(verdict_of(variant), locale)).values():
        assert not re.search(
            r"fake|counterfeit|genuine|authentic|dear customer|假|冒|正品|尊敬", text, re.IGNORECASE
        )


@pytest.mark.parametrize("place", ["内蒙古", "黑龙江", "", "克孜勒苏柯尔克孜自治州"])
@pytest.mark.parametrize("channel", ["web", "api", "cli", "sms", "ivr", "wechat", "unheard-of"])
@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_a_text_message_is_one_segment(
    wording: Wording, variant: Variant, locale: str, channel: str, place: str
) -> None:
    verdict = verdict_of(variant, label=LONGEST_LABEL, place=place, channel=channel, ordinal=9999)
    short = wording.reply(verdict, locale).short
    assert "://" not in short
    assert "/" not in short
    if locale == "en":
        length = find_gsm7_length(short)
        assert length is not None, short
        assert length <= 160, short
    else:
        assert ucs2_length(short) <= 70, short
    assert fits_one_segment(short)


def test_both_locales_have_the_same_words_and_placeholders() -> None:
    books = {
        locale: tomllib.loads((FOLDER / f"{locale}.toml").read_text(encoding="utf-8")) for locale in LOCALES
    }
    first, *others = books.values()
    for other in others:
        assert first["answers"].keys() == other["answers"].keys() == {variant.value for variant in Variant}
        for name, words in first["answers"].items():
            assert words.keys() == other["answers"][name].keys(), name
            for form in ("message", "lead", "next_step"):
                if form in words:
                    here, there = (
                        Template.of(words[form]).names,
                        Template.of(other["answers"][name][form]).names,
                    )
                    assert set(here) == set(there), (name, form)
        for table in (
            "look_at", "facts", "fragments", "channels", "short_channels", "dates", "wait",
            "signature", "notices", "chat_notices", "chat_look_at", "places",
        ):  # fmt: skip
            assert first[table].keys() == other[table].keys(), table
        assert {name: len(lines) for name, lines in first["look_at"].items()} == {
            name: len(lines) for name, lines in other["look_at"].items()
        }


def test_every_placeholder_has_a_value() -> None:
    for locale in LOCALES:
        book = tomllib.loads((FOLDER / f"{locale}.toml").read_text(encoding="utf-8"))
        for words in book["answers"].values():
            for form in ("message", "lead", "next_step", "chat"):
                assert set(Template.of(words.get(form, "")).names) <= VALUES.keys()
            assert set(Template.of(words["short"]).names) <= VALUES.keys() | SHORT_VALUES.keys()
        for words in book["notices"].values():
            assert set(Template.of(words).names) <= {"signature", "site"}


@pytest.mark.parametrize(
    ("variant", "locale", "message"),
    [
        (Variant.FIRST, "zh-CN", "该码与登记信息一致，为首次查询。"),
        (Variant.FIRST, "en", "This code matches our record. This is its first check."),
        (Variant.REPEAT, "zh-CN", _REPEAT_ZH),
        (Variant.REPEAT, "en", _REPEAT_EN),
        (Variant.MISTYPED_SLIP, "zh-CN", "请再看一下第 7 位数字。"),
        (Variant.MISTYPED_SLIP, "en", "Please look at the 7th digit again."),
        (Variant.MISTYPED_SLIP_PAIR, "en", "Please look at the 7th and 8th digits again."),
        (Variant.UNAVAILABLE, "zh-CN", "暂时无法给出结论，请稍后再查；这不代表产品有问题。"),
        (
            Variant.UNAVAILABLE,
            "en",
            "We cannot give an answer just now. Please try again later; this says nothing about the product.",
        ),
    ],
)
def test_the_agreed_sentences(wording: Wording, variant: Variant, locale: str, message: str) -> None:
    assert wording.reply(verdict_of(variant), locale).message == message


def test_the_agreed_text_message(wording: Wording) -> None:
    verdict = verdict_of(Variant.REPEAT, channel="wechat")
    expected = "【验真】海岸：该码第3次查询，首次26-03-05内蒙古微信。非您所查请慎用。客服4008001234"
    assert wording.reply(verdict, "zh-CN").short == expected


def test_own_earlier_query_is_told_beside_the_others(wording: Wording) -> None:
    reply = wording.reply(verdict_of(Variant.REPEAT_OWN_BEFORE), "en")
    assert "you first asked on 14 March 2026 at 09:12" in reply.message
    assert [fact.name for fact in reply.page.facts] == ["count", "first", "own_first", "recorded"]


def test_a_second_code_in_the_text_is_mentioned(wording: Wording) -> None:
    reply = wording.reply(verdict_of(Variant.FIRST), "en", more_codes=True)
    assert reply.message.endswith("this answers the first.")
    assert reply.page.lead == reply.message


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, " 1 秒", "1 second"),
        (45, " 45 秒", "45 seconds"),
        (61, " 2 分钟", "2 minutes"),
        (3600, " 60 分钟", "60 minutes"),
        (3601, " 2 小时", "2 hours"),
    ],
)
def test_waiting_times_round_up(wording: Wording, seconds: int, zh: str, en: str) -> None:
    verdict = Verdict(outcome=Outcome.THROTTLED, retry_after_s=seconds)
    assert f"请在{zh}后" in wording.reply(verdict, "zh-CN").message
    assert f"in {en};" in wording.reply(verdict, "en").message


@pytest.mark.parametrize(
    ("position", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")],
)
def test_english_positions(wording: Wording, position: int, text: str) -> None:
    verdict = Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.SLIP_LOCATED,), slip_positions=(position,))
    assert f"the {text} digit" in wording.reply(verdict, "en").message


def test_times_are_shown_in_the_display_zone() -> None:
    verdict = Verdict(
        outcome=Outcome.REPEAT,
        ordinal=2,
        first=First(at=datetime(2026, 12, 31, 20, 5, tzinfo=UTC), channel="web"),
    )
    assert "1 January 2027 at 04:05" in Wording.load("Asia/Shanghai").reply(verdict, "en").message
    assert "31 December 2026 at 20:05" in Wording.load("UTC").reply(verdict, "en").message


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("zh-CN", "zh-CN"), ("zh", "zh-CN"), ("zh-TW", "zh-CN"), ("zh_HK", "zh-CN"), ("en", "en"), ("en-US", "en"),
        ("EN-gb", "en"), ("fr", "zh-CN"), ("", "zh-CN"), ("x" * 5000, "zh-CN"), ("\x00", "zh-CN"), ("english", "zh-CN"),
    ],
)  # fmt: skip
def test_unknown_locales_fall_back(wording: Wording, tag: str, locale: str) -> None:
    assert resolve_locale(tag) == locale
    assert wording.reply(verdict_of(Variant.FIRST), tag).locale == locale


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("en-US,en;q=0.9,zh-CN;q=0.8", "en"), ("fr-FR,fr;q=0.9,en;q=0.5", "en"), ("zh-TW", "zh-CN"), ("fr", None),
        ("en;q=0.3,zh;q=0.9", "zh-CN"), ("en;q=0", None), ("en;q=x, zh;q=0.1", "zh-CN"), ("", None), (",;,=;q", None),
        ("en,zh", "en"), ("en;q=nan", None),
    ],
)  # fmt: skip
def test_accept_language(header: str, locale: str | None) -> None:
    assert negotiate_locale(header) == locale


def test_gsm7_counts_extension_characters_twice() -> None:
    assert find_gsm7_length("a[€") == 5
    assert find_gsm7_length("验") is None
    assert ucs2_length("验😀") == 3


def test_a_name_that_is_not_there_leaves_no_gap(wording: Wording) -> None:
    verdict = verdict_of(Variant.FIRST)
    bare = Verdict(outcome=Outcome.FIRST, recorded_at=AT, ordinal=1)
    assert "海岸" in wording.reply(verdict, "zh-CN").short
    assert wording.reply(bare, "en").short == (
        "Yanzhen: this code matches our record. First check, 5 Mar 2026. Please look at the pack too."
    )
