"""Which file is played: recordings first, then synthetic clips by what shapes their sound."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.speech.catalogue import load_books
from app.speech.held_sounds import HeldSounds
from app.speech.inspection import Fault, inspect_clips, inspect_phonemes
from app.speech.library import Clip, ClipLibrary, SpokenName
from app.speech.silence import silence_sound
from app.speech.sound import write_wav
from app.speech.spoken import Name, Pause, Phrase
from tests.fakes.fake_synthesiser import MS_PER_CHAR, FakeSynthesiser, hum

HELLO = Phrase(key="greeting")
ZH = 'greeting = "您好"\n[prompts.language]\noffer = "For English"\n[prompts.menu]\nend = "再见"\n'
EN = 'greeting = "Hello"\n[prompts.language]\noffer = "中文"\n[prompts.menu]\nend = "Bye"\n'


@dataclass
class Studio:
    """Prompts and a data folder to work with."""

    prompts: Path
    data: Path

    def write(self, locale: str, words: str, *, spoken_by: str = "", read_as: str = "") -> None:
        folder = self.prompts / locale
        folder.mkdir(parents=True, exist_ok=True)
        text = f'[spoken_by]\n"language.offer" = "{spoken_by}"\n[read_as]\n{read_as}\n[prompts]\n{words}'
        (folder / "prompts.toml").write_text(text, encoding="utf-8")

    def record(self, locale: str, key: str, duration_ms: int, *, sentence: str = "") -> Path:
        folder = self.prompts / locale / "clips"
        folder.mkdir(exist_ok=True)
        write_wav(folder / f"{key}.wav", hum(duration_ms))
        if sentence:
            (folder / "sentences.toml").write_text(f'{key} = "{sentence}"\n', encoding="utf-8")
        return folder / f"{key}.wav"

    def library(self, synthesiser: FakeSynthesiser | None = None) -> ClipLibrary:
        voice = synthesiser or FakeSynthesiser()
        library = ClipLibrary(
            load_books(self.prompts),
            folder=self.data / "clips",
            identities={locale: voice.identity(locale) for locale in ("zh-CN", "en")},
            synthesiser=voice,
        )
        library.load()
        return library


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    studio = Studio(prompts=tmp_path / "prompts", data=tmp_path / "data")
    studio.write("zh-CN", ZH, spoken_by="en")
    studio.write("en", EN, spoken_by="zh-CN")
    return studio


async def test_what_is_missing_is_made_once_and_found_again(studio: Studio) -> None:
    voice = FakeSynthesiser()
    library = studio.library(voice)
    assert library.find(HELLO, "zh-CN") is None
    assert await library.render_missing() == ()
    clip = library.find(HELLO, "zh-CN")
    assert clip is not None
    assert clip.duration_ms == 2 * MS_PER_CHAR
    assert library.sound(clip.sha) == clip.path.read_bytes()
    assert await library.render_missing() == ()
    assert len(voice.rendered) == 6
    assert studio.library().known() == library.known()


async def test_the_offer_of_a_language_is_spoken_by_its_voice(studio: Studio) -> None:
    voice = FakeSynthesiser()
    await studio.library(voice).render_missing()
    assert {order.voice for order in voice.rendered if order.text == "For English"} == {"en"}
    assert {order.voice for order in voice.rendered if order.text == "中文"} == {"zh-CN"}


async def test_a_changed_sentence_or_voice_never_meets_an_old_clip(studio: Studio) -> None:
    await studio.library().render_missing()
    studio.write("zh-CN", ZH.replace("您好", "您好啊"), spoken_by="en")
    changed = studio.library()
    assert [order.label for order in changed.missing()] == ["greeting"]
    assert [finding.fault for finding in inspect_clips(changed)].count(Fault.STALE) == 1
    assert len(studio.library(FakeSynthesiser(name="hum 2")).missing()) == 6


async def test_words_that_a_voice_gets_wrong_are_read_another_way(studio: Studio) -> None:
    studio.write("zh-CN", ZH, spoken_by="en", read_as='"您" = "nin2"')
    voice = FakeSynthesiser()
    library = studio.library(voice)
    await library.render_missing()
    assert "nin2好" in [order.text for order in voice.rendered]
    assert library.sentence("greeting", "zh-CN") == "您好"


async def test_a_recording_goes_before_a_synthetic_clip(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    path = studio.record("zh-CN", "greeting", 700, sentence="您好")
    library.load()
    clip = library.find(HELLO, "zh-CN")
    assert clip is not None
    assert (clip.path, clip.duration_ms, clip.recorded) == (path, 700, True)
    other = library.find(HELLO, "en")
    assert other is not None
    assert not other.recorded
    stale = [finding for finding in inspect_clips(library) if finding.fault is Fault.STALE]
    assert stale == []  # the synthetic one under it stays, for the day the recording is taken out


async def test_a_recording_of_other_words_is_stale(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    studio.record("zh-CN", "greeting", 700, sentence="你好")
    studio.record("zh-CN", "menu.end", 700)
    studio.record("zh-CN", "nothing", 700)
    studio.record("en", "menu.end", 700, sentence="Bye")
    library.load()
    stale = [finding.key for finding in inspect_clips(library) if finding.fault is Fault.STALE]
    assert sorted(stale) == ["greeting", "menu.end", "nothing"]


async def test_a_recording_in_a_wrong_format_is_named_and_not_played(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    path = studio.record("zh-CN", "greeting", 700)
    data = bytearray(path.read_bytes())
    data[24:28] = (44_100).to_bytes(4, "little")
    path.write_bytes(data)
    library.load()
    clip = library.find(HELLO, "zh-CN")
    assert clip is not None
    assert not clip.recorded
    faults = [finding for finding in inspect_clips(library) if finding.fault is Fault.FORMAT]
    assert [finding.key for finding in faults] == ["greeting"]
    assert "44100 Hz" in faults[0].advice


async def test_a_clip_that_was_cut_short_is_made_again(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    clip = library.find(HELLO, "en")
    assert clip is not None
    for kept in (0, 20, 100):
        clip.path.write_bytes(clip.path.read_bytes()[:kept] if kept else b"")
        again = studio.library()
        assert [order.label for order in again.missing()] == ["greeting"]
        assert await again.render_missing() == ()
        assert again.find(HELLO, "en") == clip


async def test_a_clip_that_cannot_be_made_names_its_key_and_fails_alone(studio: Studio) -> None:
    library = studio.library(FakeSynthesiser(unspeakable=["您好"]))
    failed = await library.render_missing()
    assert [failure.order.label for failure in failed] == ["greeting"]
    assert library.find(Phrase(key="menu.end"), "zh-CN") is not None
    assert library.lacks((HELLO, Pause(ms=5), Phrase(key="menu.end")), "zh-CN") == ("greeting",)
    assert [f.key for f in inspect_clips(library) if f.fault is Fault.MISSING] == ["greeting"]


async def test_a_name_is_left_out_with_its_pause_until_it_has_a_clip(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    spoken = (HELLO, Pause(ms=200), Name(text="海岸"), Pause(ms=300), Phrase(key="menu.end"))
    played = library.clips(spoken, "zh-CN")
    assert [item.ms for item in played if isinstance(item, Pause)] == [300]
    await library.name_wanted()
    assert await library.render_missing(names_only=True) == ()
    assert sum(isinstance(item, Clip) for item in library.clips(spoken, "zh-CN")) == 3
    assert library.duration_ms(spoken, "zh-CN") == (2 + 2 + 2) * MS_PER_CHAR + 500


async def test_what_another_process_made_is_not_made_again(studio: Studio) -> None:
    voice = FakeSynthesiser()
    serving = studio.library(voice)
    await serving.render_missing()
    entering = studio.library()
    entering.set_names([SpokenName(text="海岸", pronunciation="hǎi àn")])
    await entering.render_missing(names_only=True)
    made = len(voice.rendered)
    assert serving.find(Name(text="海岸"), "zh-CN") is None
    await serving.name_wanted()
    serving.set_names([SpokenName(text="海岸", pronunciation="hǎi àn")])
    assert await serving.render_missing() == ()
    assert len(voice.rendered) == made
    clip = serving.find(Name(text="海岸"), "zh-CN")
    assert clip is not None
    assert serving.sound(clip.sha) == clip.path.read_bytes()
    assert serving.find_file("0" * 32) is serving.sound("0" * 32) is None
    assert serving.sound(serving.silence(180)) == silence_sound(180)


async def test_a_name_is_said_as_its_brand_says(studio: Studio) -> None:
    voice = FakeSynthesiser()
    library = studio.library(voice)
    library.set_names(
        [SpokenName(text="海岸", pronunciation="hǎi àn"), SpokenName(text="Coast"), SpokenName(text="单于")]
    )
    await library.render_missing(names_only=True)
    assert [(order.label, order.voice, order.text) for order in voice.rendered] == [
        ("海岸", "zh-CN", "hai3 an4"),
        ("Coast", "en", "Coast"),
        ("Coast", "zh-CN", "Coast"),
        ("单于", "zh-CN", "单于"),
    ]
    assert library.find(Name(text="海岸"), "en") == library.find(Name(text="海岸"), "zh-CN")


async def test_what_a_switch_plays_has_a_plain_name(studio: Studio) -> None:
    library = studio.library()
    library.set_names([SpokenName(text="海岸")])
    await library.render_missing()
    assert library.switch_name(Phrase(key="menu.end"), "zh-CN") == "zh-CN/menu-end"
    name = library.switch_name(Name(text="海岸"), "zh-CN")
    assert name is not None
    assert name.isascii()
    assert library.switch_name(Phrase(key="menu.none"), "zh-CN") is None


async def test_faults_of_sound_are_named(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    for key, samples in (("greeting", hum(500, 40)), ("menu.end", hum(13_000)), ("language.offer", hum(90))):
        studio.record("zh-CN", key, 10)
        write_wav(studio.prompts / "zh-CN" / "clips" / f"{key}.wav", samples)
    loud = studio.record("en", "menu.end", 100)
    square = hum(100)
    square[10:20] = type(square)("h", [32_767] * 10)
    write_wav(loud, square)
    library.load()
    found = {(finding.fault, finding.locale, finding.key) for finding in inspect_clips(library)}
    assert (Fault.SILENT, "zh-CN", "greeting") in found
    assert (Fault.LONG, "zh-CN", "menu.end") in found
    assert (Fault.CLIPPED, "en", "menu.end") in found


async def test_a_greeting_that_is_too_long_is_named(studio: Studio) -> None:
    library = studio.library()
    await library.render_missing()
    studio.record("zh-CN", "greeting", 4_950, sentence="您好")
    library.load()
    found = [finding.key for finding in inspect_clips(library) if finding.fault is Fault.LONG]
    assert found == ["greeting"]


async def test_mandarin_read_as_another_language_is_named(studio: Studio) -> None:
    studio.write("zh-CN", ZH + 'bad = "OK"\n', spoken_by="en")
    found = await inspect_phonemes(load_books(studio.prompts), FakeSynthesiser())
    assert [(finding.fault, finding.key) for finding in found] == [(Fault.FOREIGN, "menu.bad")]


async def test_a_fetched_name_costs_no_file(studio: Studio) -> None:
    name = SpokenName(text="海岸")
    making = studio.library()
    making.set_names([name])
    await making.render_missing()
    began_later = studio.library()
    began_later.set_names([name])
    began_later.load()
    for library in (making, began_later):
        clip = library.find(Name(text="海岸"), "zh-CN")
        assert clip is not None
    sound = clip.path.read_bytes()
    clip.path.unlink()
    assert making.sound(clip.sha) == began_later.sound(clip.sha) == sound


def test_the_least_used_sound_makes_room() -> None:
    held = HeldSounds(most_bytes=10)
    for sha in ("a", "b"):
        held.keep(sha, sha.encode() * 4)
        held.keep(sha, b"other")  # its digest names it
    assert held.has_room
    assert held.find("a") == b"aaaa"
    held.keep("c", b"cccc")
    assert (held.find("a"), held.find("b"), held.find("c")) == (b"aaaa", None, b"cccc")
    held.keep("d", b"d" * 11)
    assert (held.find("d"), held.find("a")) == (None, b"aaaa")
    held.keep("e", b"e" * 10)
    assert (held.find("e"), held.find("a"), held.find("c")) == (b"e" * 10, None, None)
    assert not held.has_room


async def test_a_name_beyond_what_is_held_is_read_and_one_that_is_gone_is_none(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.speech.library._NAMES_HELD_BYTES", 0)
    library = studio.library()
    library.set_names([SpokenName(text="海岸")])
    await library.render_missing()
    clip = library.find(Name(text="海岸"), "zh-CN")
    assert clip is not None
    assert library.sound(clip.sha) == clip.path.read_bytes()
    clip.path.unlink()
    assert library.sound(clip.sha) is None
