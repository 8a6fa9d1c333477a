"""Timers: never early, never late by more than the resolution."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wsmiddleware.loop.timers import RESOLUTION, Timers

TIMES = st.floats(min_value=0, max_value=1e6)


def test_nothing_is_due_at_first():
    timers: Timers[str] = Timers()
    assert timers.next() is None
    assert timers.due(1e9) == []


def test_an_item_is_due_once():
    timers: Timers[str] = Timers()
    timers.add("item", 10)
    assert timers.due(9.99) == []
    assert timers.due(10 + RESOLUTION) == ["item"]
    assert timers.due(1e9) == []
    assert timers.next() is None


@settings(max_examples=50, deadline=None)
@given(TIMES)
def test_an_item_is_due_at_its_time_or_shortly_after(when):
    timers: Timers[str] = Timers()
    timers.add("item", when)
    at = timers.next()
    assert at is not None
    assert when <= at <= when + RESOLUTION * 1.001
    assert timers.due(when - 1e-3) == []
    assert timers.due(at) == ["item"]


@settings(max_examples=50, deadline=None)
@given(st.lists(TIMES, min_size=1))
def test_next_is_when_the_first_is_due(times):
    timers: Timers[int] = Timers()
    for number, when in enumerate(times):
        timers.add(number, when)
    at = timers.next()
    assert at is not None
    assert min(times) <= at <= min(times) + RESOLUTION * 1.001
    first = timers.due(at)
    assert times.index(min(times)) in first
    assert all(times[number] <= at for number in first)


@settings(max_examples=50, deadline=None)
@given(st.lists(TIMES), st.lists(TIMES))
def test_all_is_due_in_the_end_and_once(times, moments):
    timers: Timers[int] = Timers()
    for number, when in enumerate(times):
        timers.add(number, when)
    found = []
    for now in [*sorted(moments), 2e6]:
        due = timers.due(now)
        assert all(times[number] <= now for number in due)
        found += due
        assert all(times[number] + RESOLUTION * 1.001 > now for number in set(range(len(times))) - set(found))
    assert sorted(found) == list(range(len(times)))
    assert timers.next() is None


def test_what_is_removed_is_not_due():
    timers: Timers[str] = Timers()
    slot = timers.add("a", 10)
    timers.add("b", 10)
    timers.remove("a", slot)
    assert timers.due(20) == ["b"]


def test_next_ignores_what_has_been_removed():
    timers: Timers[str] = Timers()
    early = [timers.add(name, 10) for name in "ab"]
    timers.add("c", 50)
    timers.remove("a", early[0])
    timers.remove("b", early[1])
    at = timers.next()
    assert at is not None and at >= 50
    assert timers.due(40) == []
    assert timers.due(60) == ["c"]


def test_removing_what_was_due_already_does_nothing():
    timers: Timers[str] = Timers()
    slot = timers.add("item", 10)
    assert timers.due(20) == ["item"]
    timers.remove("item", slot)
    assert timers.next() is None


def test_removing_twice_does_nothing():
    timers: Timers[str] = Timers()
    slot = timers.add("item", 10)
    timers.remove("item", slot)
    timers.remove("item", slot)
    assert timers.next() is None


def test_a_slot_is_never_0_which_means_none():
    timers: Timers[str] = Timers()
    assert timers.add("item", 0.0) != 0


def test_an_item_can_be_added_again():
    timers: Timers[str] = Timers()
    timers.remove("item", timers.add("item", 10))
    timers.add("item", 10)
    assert timers.due(11) == ["item"]
    timers.add("item", 12)
    assert timers.due(13) == ["item"]


def test_the_past_is_due_at_once():
    timers: Timers[str] = Timers()
    timers.due(100)
    timers.add("late", 50)
    assert timers.due(100) == ["late"]
