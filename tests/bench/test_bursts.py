"""Bursts: messages in a row, of one kind or of a cycle."""

from __future__ import annotations

import pytest

from wsmiddleware.bench.bursts import LARGEST, MOST, Bursts


@pytest.mark.parametrize(
    ("size", "limit"), [(1, MOST), (LARGEST // 2, 2), (LARGEST // 2 + 1, 1), (LARGEST, 1), (LARGEST + 1, 1)]
)
def test_are_limited_by_their_bytes_and_their_number(size, limit):
    assert Bursts([b"x" * size], [size]).limit == limit


def test_are_what_they_say():
    bursts = Bursts([b"abc"], [2])
    for count in (3, 1, MOST):
        burst = bursts.of(0, count)
        assert burst.data == bytes(burst.out) == b"abc" * count
        assert burst.size == 3 * count


def test_are_made_once():
    bursts = Bursts([b"abc"], [2])
    assert bursts.of(0, 2) is bursts.of(0, 2)


def test_of_a_cycle_begin_with_each_message_and_go_on_with_the_first_after_the_last():
    bursts = Bursts([b"a", b"bc", b"def"], [1, 10, 100])
    assert [bursts.of(first, 1).data for first in range(3)] == [b"a", b"bc", b"def"]
    assert bursts.of(1, 4).data == b"bcdefabc"
    assert bursts.of(2, 3).data == b"defabc"


@pytest.mark.parametrize(
    ("count", "size", "limit"),
    [(4, 1, MOST // 4), (4, LARGEST // 2, 2), (MOST, 1, 1), (MOST + 1, 1, 1), (2, LARGEST + 1, 1)],
)
def test_of_a_cycle_are_fewer_for_each_message(count, size, limit):
    assert Bursts([b"x", *[b"x" * size] * (count - 1)], [1] * count).limit == limit


@pytest.mark.parametrize(
    ("first", "count", "size"), [(0, 1, 1), (1, 2, 110), (2, 2, 101), (0, 3, 111), (1, 3, 111), (2, 8, 101 + 2 * 111)]
)
def test_of_a_cycle_know_what_their_messages_are_without_compression(first, count, size):
    assert Bursts([b"a", b"bc", b"def"], [1, 10, 100]).size(first, count) == size
