"""Every text message is one segment whatever fills it, and loses its meaning to nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from app.core.model.label import LabelSummary
from app.core.model.verdict import First, Outcome, Verdict
from channels.wording.letterhead import LONGEST_SITE
from channels.wording.locales import LOCALES
from channels.wording.notices import NoticeWords
from channels.wording.reply import Wording
from channels.wording.segments import Encoding, fits_one_segment, segments_of
from channels.wording.short import EVERY_PART, Part, fit
from channels.wording.variants import Variant
from tests.unit.wording.verdicts import LABEL, LONGEST_LABEL, verdict_of

PASTURE = "Nordhessen Dairy Pasture"
SITE = "yanzhen-query.org.cn.com"
EVERY = list(product(Variant, LOCALES))
PLAIN = Wording.load("Asia/Shanghai")
FULL = Wording.load("Asia/Shanghai", site=SITE, signatures={"zh-CN": "质量防伪验真", "en": "QualityCheck"})
BOOKS = [PLAIN.reply(verdict_of(Variant.FIRST), locale).book for locale in LOCALES]


def one_of_each_length(table: str) -> list[str]:
    """Return a name for each pair of lengths that it has in Chinese and in English: the others fit as these do."""
    words = [getattr(book, table) for book in BOOKS]
    return list({tuple(len(names[name]) for names in words): name for name in words[0]}.values())


PLACES = [*one_of_each_length("places"), "内蒙古呼和浩特", "克孜勒苏州", ""]
CHANNELS = [*one_of_each_length("short_channels"), "unheard-of"]
COUNTS = (2, 99, 999_999)
LONGEST = replace(LONGEST_LABEL, service_line="123456789012345")
EMOJI = replace(LONGEST_LABEL, brand="😀" * 30, brand_short="", brand_en="€" * 40)
LATIN = replace(LONGEST_LABEL, brand_short=PASTURE, service_line="123456789012345")
LATE = datetime(2026, 12, 30, 20, 0, tzinfo=UTC)  # the longest date in English
NO_LETTERHEAD = re.compile(r"^(【[^】]+】|[A-Za-z]+: )")


def fullest(variant: Variant, label: LabelSummary, place: str, channel: str, count: int) -> Verdict:
    verdict = verdict_of(variant, label=label, place=place, channel=channel, ordinal=count)
    first = None if verdict.first is None else replace(verdict.first, at=LATE)
    own = LATE if verdict.own_first_at else None
    recorded = LATE if verdict.recorded_at else None
    wait = 86_400 if verdict.retry_after_s else 0
    positions = tuple(place + 15 for place in verdict.slip_positions)
    return replace(
        verdict,
        first=first,
        own_first_at=own,
        recorded_at=recorded,
        retry_after_s=wait,
        slip_positions=positions,
    )


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_whatever_fills_it_an_answer_is_one_segment(variant: Variant, locale: str) -> None:
    labelled = verdict_of(variant).label is not None
    template = PLAIN.reply(verdict_of(variant), locale).book.meanings[variant].short
    counted, told = "count" in template.names, "via_short" in template.names
    for label, place, channel, count, more in product(
        (LONGEST, EMOJI, LATIN) if labelled else (LONGEST,),
        PLACES if told else PLACES[:1],
        CHANNELS if told else CHANNELS[:1],
        COUNTS if counted else COUNTS[:1],
        (False, True),
    ):
        verdict = fullest(variant, label, place, channel, count)
        short = FULL.reply(verdict, locale, more_codes=more).short
        encoding, units, segments = segments_of(short)
        assert segments == 1, (units, short)
        assert encoding is (Encoding.GSM7 if locale == "en" else Encoding.UCS2), short
        assert "{" not in short
        assert "  " not in short
        assert not counted or str(count) in short


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_the_meaning_is_never_left_out(variant: Variant, locale: str) -> None:
    """The words of a template that stand for themselves are all there, in order, in the tightest text."""
    reply = FULL.reply(fullest(variant, LONGEST, "黑龙江", "wechat", 999_999), locale, more_codes=True)
    at = 0
    for words in re.split(r"\{\w+\}", reply.book.meanings[variant].short.text):
        found = reply.short.find(words.strip(), at)
        assert found >= 0, (words, reply.short)
        at = found + len(words.strip())
    if reply.verdict.label:
        assert {"zh-CN": "呼伦贝尔草原牧场乳业：", "en": "Hulunbuir Grassland,"}[locale] in reply.short
        assert "123456789012345" in reply.short


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", NoticeWords)
def test_a_notice_is_one_segment(name: NoticeWords, locale: str) -> None:
    for wording in (PLAIN, FULL):
        notice = wording.notice(name, locale)
        assert fits_one_segment(notice.short), notice.short
        assert notice.locale == locale
        assert "{" not in notice.short
        assert not re.search(r"[!！/]|fake|假|尊敬", notice.short)
        assert (wording is FULL and name is NoticeWords.HELP) == (SITE in notice.short)


def test_help_tells_what_to_send_and_how_to_change_the_language() -> None:
    assert PLAIN.notice(NoticeWords.HELP, "zh-CN").short == (
        "【验真】请发送标签涂层下的整串数字，即可查询。English请回复EN。"
    )
    assert PLAIN.notice(NoticeWords.HELP, "en-GB").short == (
        "Yanzhen: please send all the digits under the coating of the label. For Chinese, reply ZH."
    )
    assert PLAIN.notice(NoticeWords.OPTED_OUT, "zh-CN").short.endswith("请回复“恢复”。")
    assert PLAIN.notice(NoticeWords.OPTED_OUT, "en").short.endswith("reply START.")


@pytest.mark.parametrize(("variant", "locale"), EVERY)
def test_no_scheme_no_path_and_the_domain_only_where_a_code_is_unknown(variant: Variant, locale: str) -> None:
    site = "yanzhen.org.cn"
    wording = Wording.load("Asia/Shanghai", site=site)
    for more in (False, True):
        short = wording.reply(verdict_of(variant), locale, more_codes=more).short
        assert "/" not in short
        assert not re.search(r":\S", NO_LETTERHEAD.sub("", short))
        assert site not in short or variant is Variant.NOT_FOUND
        assert more or (site in short) == (variant is Variant.NOT_FOUND)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("variant", [v for v in Variant if v.value.startswith(("mistyped", "not_found"))])
def test_a_first_miss_is_never_called_fake(variant: Variant, locale: str) -> None:
    short = FULL.reply(verdict_of(variant), locale).short
    assert not re.search(r"fake|counterfeit|假|冒", NO_LETTERHEAD.sub("", short), re.IGNORECASE)


def test_a_slip_names_its_position_in_arabic_digits() -> None:
    for position in range(1, 25):
        verdict = Verdict(outcome=Outcome.MISTYPED, slip_positions=(position,))
        assert f"第{position}位" in PLAIN.reply(verdict, "zh-CN").short
        assert re.search(rf"the {position}(st|nd|rd|th) digit", PLAIN.reply(verdict, "en").short)


@pytest.mark.parametrize(
    ("locale", "more", "end"),
    [
        ("zh-CN", True, "请再核对包装。答复的是第一个码。客服4008001234"),
        ("zh-CN", False, "请再核对包装。客服4008001234"),
        (
            "en",
            True,
            "20 Nov 2026. Please look at the pack too. This answers your first code. Call 4008001234",
        ),
    ],
)
def test_that_the_first_of_two_was_answered_is_told_where_it_fits(locale: str, more: bool, end: str) -> None:
    assert PLAIN.reply(verdict_of(Variant.FIRST), locale, more_codes=more).short.endswith(end)


def test_what_is_left_out_first() -> None:
    """The channel and the word before the number go first, then the pack, the place, the domain, the own date."""
    assert list(Part) == [
        Part.SERVICE_LINE, Part.MORE_CODES, Part.WHOLE_NAME, Part.OWN_DAY, Part.SITE, Part.PLACE, Part.LOOK,
        Part.CHANNEL, Part.CALL,
    ]  # fmt: skip
    verdict = fullest(Variant.REPEAT_OWN_BEFORE, LONGEST, "黑龙江", "wechat", 999_999)
    assert FULL.reply(verdict, "zh-CN").short == (
        "【质量防伪验真】呼伦贝尔草原牧场乳业：第999999次查询，首次26-12-31，您也查过。非家人所查请慎用。123456789012345"
    )
    assert FULL.reply(replace(verdict, ordinal=12), "zh-CN").short == (
        "【质量防伪验真】呼伦贝尔草原牧场乳业：第12次查询，首次26-12-31黑龙江，您也查过。非家人所查请慎用。123456789012345"
    )


def test_a_part_is_put_back_where_a_longer_one_before_it_does_not_fit() -> None:
    sizes = {Part.SERVICE_LINE: 66, Part.MORE_CODES: 10, Part.PLACE: 4, Part.CALL: 9}
    assert fit(lambda parts: "验" * sum(sizes.get(part, 0) for part in parts)) == "验" * 70
    assert fit(lambda parts: "验" * 3 if parts == EVERY_PART else "") == "验" * 3


@pytest.mark.parametrize(
    ("label", "zh", "en"),
    [
        (LABEL, "海岸：", "Coast, "),
        (replace(LABEL, brand_short=PASTURE), f"{PASTURE}：", f"{PASTURE}, "),
        (replace(LABEL, brand_short="", brand_en=""), "海岸牧场：", ""),
        (replace(LABEL, brand_short="", brand_en="  "), "海岸牧场：", ""),
        (LONGEST_LABEL, "呼伦贝尔草原牧场乳业：", "Hulunbuir Grassland, "),
        (replace(LABEL, brand_short="😀" * 12, brand_en="[" * 30), "😀😀😀😀😀：", "[[[[[[[[[[[[, "),
        (replace(LABEL, brand_short="一二三四五六七八九👨\u200d👩\u200d👧"), "一二三四五六七八九：", "Coast, "),
        (replace(LABEL, brand_short="家👨\u200d👩\u200d👧一二三四五"), "家👨\u200d👩\u200d👧一：", "Coast, "),
        (replace(LABEL, brand_short="Cafe\u0301 de la Montagne"), "Café de la Montagne：", "Café de la Montagne, "),
    ],
)  # fmt: skip
def test_names_are_cut_where_a_reader_sees_a_gap(label: LabelSummary, zh: str, en: str) -> None:
    verdict = verdict_of(Variant.VOIDED, label=label)
    assert PLAIN.reply(verdict, "zh-CN").short.startswith(f"【验真】{zh}该码")
    assert PLAIN.reply(verdict, "en").short.startswith(f"Yanzhen: {en}this")


def test_without_a_signature_a_text_begins_like_a_sentence() -> None:
    wording = Wording.load("Asia/Shanghai", signatures={"zh-CN": "", "en": ""})
    assert wording.reply(verdict_of(Variant.NOT_FOUND), "en").short.startswith("This code is not in")
    assert wording.reply(verdict_of(Variant.NOT_FOUND), "zh-CN").short.startswith("记录中没有这个码")
    label = replace(LABEL, brand_short="iPanda")
    assert wording.reply(verdict_of(Variant.FIRST, label=label), "en").short.startswith("iPanda, this")
    assert wording.notice(NoticeWords.HELP, "en").short.startswith("Please send")


@pytest.mark.parametrize(
    ("signatures", "remedy"),
    [
        ({"zh-CN": "国家质量防伪验真"}, "at most 6"),
        ({"zh-CN": "😀😀😀😀"}, "at most 6"),
        ({"en": "QualityChecks"}, "at most 12"),
        ({"en": "[Check]"}, "the name alone"),
        ({"en": "验真"}, "spell it without"),
        ({"zh-CN": "【验真】"}, "the name alone"),
        ({"zh-CN": " 验真"}, "the name alone"),
        ({"zh-CN": "验\n真"}, "the name alone"),
        ({"fr": "Yanzhen"}, "zh-CN or en"),
    ],
)
def test_a_signature_that_cannot_stand_in_a_text_is_refused(signatures: dict[str, str], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        Wording.load("UTC", signatures=signatures)


@pytest.mark.parametrize(
    "site",
    [
        "https://yanzhen.cn", "yanzhen.cn/", "yanzhen.cn:8080", "yanzhen.cn/q", "yan zhen.cn", ".cn", "a..cn", "-a.cn",
        "a@b.cn", "yanzhen.cn\n",
    ],
)  # fmt: skip
def test_a_site_is_a_bare_domain(site: str) -> None:
    with pytest.raises(ValueError, match="without scheme, port and path"):
        Wording.load("UTC", site=site)


@pytest.mark.parametrize(
    ("site", "shown"),
    [("yz.cn", True), ("a" * (LONGEST_SITE - 3) + ".cn", False), ("a" * LONGEST_SITE + ".cn", False), ("", False)],
)  # fmt: skip
def test_a_long_site_is_left_out(site: str, shown: bool) -> None:
    wording = Wording.load("UTC", site=site)
    assert ("官网" in wording.reply(verdict_of(Variant.NOT_FOUND), "zh-CN").short) == shown
    assert ("官网" in wording.notice(NoticeWords.HELP, "zh-CN").short) == (0 < len(site) <= LONGEST_SITE)


@pytest.mark.parametrize(
    ("place", "zh", "zh_short", "en", "en_short"),
    [
        (
            "内蒙古呼和浩特",
            "短信，内蒙古呼和浩特",
            "内蒙古短信",
            "text message, Inner Mongolia",
            "Inner Mongolia, text",
        ),
        ("吉林吉林", "短信，吉林吉林", "吉林短信", "text message, Jilin", "Jilin, text"),
        ("北京", "短信，北京", "北京短信", "text message, Beijing", "Beijing, text"),
        ("境外", "短信，境外", "境外短信", "text message, abroad", "abroad, text"),
        ("香港", "短信，香港", "香港短信", "text message, Hong Kong", "Hong Kong, text"),
        ("克孜勒苏", "短信，克孜勒苏", "短信", "text message, 克孜勒苏", "text"),
        ("", "短信", "短信", "text message", "text"),
    ],
)
def test_the_place_of_a_first_check(place: str, zh: str, zh_short: str, en: str, en_short: str) -> None:
    verdict = replace(verdict_of(Variant.REPEAT), first=First(at=LATE, channel="sms", place=place))
    assert f"（{zh}）" in PLAIN.reply(verdict, "zh-CN").message
    assert f"26-12-31{zh_short}。" in PLAIN.reply(verdict, "zh-CN").short
    assert f" ({en})" in PLAIN.reply(verdict, "en").message
    assert f"31 Dec 2026 ({en_short})." in PLAIN.reply(verdict, "en").short


@pytest.mark.parametrize("locale", LOCALES)
def test_the_provinces_are_all_there(locale: str) -> None:
    places = PLAIN.reply(verdict_of(Variant.FIRST), locale).book.places
    assert len(places) == 34 + 1
    assert len(set(places.values())) == 35
    assert not [(a, b) for a in places for b in places if a != b and b.startswith(a)]
