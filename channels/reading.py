"""What a text message means: a code, or one of the few commands people know; everything else gets help.

A command is the whole text and holds no digit, so nothing here takes a code for one. The words are in commands.toml.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from app.core.model.code import MAX_TEXT_CHARS, Reading, count_digits, find_plain_code, read_codes
from app.core.model.value import value

_FILE: Final = Path(__file__).with_name("commands.toml")
_ANY: Final = "any"
_CHINESE: Final = "zh-CN"
_LONGEST_COMMAND: Final = 32
_FEWEST_DIGITS: Final = 6
_FEWEST_LATIN: Final = 2
_HAN: Final = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN_CHARACTER: Final = re.compile(f"[{_HAN}]")
_WORD: Final = re.compile("[0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]+")
_LOOKALIKES: Final = frozenset("0123456789OolI")
# between the words of a text: digits of any kind, hanzi numerals, punctuation
_BESIDE_WORDS: Final = re.compile(r"[\d\W_〇零○一幺二三四五六七八九]+")
_SPACE: Final = re.compile(r"\s+")


class Meant(StrEnum):
    """What a text asks for."""

    CODE = "code"
    HELP = "help"
    LANGUAGE = "language"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"


@value
class Understood:
    """What a text was taken for.

    ``locale`` is the language it tells, "" where it tells none; ``argument`` the locale that a language command,
    or one beside a code, asks for; ``reading`` is there for a code and for nothing else.
    """

    kind: Meant
    locale: str = ""
    argument: str = ""
    reading: Reading | None = None


@value
class _Command:
    kind: Meant
    locale: str


def understand(text: str, *, media: bool, lengths: frozenset[int]) -> Understood:
    """Return what ``text`` means, given the live code ``lengths``. Never raises, and costs no more than 4,096
    characters do.

    Fewer than six digits in all are no try at a code. Beside a picture (``media``) only a code of a live length is
    one: some gateways write the picture's file name where the text would be.
    """
    text = text[:MAX_TEXT_CHARS]
    if (plain := find_plain_code(text, lengths=lengths)) is not None:  # a command holds no digit
        return _understand_plain(text, plain)
    return _understand_any(text, media=media, lengths=lengths)


def _understand_any(text: str, *, media: bool, lengths: frozenset[int]) -> Understood:
    folded = unicodedata.normalize("NFKC", text)[:MAX_TEXT_CHARS]
    if command := _find_command(folded):
        asked = command.locale if command.kind is Meant.LANGUAGE else ""
        return Understood(kind=command.kind, locale=command.locale, argument=asked)
    reading = read_codes(text, lengths=lengths)
    if _is_try(text, reading, lengths, media=media):
        asked = _language_beside_code(folded)
        return Understood(
            kind=Meant.CODE, locale=asked or _language_of(folded), argument=asked, reading=reading
        )
    return Understood(kind=Meant.HELP, locale=_language_of(folded))


def _understand_plain(text: str, reading: Reading) -> Understood:
    """Do as for any code; folding such a text leaves its words and Han characters as they are."""
    asked = _language_beside_code(text)
    if asked or not _HAN_CHARACTER.search(text):
        locale = asked or _language_of(unicodedata.normalize("NFKC", text))
    else:
        locale = _CHINESE
    return Understood(kind=Meant.CODE, locale=locale, argument=asked, reading=reading)


def _is_try(text: str, reading: Reading, lengths: frozenset[int], *, media: bool) -> bool:
    digits = len(reading.code.digits)
    if media:
        return digits in lengths or bool(reading.others)
    return digits >= _FEWEST_DIGITS or count_digits(text) >= _FEWEST_DIGITS


def _find_command(folded: str) -> _Command | None:
    words = _bare(folded)
    if not words or len(words) > _LONGEST_COMMAND:
        return None
    commands = _commands()
    return commands.get(words) or commands.get(_without_final_punctuation(words))


def _bare(folded: str) -> str:
    """Return the text in lower case without blanks and invisible characters around it, its inner blanks single."""
    visible = folded
    if not folded.isprintable():  # what is printable holds no character of that category
        visible = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return _SPACE.sub(" ", visible).strip().casefold()


def _without_final_punctuation(words: str) -> str:
    end = len(words)
    while end and unicodedata.category(words[end - 1])[0] in "PZS":
        end -= 1
    return words[:end]


def _language_beside_code(folded: str) -> str:
    """Return the language asked for beside a code, as in ``EN 1234...``, "" where none is."""
    words = _BESIDE_WORDS.sub(" ", folded).split()
    if len(words) == 1:
        command = _commands().get(words[0].casefold())
        if command is not None and command.kind is Meant.LANGUAGE:
            return command.locale
    return ""


def _language_of(folded: str) -> str:
    """Return zh-CN for any Han character, en for two Latin letters; URLs and digits in disguise tell nothing."""
    if _HAN_CHARACTER.search(folded):
        return _CHINESE
    letters = 0
    for chunk in folded.split():
        if _is_address(chunk):
            continue
        for word in _WORD.findall(chunk):
            if not _is_number(word):
                letters += sum(char.isalpha() for char in word)
        if letters >= _FEWEST_LATIN:
            return "en"
    return ""


def _is_address(chunk: str) -> bool:
    return "://" in chunk or ("/" in chunk and "." in chunk) or chunk[:4].lower() == "www."


def _is_number(word: str) -> bool:
    """Tell whether a word is digits, some of them perhaps written as the letters that look like them."""
    return _LOOKALIKES.issuperset(word) and any(char.isdigit() for char in word)


@cache
def _commands() -> Mapping[str, _Command]:
    """Return every command by its word. Raises ``ValueError`` where the file gives a word two meanings."""
    found: dict[str, _Command] = {}
    for name, tables in tomllib.loads(_FILE.read_text(encoding="utf-8")).items():
        for locale, words in tables.items():
            command = _Command(kind=Meant(name), locale="" if locale == _ANY else locale)
            for word in words:
                if found.setdefault(word, command) is not command:
                    raise ValueError(f"{_FILE.name} gives {word!r} twice; leave it in one table.")
    return found
