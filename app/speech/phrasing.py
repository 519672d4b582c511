"""How numbers, dates, codes and telephone numbers are spoken, as phrases of the catalogue; pure.

Where people hear a whole (三月, 两次, the seventh digit) the catalogue holds it whole, because phrases joined from
single words sound chopped. Everything else is composed, so that no value is without words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from app.speech.spoken import Pause, Phrase, Spoken

LARGEST: Final = 99_999_999
WHOLE_COUNTS: Final = range(1, 21)
WHOLE_POSITIONS: Final = range(1, 25)
WHOLE_YEARS: Final = range(2025, 2041)
GROUP_PAUSE: Final = Pause(ms=250)
_GROUP: Final = 4
_TELEPHONE_BREAK: Final = re.compile(r"[^0-9+]+")
# The mainland's own numbers, without the country code: service numbers (400, 800), mobiles, and short ones such as
# 12315 and 95001, are dialled as they are; what is left is an area code without its leading 0.
_HOME: Final = re.compile(r"(?:\+|00)86")
_DIALLED_AS_IT_IS: Final = re.compile(r"0.*|[48]00.*|1[3-9][0-9]{9}|[0-9]{1,8}")
_WAN: Final = 10_000
_UNITS: Final = (("hour", 3600), ("minute", 60), ("second", 1))


def say(*keys: str) -> Spoken:
    """Return phrases by their keys."""
    return tuple(Phrase(key=key) for key in keys)


def number(value: int, locale: str) -> Spoken:
    """Return a whole number from 0 to ``LARGEST`` as it is read out alone. Raises ``ValueError`` beyond that."""
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{value} is not a number that is spoken: 0 to {LARGEST}")
    return say(*(_mandarin if locale == "zh-CN" else _english)(value))


def count(value: int, locale: str) -> Spoken:
    """Return how many times something happened: 两次, 一百零二次; once, twice, three times.

    A count beyond ``LARGEST`` is said to be more than can be told apart.
    """
    if value > LARGEST:
        return say("count.beyond")
    if value in WHOLE_COUNTS:
        return say(f"count.{value}")
    return (*number(value, locale), *say("count.times"))


def position(value: int, locale: str) -> Spoken:
    """Return the place of a digit, counted from 1: 第七位数字, the seventh digit."""
    if value in WHOLE_POSITIONS:
        return say(f"position.{value}")
    numeral = number(value, locale)
    return (
        (*say("position.before"), *numeral, *say("position.after"))
        if locale == "zh-CN"
        else (*say("position.before"), *numeral)
    )


def waiting(seconds: int, locale: str) -> Spoken:
    """Return a waiting time rounded up to what people say: seconds, minutes or hours."""
    unit, size = next((entry for entry in _UNITS if seconds > entry[1]), _UNITS[-1])
    amount = min(max(1, -(-seconds // size)), LARGEST)
    if locale == "zh-CN":
        numeral = say("number.liang") if amount == 2 else number(amount, locale)
        return (*numeral, *say(f"wait.{unit}"))
    return (*number(amount, locale), *say(f"wait.{unit}" if amount == 1 else f"wait.{unit}s"))


def moment(at: datetime, locale: str) -> Spoken:
    """Return date and time of day of ``at``, which is already in the zone it is told in, to the minute.

    二〇二六年 三月 五日 上午九点 十二分; the fifth of / March / twenty twenty-six / at nine / twelve / in the morning.
    """
    hour = (f"hour.{at.hour}",)
    if locale == "zh-CN":
        minute = (f"minute.{at.minute}",) if at.minute else ()
        return (*day(at, locale), *say(*hour, *minute))
    return (*day(at, locale), *say(*hour, f"minute.{at.minute}", _period(at.hour)))


def day(at: datetime, locale: str) -> Spoken:
    """Return the date of ``at`` alone, which is already in the zone it is told in."""
    if locale == "zh-CN":
        return say(*_mandarin_year(at.year), f"month.{at.month}", f"day.{at.day}")
    return say(f"day.{at.day}", f"month.{at.month}", *_english_year(at.year))


def digits(text: str) -> Spoken:
    """Return the digits of ``text`` one by one, 1 as 幺 in Mandarin; anything else in it is passed over."""
    return say(*(f"digit.{char}" for char in text if char in "0123456789"))


def code(text: str) -> Spoken:
    """Return a code in groups of four with a pause between, as it is printed and read back."""
    figures = "".join(char for char in text if char in "0123456789")
    groups = [digits(figures[at : at + _GROUP]) for at in range(0, len(figures), _GROUP)]
    return _with_pauses(groups)


def telephone(text: str) -> Spoken:
    """Return a telephone number in the groups it is written in, otherwise in those people know; () without a digit.

    A number of the mainland is said as it is dialled there, without its country code: +86 400 800 1234 as
    400 800 1234, +86 10 1234 5678 as 010 1234 5678. Others keep theirs behind a plus.
    """
    written = _as_dialled(
        [part for part in _TELEPHONE_BREAK.split(text) if any(char.isdigit() for char in part)]
    )
    groups = written if len(written) > 1 else list(_telephone_groups("".join(written)))
    return _with_pauses([say("digit.plus") * part.startswith("+") + digits(part) for part in groups])


def _as_dialled(parts: list[str]) -> list[str]:
    """Return the groups of a number of the mainland as it is dialled there; those of any other unchanged."""
    home = _HOME.match(parts[0]) if parts else None
    if home is None:
        return parts
    rest = [part.replace("+", "") for part in (parts[0][home.end() :], *parts[1:]) if part]
    if not rest or rest == ["0"]:
        return parts
    if rest[0] == "0":  # +86 (0)10 ...
        rest[:2] = ["0" + rest[1]]
    whole = "".join(rest)
    return rest if _DIALLED_AS_IT_IS.fullmatch(whole) else ["0" + rest[0], *rest[1:]]


def _telephone_groups(text: str) -> Iterator[str]:
    """Yield the groups of an unbroken number: 138 0013 8000, 400 800 1234, 010 1234 5678 and fours elsewhere."""
    if text.startswith("+"):
        yield text[:3]
        text = text[3:]
    heads: list[int] = []
    if text.startswith("0") and len(text) in {11, 12} and text[1] not in "012":
        heads = [4, 3] if len(text) == 11 else [4]  # 0411 123 4567, 0755 1234 5678
    elif len(text) == 11:
        heads = [3, 4]
    elif len(text) == 10 and text[:3] in {"400", "800"}:
        heads = [3, 3]
    for size in heads:
        yield text[:size]
        text = text[size:]
    while text:
        # a single digit at the end is not left alone
        size = len(text) if len(text) <= _GROUP + 1 else _GROUP
        yield text[:size]
        text = text[size:]


def _with_pauses(groups: list[Spoken]) -> Spoken:
    spoken: Spoken = ()
    for group in groups:
        spoken = (*spoken, GROUP_PAUSE, *group) if spoken else group
    return spoken


def _mandarin(value: int) -> tuple[str, ...]:
    if value < 100:
        return (f"number.{value}",)
    high, low = divmod(value, _WAN)
    if not high:
        return _mandarin_below_wan(low)
    head = ("number.liang",) if high == 2 else _mandarin(high)
    if not low:
        return (*head, "number.wan")
    gap = ("number.0",) if low < 1000 else ()
    return (*head, "number.wan", *gap, *_mandarin_below_wan(low, after=True))


def _mandarin_below_wan(value: int, *, after: bool = False) -> tuple[str, ...]:
    """Return 1 to 9999; ``after``: something higher was said, so that ten is 一十."""
    thousands, rest = divmod(value, 1000)
    hundreds, tail = divmod(rest, 100)
    keys: list[str] = []
    if thousands:
        keys.append(f"thousand.{thousands}")
    if hundreds:
        keys.append(f"hundred.{hundreds}")
    if not tail:
        return tuple(keys)
    if keys and (tail < 10 or not hundreds):
        keys.append("number.0")
    inner = 10 <= tail < 20 and (after or keys)
    keys.append(f"tail.{tail}" if inner else f"number.{tail}")
    return tuple(keys)


def _mandarin_year(year: int) -> tuple[str, ...]:
    if year in WHOLE_YEARS:
        return (f"year.{year}",)
    return (*(f"number.{char}" for char in str(year)), "year.word")


def _english(value: int) -> tuple[str, ...]:
    if value < 100:
        return (f"number.{value}",)
    for size, name in ((1_000_000, "number.million"), (1000, "number.thousand")):
        if value >= size:
            high, low = divmod(value, size)
            return (*_english(high), name, *_english_rest(low))
    hundreds, tail = divmod(value, 100)
    return (f"hundred.{hundreds}", *_english_rest(tail))


def _english_rest(value: int) -> tuple[str, ...]:
    if not value:
        return ()
    return ("number.and", *_english(value)) if value < 100 else _english(value)


def _english_year(year: int) -> tuple[str, ...]:
    if year in WHOLE_YEARS:
        return (f"year.{year}",)
    century, rest = divmod(year, 100)
    if century % 10 == 0 or century < 10:
        return _english(year)  # two thousand and five
    if not rest:
        return (f"number.{century}", "year.hundred")
    return (f"number.{century}", *(("year.oh",) if rest < 10 else ()), f"number.{rest}")


def _period(hour: int) -> str:
    if 0 < hour < 12:
        return "period.morning"
    if 12 <= hour < 18:
        return "period.afternoon"
    return "period.evening" if 18 <= hour < 21 else "period.night"


def vocabulary(locale: str) -> frozenset[str]:
    """Return every key that the functions here can give in ``locale``; the catalogue must hold each."""
    tables: dict[str, range] = {
        "digit": range(10),
        "number": range(100),
        "hundred": range(1, 10),
        "count": WHOLE_COUNTS,
        "position": WHOLE_POSITIONS,
        "year": WHOLE_YEARS,
        "month": range(1, 13),
        "day": range(1, 32),
        "hour": range(24),
    }
    words = [
        "digit.plus",
        "count.times",
        "count.beyond",
        "position.before",
        "wait.second",
        "wait.minute",
        "wait.hour",
    ]
    if locale == "zh-CN":
        tables |= {"tail": range(10, 20), "thousand": range(1, 10), "minute": range(1, 60)}
        words += ["number.liang", "number.wan", "position.after", "year.word"]
    else:
        tables["minute"] = range(60)
        words += ["number.and", "number.thousand", "number.million", "year.hundred", "year.oh"]
        words += ["wait.seconds", "wait.minutes", "wait.hours"]
        words += [f"period.{name}" for name in ("morning", "afternoon", "evening", "night")]
    return frozenset((*words, *(f"{name}.{entry}" for name, numbers in tables.items() for entry in numbers)))
