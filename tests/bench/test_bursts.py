"""Bursts: one message, several times in a row."""

from __future__ import annotations

import pytest

from wsmiddleware.bench.bursts import LARGEST, MOST, Bursts


@pytest.mark.parametrize(
    ("size", "limit"), [(1, MOST), (LARGEST // 2, 2), (LARGEST // 2 + 1, 1), (LARGEST, 1), (LARGEST + 1, 1)]
)
def test_are_limited_by_their_bytes_and_their_number(size, limit):
    assert Bursts(b"x" * size).limit == limit


def test_are_what_they_say():
    bursts = Bursts(b"abc")
    for count in (3, 1, MOST):
        burst = bursts.of(count)
        assert burst.data == bytes(burst.out) == b"abc" * count
        assert burst.size == 3 * count


def test_are_made_once():
    bursts = Bursts(b"abc")
    assert bursts.of(2) is bursts.of(2)
