"""Timers: never early, never late by more than the resolution."""

from __future__ import annotations

import random

from wsmiddleware.loop.timers import RESOLUTION, Timers

RANDOM = random.Random(1)
TIMES = {
    *(number * RESOLUTION for number in range(200)),  # where rounding could go wrong
    *(RANDOM.uniform(0, 10) for _ in range(200)),
    *(RANDOM.uniform(0, 1e6) for _ in range(200)),
}


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


def test_an_item_is_due_at_its_time_or_shortly_after():
    for when in TIMES:
        timers: Timers[str] = Timers()
        timers.add("item", when)
        at = timers.next()
        assert at is not None
        assert when <= at <= when + RESOLUTION * 1.001
        assert timers.due(when - 1e-3) == []
        assert timers.due(at) == ["item"]


def test_next_is_when_the_first_is_due():
    timers: Timers[float] = Timers()
    for when in TIMES:
        timers.add(when, when)
    for _ in TIMES:
        at = timers.next()
        if at is None:
            break
        due = timers.due(at)
        assert due
        assert all(when <= at <= when + RESOLUTION * 1.001 for when in due)
    assert timers.next() is None


def test_all_is_due_in_the_end_and_once():
    timers: Timers[float] = Timers()
    for when in TIMES:
        timers.add(when, when)
    found: list[float] = []
    for now in sorted(RANDOM.uniform(0, 2e6) for _ in range(100)):
        due = timers.due(now)
        assert all(when <= now for when in due)
        found += due
        assert all(when + RESOLUTION * 1.001 > now for when in {*TIMES} - {*found})
    found += timers.due(3e6)
    assert sorted(found) == sorted(TIMES)
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


def test_what_has_been_removed_costs_nothing():
    timers: Timers[str] = Timers()
    timers.add("kept", 5000)
    for when in range(10_000):
        timers.remove("item", timers.add("item", when))
    assert len(timers._slots) == 1
    assert len(timers._order) < 100
    assert timers.due(4999) == []
    assert timers.due(5001) == ["kept"]
