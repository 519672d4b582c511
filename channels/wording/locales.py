"""The locales there are and which of them a stranger's language tag means."""

from __future__ import annotations

from typing import Final

LOCALES: Final = ("zh-CN", "en")
DEFAULT_LOCALE: Final = "zh-CN"

# the mainland, Hong Kong, Macao, Taiwan
_CHINESE_NUMBERS: Final = ("+86", "+852", "+853", "+886")

_EXACT: Final = {locale: locale for locale in LOCALES}
_BY_LANGUAGE: Final = {locale.partition("-")[0]: locale for locale in LOCALES}


def find_locale(tag: str) -> str | None:
    """Return the locale whose language is that of ``tag`` (BCP 47, any case), or None."""
    return _EXACT.get(tag) or _BY_LANGUAGE.get(tag.strip().replace("_", "-").partition("-")[0].lower())


def resolve_locale(tag: str) -> str:
    """Return the locale for ``tag``; an unknown one falls back to zh-CN."""
    return _EXACT.get(tag) or find_locale(tag) or DEFAULT_LOCALE


def next_locale(locale: str) -> str:
    """Return the locale after ``locale``, and the first after the last: with two, the other one."""
    return LOCALES[(LOCALES.index(locale) + 1) % len(LOCALES)] if locale in LOCALES else DEFAULT_LOCALE


def negotiate_locale(accept_language: str) -> str | None:
    """Return the best locale for an ``Accept-Language`` header (RFC 9110, section 12.5.4), None if none fits."""
    best: tuple[float, int, str] | None = None
    for index, part in enumerate(accept_language[:512].split(",")):
        tag, _, parameter = part.partition(";")
        locale = find_locale(tag)
        if locale is None:
            continue
        quality = _quality(parameter)
        if quality > 0 and (best is None or (quality, -index) > best[:2]):
            best = (quality, -index, locale)
    return best[2] if best else None


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip().lower() == "q" and 0 <= quality <= 1 else 0.0


def reads_chinese(number: str) -> bool:
    """Tell whether somebody who has said nothing in any language is answered in Chinese, by their number (E.164).

    A sender that is no whole number, such as a short code, is from here.
    """
    return not number.startswith("+") or number.startswith(_CHINESE_NUMBERS)
