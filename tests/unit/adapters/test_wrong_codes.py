from __future__ import annotations

from app.adapters.bursts import LEAST, Burst
from app.adapters.neighbourhoods import Closeness
from app.adapters.wrong_codes import CloseOnset, UnknownCode, WrongCodeWatch


def tagged(number: int) -> UnknownCode:
    return UnknownCode(channel="sms", digits="20000000777" + f"{111_111_111 * number:09}")


def watch_five(watch: WrongCodeWatch, now_s: float) -> list[CloseOnset]:
    return [onset for number in range(1, 6) for onset in watch.note_unknown(tagged(number), now_s)]


def test_a_process_that_is_alone_announces_at_once() -> None:
    watch = WrongCodeWatch(0.0)
    told = [watch.note_wrong("sms", 1.0) for _ in range(LEAST + 5)]
    assert [burst.recent for burst in told if burst] == [LEAST]
    (onset,) = watch_five(watch, 1.0)
    assert onset.closeness is Closeness.WRONG_TAGS
    assert watch.take_onsets() == []


def test_one_among_many_leaves_it_to_whoever_shares() -> None:
    watch = WrongCodeWatch(0.0)
    watch.told({}, 0.0)
    assert [watch.note_wrong("sms", 1.0) for _ in range(LEAST + 5)] == [None] * (LEAST + 5)
    assert watch_five(watch, 1.0) == []
    assert [onset.closeness for onset in watch.take_onsets()] == [Closeness.WRONG_TAGS]
    assert watch.take_onsets() == []


def test_five_seconds_without_the_others_it_is_alone_again() -> None:
    watch = WrongCodeWatch(0.0)
    calm = Burst(recent=1, baseline=9.0, on=False)
    watch.told({"sms": calm}, 10.0)
    for _ in range(LEAST - 1):
        assert watch.note_wrong("sms", 14.9) is None
    assert watch.look(14.9) == {"sms": calm}
    burst = watch.note_wrong("sms", 15.0)
    assert burst is not None
    assert watch.look(15.0) == {"sms": burst}
    assert len(watch_five(watch, 15.0)) == 1


def test_what_others_saw_completes_what_was_seen_here() -> None:
    watch = WrongCodeWatch(0.0)
    watch.told({}, 0.0)
    for number in (1, 2):
        watch.note_unknown(tagged(number), 1.0)
    for number in (2, 3, 4):
        watch.learn(tagged(number), 1.0)
    assert watch.take_onsets() == []
    watch.learn(tagged(5), 1.0)
    assert [onset.code for onset in watch.take_onsets()] == [tagged(5)]


def test_counts_wait_ten_minutes_to_be_told() -> None:
    watch = WrongCodeWatch(0.0)
    watch.note_wrong("sms", 30.0)
    watch.note_wrong("sms", 90.0)
    watch.note_wrong("web", 90.0)
    taken = watch.take_counts(125.0)
    assert taken == {"sms": {2: 1, 1: 1}, "web": {1: 1}}
    assert watch.take_counts(125.0) == {}
    watch.put_back_counts("sms", taken["sms"], 125.0)
    assert watch.take_counts(630.0) == {"sms": {9: 1}}
    assert watch.channels() == {"sms", "web"}


def test_codes_that_could_not_be_told_wait_and_are_bounded() -> None:
    watch = WrongCodeWatch(0.0)
    for number in range(1, 1300):
        watch.note_unknown(UnknownCode(channel="sms", digits=f"{number:020}"), 1.0)
    first = watch.take_codes(3)
    assert [code.digits for code in first] == [f"{number:020}" for number in (300, 301, 302)]
    watch.put_back_codes(first)
    assert len(watch.take_codes(5000)) == 1000


def test_neither_code_nor_label_shows_when_it_is_printed() -> None:
    code = tagged(1)
    onset = CloseOnset(closeness=Closeness.NEAR_LABEL, group="20000000123456789012", code=code)
    assert "20000000" not in repr(onset)
