"""A plan refuses numbers that make no sense, and says which."""

from __future__ import annotations

import pytest

from wsmiddleware.bench import Mode, Plan

URL = "ws://localhost/"


@pytest.mark.parametrize("name", ["connections", "in_flight", "size"])
def test_expects_one_or_more(name):
    with pytest.raises(ValueError, match=f"^expected {name} to be 1 or more, found 0$"):
        Plan(URL, **{name: 0})


@pytest.mark.parametrize("name", ["seconds", "patience"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_expects_a_time(name, value):
    with pytest.raises(ValueError, match=f"^expected {name} to be more than 0"):
        Plan(URL, **{name: value})


def test_expects_contexts_that_there_are():
    with pytest.raises(ValueError, match='^expected deflate to be "shared", "dedicated" or None, found \'own\'$'):
        Plan(URL, deflate="own")


def test_expects_no_compression_where_there_are_no_websockets():
    with pytest.raises(ValueError, match="^expected a connection without compression if it is raw, found one with it$"):
        Plan(URL, raw=True, deflate="shared")


@pytest.mark.parametrize("mode", [Mode.IDLE, Mode.CHURN])
def test_expects_handshakes_where_nothing_else_happens(mode):
    with pytest.raises(ValueError, match=f"^expected the mode echo or fanout .*, found {mode.value}$"):
        Plan(URL, mode, raw=True)
