"""Callers and strangers who do what nobody should: clear behaviour each, and nothing half recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.acceptance.ivr import twiml
from tests.acceptance.ivr.callbacks import Conversation, Telephone, telephone
from tests.acceptance.ivr.history import Past
from tests.acceptance.ivr.hotline import VOICE, Hotline, outcomes
from tests.acceptance.ivr.test_answers_heard import new_caller, with_digit
from tests.acceptance.sms.service_life import nobody_writing

FIRST = "verdict.matches_first"
LONGEST_TURN_S = 6.0
WITHHELD = ("+266696687", "anonymous", "+86282452253", "sip:someone@example.org", "")


def says(call: Conversation, key: str, locale: str = "zh-CN") -> bool:
    return call.telephone.hotline.sha(key, locale) in call.last


# ------------------------------------------------------------------------------------ hanging up

Walk = Callable[[Conversation, str], Awaitable[None]]


async def greeted(call: Conversation, code: str) -> None:
    """Do nothing: the call is greeted."""


async def half_keyed(call: Conversation, code: str) -> None:
    await call.keys(code[:7])


async def slipped(call: Conversation, code: str) -> None:
    await call.keys(with_digit(code, 4))


async def answered(call: Conversation, code: str) -> None:
    await call.keys(code)


async def heard_again(call: Conversation, code: str) -> None:
    await call.keys(code)
    await call.keys("*")


async def reporting(call: Conversation, code: str) -> None:
    await call.keys(code)
    await call.keys("2")
    assert isinstance(call.wait, twiml.Record)


async def reported(call: Conversation, code: str) -> None:
    await reporting(call, code)
    await call.report()


async def transferring(call: Conversation, code: str) -> None:
    await call.keys("0", "#")
    assert isinstance(call.wait, twiml.Dial)


async def not_put_through(call: Conversation, code: str) -> None:
    await transferring(call, code)
    await call.nobody_answers()
    assert says(call, "transfer.failed")


STATES: dict[str, tuple[Walk, list[str], int]] = {
    "greeted": (greeted, [], 0),
    "half keyed": (half_keyed, [], 0),
    "slipped": (slipped, [], 0),
    "answered": (answered, ["first"], 0),
    "heard again": (heard_again, ["first"], 0),
    "reporting": (reporting, ["first"], 0),
    "reported": (reported, ["first"], 1),
    "transferring": (transferring, [], 0),
    "not put through": (not_put_through, [], 0),
}


@pytest.mark.parametrize("state", STATES)
async def test_hanging_up_leaves_the_record_as_it_was(phone: Telephone, hotline: Hotline, state: str) -> None:
    walk, expected, kept = STATES[state]
    before, reports = len(hotline.facts()), len(hotline.reports())
    call = await phone.call(new_caller("zh-CN"))
    await walk(call, hotline.take())
    assert outcomes(hotline.facts(before)) == expected
    assert await call.hang_up() == 204
    assert await call.hang_up() == 204, "told twice"
    assert outcomes(hotline.facts(before)) == expected
    assert len(hotline.reports()) == reports + kept


async def test_a_report_told_twice_is_kept_once(phone: Telephone, hotline: Hotline) -> None:
    reports = hotline.reports()
    call = await phone.call(new_caller("zh-CN"))
    await reporting(call, hotline.take())
    sid = await call.report()  # every question of this telephone is put twice
    assert hotline.reports() == [*reports, sid]
    assert says(call, "report.thanks")
    assert not call.over


async def test_a_mute_report_ends_the_call_and_is_not_kept(phone: Telephone, hotline: Hotline) -> None:
    reports = hotline.reports()
    call = await phone.call(new_caller("zh-CN"))
    await reporting(call, hotline.take())
    await call.silence()
    assert call.over
    assert hotline.reports() == reports


# ------------------------------------------------------------------------------------ keys


async def test_a_hash_first_asks_for_the_digits(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    await call.keys("", "#")
    assert says(call, "entry.empty")
    await call.keys(hotline.take())
    assert says(call, FIRST)
    assert outcomes(hotline.facts(before)) == ["first"]


async def test_two_keys_at_once_in_the_menu_are_one_choice(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    await call.keys(hotline.take())
    assert call.gathering.digits_wanted == 1
    await call.keys(
        "12"
    )  # the provider stops at the first; the second falls into the next gathering or is lost
    assert says(call, "entry.prompt")
    await call.keys("", "#")
    assert says(call, "entry.empty")
    assert outcomes(hotline.facts(before)) == ["first"]


async def test_more_keys_than_were_asked_for_are_still_one_entry(phone: Telephone, hotline: Hotline) -> None:
    """A provider that does not count passes on all of them; no code is cut out of so many."""
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    await call.follow(call.action, {"Digits": hotline.take() + "471", "FinishedOnKey": ""})
    assert says(call, "verdict.wrong_length")
    assert outcomes(hotline.facts(before)) == []
    refused = await call.ask(call.action, {"Digits": "1" * 65, "FinishedOnKey": ""})
    assert refused.status == 400
    assert outcomes(hotline.facts(before)) == []


async def test_letters_among_the_keys_are_slipped_fingers(phone: Telephone, hotline: Hotline) -> None:
    call = await phone.call(new_caller("zh-CN"))
    code = hotline.take()
    await call.follow(call.action, {"Digits": f"{code[:5]}A*{code[5:]}", "FinishedOnKey": "#"})
    assert says(call, FIRST)
    for keys in ("12 34", "１２３", "<Play>", "12\r\n"):
        assert (await call.ask(call.action, {"Digits": keys, "FinishedOnKey": ""})).status == 400


# ------------------------------------------------------------------------------------ callers


@pytest.mark.parametrize("written", WITHHELD)
async def test_nobody_is_told_that_they_asked_before(
    phone: Telephone, hotline: Hotline, written: str
) -> None:
    before, code = len(hotline.facts()), hotline.take()
    for sentence in (FIRST, "verdict.checked"):
        call = await phone.call(written)
        await call.keys(code)
        assert says(call, sentence)
        assert not says(call, "verdict.moment_ago")
    facts = hotline.facts(before)
    assert outcomes(facts) == ["first", "repeat"]
    assert [fact.caller for fact in facts] == [None, None]


async def test_one_number_is_one_caller_however_it_is_written(phone: Telephone, hotline: Hotline) -> None:
    before, code = len(hotline.facts()), hotline.take()
    for written in ("+8613612340001", "13612340001", "8613612340001"):
        call = await phone.call(written)
        await call.keys(code)
    facts = hotline.facts(before)
    assert outcomes(facts) == ["first", "repeat_own", "repeat_own"]
    assert len({fact.caller for fact in facts}) == 1


# ------------------------------------------------------------------------------------ callbacks


async def test_callbacks_that_overlap_are_one_query(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    form = {"Digits": hotline.take(), "FinishedOnKey": "#"}
    answers = await asyncio.gather(*(call.ask(call.action, form, times=1) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert [(fact.outcome, fact.ordinal) for fact in hotline.facts(before)] == [("first", 1)]


async def test_a_code_never_meets_the_answer_of_another(phone: Telephone, hotline: Hotline) -> None:
    """Two codes under one state, which no provider sends: each has its own answer."""
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    codes = (hotline.take(), hotline.take())
    forms = [{"Digits": code, "FinishedOnKey": "#"} for code in codes]
    answers = await asyncio.gather(*(call.ask(call.action, form, times=1) for form in forms))
    assert [answer.status for answer in answers] == [200, 200]
    assert outcomes(hotline.facts(before)) == ["first", "first"]


async def test_a_late_copy_of_a_turn_changes_nothing(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    address, form = call.action, {"Digits": hotline.take(), "FinishedOnKey": "#"}
    await call.follow(address, form)
    said = call.document
    await call.keys("1")
    await call.keys(hotline.take())
    assert (await call.ask(address, form)).body == said
    await call.hang_up()
    assert (await call.ask(address, form)).body == said
    assert [(fact.outcome, fact.ordinal) for fact in hotline.facts(before)] == [("first", 1)] * 2


async def test_a_slip_that_is_called_back_often_is_counted_once(phone: Telephone, hotline: Hotline) -> None:
    """It leaves no record; were each callback a query, this caller would meet the limit of wrong codes."""
    before, code = len(hotline.facts()), hotline.take()
    call = await phone.call(new_caller("zh-CN"))
    address, form = call.action, {"Digits": with_digit(with_digit(code, 2), 11), "FinishedOnKey": ""}
    at_once = await asyncio.gather(*(call.ask(address, form, times=1) for _ in range(4)))
    assert len({answer.body for answer in at_once}) == 1
    assert (await call.ask(address, form, times=4)).body == at_once[0].body
    await call.follow(address, form)
    assert call.document == at_once[0].body
    assert outcomes(hotline.facts(before)) == []
    await call.keys(code)
    assert says(call, FIRST)
    assert (await call.ask(address, form)).body == at_once[0].body, "a late copy"
    assert outcomes(hotline.facts(before)) == ["first"]


async def test_the_state_of_one_call_is_no_good_in_another(phone: Telephone, hotline: Hotline) -> None:
    before = len(hotline.facts())
    one, other = [await phone.call(new_caller("zh-CN")) for _ in range(2)]
    form = {"Digits": hotline.take(), "FinishedOnKey": "#"}
    assert (await other.ask(one.action, form)).status == 400
    head, _, token = one.action.rpartition("/")
    changed = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    for address in (f"{head}/{changed}", f"{head}/{token[:-1]}", f"{head}/x", f"{head}/{token}{token}"):
        assert (await one.ask(address, form)).status == 400
    assert (await one.ask(f"{head}/", form)).status in {400, 404}
    assert hotline.facts(before) == []


async def test_what_nobody_signed_is_refused(hotline: Hotline, phone: Telephone) -> None:
    before = len(hotline.facts())
    call = await phone.call(new_caller("zh-CN"))
    form = {"Digits": hotline.take(), "FinishedOnKey": "#"}
    async with telephone(hotline, token="another token") as stranger:
        forged = replace(call, telephone=stranger)
        for address in (call.action, VOICE, f"{VOICE}/status", f"{VOICE}/recorded/x", f"{VOICE}/dialled/x"):
            assert (await forged.ask(address, form)).status == 403
    assert hotline.facts(before) == []


async def test_a_call_goes_on_after_the_service_has_been_replaced(phone: Telephone, past: Past) -> None:
    """It was greeted by a process that has ended since: all that a turn needs comes with it."""
    before = len(past.hotline.facts())
    call = replace(past.greeted, telephone=phone, number=new_caller("zh-CN"))
    await call.keys(past.hotline.take())
    assert says(call, FIRST)
    assert outcomes(past.hotline.facts(before)) == ["first"]


# ------------------------------------------------------------------------------------ no record


async def test_a_turn_is_answered_in_time_though_nothing_can_be_written(
    phone: Telephone, hotline: Hotline
) -> None:
    calls = {locale: await phone.call(new_caller(locale)) for locale in ("zh-CN", "en")}
    forms = {locale: {"Digits": hotline.take(), "FinishedOnKey": "#"} for locale in calls}
    before = len(hotline.facts())
    begun = asyncio.get_running_loop().time()
    with nobody_writing(hotline.folder / "yanzhen.db"):
        answers = await asyncio.gather(
            *(call.ask(call.action, forms[locale], times=1) for locale, call in calls.items())
        )
        took = asyncio.get_running_loop().time() - begun
        assert hotline.facts(before) == []
    assert took <= LONGEST_TURN_S
    for (locale, call), answer in zip(calls.items(), answers, strict=True):
        address = call.action
        await call.play(twiml.read_twiml(answer.body))
        assert call.over
        assert says(call, "verdict.unavailable", locale)
        assert not says(call, FIRST, locale)
        # what was put off is told to whoever asks the same once more, and counted once
        again = await call.ask(address, forms[locale], times=1)
        await call.play(twiml.read_twiml(again.body))
        assert says(call, FIRST, locale)
    assert outcomes(hotline.facts(before)) == ["first", "first"]
