"""Understanding what was said, written from the languages and not from the code that speaks."""

from datetime import UTC, datetime

HANZI = {char: number for number, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1}
SMALL = {"十": 10, "百": 100, "千": 1000}
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {word: number for number, word in enumerate(ONES)} | {word: 10 * n for n, word in enumerate(TENS, 2)}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
PARTS = {"凌晨": 0, "上午": 0, "中午": 0, "下午": 12, "晚上": 12}


def mandarin(text: str) -> int:
    total = section = digit = 0
    for char in text:
        if char == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        elif char in SMALL:
            section += (digit or 1) * SMALL[char]
            digit = 0
        else:
            digit = HANZI[char]
    return total + section + digit


def english(text: str) -> int:
    total = section = 0
    for word in text.replace("-", " ").split():
        if word == "and":
            continue
        if word == "hundred":
            section *= 100
        elif word in {"thousand", "million"}:
            total += section * {"thousand": 1000, "million": 1_000_000}[word]
            section = 0
        else:
            section += WORDS[word]
    return total + section


def hear_number(words: list[str], locale: str) -> int:
    return mandarin("".join(words)) if locale == "zh-CN" else english(" ".join(words))


def hear_count(words: list[str], locale: str) -> int:
    if locale == "zh-CN":
        return mandarin("".join(words).removesuffix("次"))
    text = " ".join(words)
    return {"once": 1, "twice": 2}.get(text) or english(text.removesuffix(" times"))


def ordinal(word: str) -> int:
    tens, _, last = word.rpartition("-")
    if last in ORDINALS:
        unit = ORDINALS[last]
    elif last.endswith("ieth"):
        unit = WORDS[last.removesuffix("ieth") + "y"]
    else:
        unit = WORDS[last.removesuffix("th")]
    return unit + (WORDS[tens] if tens else 0)


def hear_position(words: list[str], locale: str) -> int:
    if locale == "zh-CN":
        return mandarin("".join(words).removeprefix("第").removesuffix("位数字"))
    text = " ".join(words)
    if text.startswith("digit number "):
        return english(text.removeprefix("digit number "))
    return ordinal(text.removeprefix("the ").removesuffix(" digit"))


def hear_digits(words: list[str], locale: str) -> str:
    signs = {"加": "+", "plus": "+"}
    names = {word: str(number) for number, word in enumerate(ONES[:10])}
    if locale == "zh-CN":
        names = {char: str(number) for char, number in HANZI.items()}
    return "".join(signs.get(word) or names[word] for word in words)


def hear_moment(words: list[str], locale: str) -> datetime:
    return _mandarin_moment("".join(words)) if locale == "zh-CN" else _english_moment(words)


def _mandarin_moment(text: str) -> datetime:
    year, rest = text.split("年")
    month, rest = rest.split("月")
    day, rest = rest.split("日")
    hour, minute = rest[2:].split("点")
    value = mandarin(hour)
    if PARTS[rest[:2]] and value < 12:
        value += 12
    return datetime(
        int("".join(str(HANZI[char]) for char in year)),
        mandarin(month),
        mandarin(day),
        value,
        mandarin(minute.removesuffix("分")) if minute else 0,
        tzinfo=UTC,
    )


def _english_moment(words: list[str]) -> datetime:
    at = next(place for place, word in enumerate(words) if word.startswith("at "))
    hour = english(words[at].removeprefix("at "))
    minute = words[at + 1]
    part = words[at + 2]
    if part in {"in the afternoon", "in the evening"} or (part == "at night" and hour != 12):
        hour = hour % 12 + 12
    elif part == "at night":
        hour = 0
    return datetime(
        _english_year(" ".join(words[2:at])),
        MONTHS.index(words[1]) + 1,
        ordinal(words[0].removeprefix("the ").removesuffix(" of")),
        hour,
        0 if minute == "o'clock" else english(minute.removeprefix("oh ")),
        tzinfo=UTC,
    )


def _english_year(text: str) -> int:
    if "thousand" in text or " and " in text:
        return english(text)
    first, _, rest = text.partition(" ")
    if rest == "hundred":
        return english(first) * 100
    if not rest:
        return english(first)
    return english(first) * 100 + english(rest.removeprefix("oh "))
