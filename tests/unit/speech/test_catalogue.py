"""The catalogue holds every sentence that is spoken, in every language, and none that is not."""

from pathlib import Path

import pytest

from app.adapters.speech import VOICES
from app.core.errors import SettingsInvalid
from app.speech.catalogue import load_books, name_reading, voice_of
from app.speech.phrasing import vocabulary
from app.speech.pinyin import number_tones
from channels.ivr.phrases import PHRASES
from channels.wording.locales import LOCALES
from channels.wording.spoken import spoken_keys

PROMPTS = Path(__file__).resolve().parents[3] / "voice_prompts"
BOOKS = load_books(PROMPTS)


def test_every_locale_has_prompts_and_a_voice() -> None:
    assert set(BOOKS) == set(LOCALES) == set(VOICES)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_catalogue_is_what_is_spoken(locale: str) -> None:
    spoken = vocabulary(locale) | spoken_keys() | {phrase.key for phrase in PHRASES}
    assert spoken - BOOKS[locale].prompts.keys() == set()
    assert BOOKS[locale].prompts.keys() - spoken == set()


@pytest.mark.parametrize("locale", LOCALES)
def test_no_first_miss_is_called_a_fake(locale: str) -> None:
    for prompt in BOOKS[locale].prompts.values():
        assert not any(
            word in prompt.sentence.lower() for word in ("fake", "counterfeit", "genuine", "假", "正品")
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[prompts]\nGreeting = 'x'\n", "is no prompt"),
        ("[prompts]\ngreeting = ' '\n", "is no prompt"),
        ("[prompts]\ngreeting = 4\n", "is no prompt"),
        ("[prompts]\ngreeting = 'x'\n[spoken_by]\ngreeting = 'fr'\n", "no locale here"),
        ("[prompts]\ngreeting = 'x'\n[spoken_by]\nother = 'en'\n", "is no prompt"),
        ("greeting", "cannot be read"),
    ],
)
def test_a_broken_catalogue_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "prompts.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=why):
        load_books(tmp_path)


def test_no_prompts_at_all_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="no prompts"):
        load_books(tmp_path)


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("hǎi àn", "hai3 an4"),
        ("hǎiàn", "hai3 an4"),
        ("zhōngguó", "zhong1 guo2"),
        ("nǚ ér", "nv3 er2"),
        ("fāngān", "fan1 gan1"),
        ("xī'ān", "xi1'an1"),
        ("Máotái 酒", "Mao2 tai2 酒"),
        ("Nestlé", "Nestlé"),
        ("Café", "Café"),
        ("海岸 Coast", "海岸 Coast"),
    ],
)
def test_marked_pinyin_is_numbered(text: str, numbered: str) -> None:
    assert number_tones(text) == numbered


def test_a_name_is_said_by_the_voice_that_can() -> None:
    assert voice_of("海岸 Coast", "en") == "zh-CN"
    assert voice_of("Coast", "en") == "en"
    assert name_reading("hǎi àn", "zh-CN", BOOKS) == "hai3 an4"
    assert name_reading("Nestlé", "en", BOOKS) == "Nestlé"
