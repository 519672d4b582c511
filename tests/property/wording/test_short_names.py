"""Whatever a brand is called, the answer is one segment, and the name in it ends where a reader sees a gap."""

from __future__ import annotations

from dataclasses import replace
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from app.core.model.label import LabelSummary
from app.core.model.verdict import Verdict
from channels.wording.graphemes import graphemes
from channels.wording.locales import LOCALES
from channels.wording.reply import Wording
from channels.wording.segments import Encoding, segments_of
from channels.wording.variants import Variant
from tests.unit.wording.verdicts import LONGEST_LABEL, verdict_of

WORDING = Wording.load(
    "Asia/Shanghai", site="yanzhen-query.org.cn.com", signatures={"zh-CN": "质量防伪验真", "en": "QualityCheck"}
)  # fmt: skip
_NAMES = st.text(
    st.sampled_from("海岸草原 Coast€[]😀👍🏽\u200d🇨🇳é\u0301𠮷가ᄀ")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=40,
)


_LABELS = st.builds(
    LabelSummary,
    brand=st.one_of(_NAMES, st.just("海岸")),
    brand_en=_NAMES,
    brand_short=_NAMES,
    service_line=st.text("+0123456789 -()", max_size=22),
    product=st.just("奶粉"),
)
_VERDICTS = st.builds(
    verdict_of,
    st.sampled_from(Variant),
    label=_LABELS,
    ordinal=st.integers(2, 999_999),
    place=st.sampled_from(["内蒙古呼和浩特", "黑龙江", "境外", "", "阿坝"]),
    channel=st.sampled_from(["wechat", "sms", "api", "x"]),
)


@given(verdict=_VERDICTS, more_codes=st.booleans())
def test_any_name_leaves_one_segment(verdict: Verdict, more_codes: bool) -> None:
    for locale in LOCALES:
        text = WORDING.reply(verdict, locale, more_codes=more_codes).short
        encoding, units, segments = segments_of(text)
        assert segments == 1, (units, text)
        assert (encoding is Encoding.GSM7) == (locale == "en"), text
        text.encode("utf-8")


@given(short=_NAMES, english=_NAMES)
def test_a_name_is_cut_between_graphemes(short: str, english: str) -> None:
    label = replace(LONGEST_LABEL, brand_short=short, brand_en=english)
    for locale in LOCALES:
        text = WORDING.reply(verdict_of(Variant.VOIDED, label=label), locale).short
        head, mark = (
            ("】", "：该码的标签已作废") if locale == "zh-CN" else ("QualityCheck: ", ", this label was")
        )
        shown = text[text.index(head) + len(head) : text.index(mark)] if mark in text else ""
        assert len(shown) <= 24
        names = [normalize("NFC", name).strip() for name in (short, english, label.brand)]
        parts = [graphemes(name) for name in names]
        assert any("".join(whole[:n]).strip() == shown for whole in parts for n in range(len(whole) + 1))
