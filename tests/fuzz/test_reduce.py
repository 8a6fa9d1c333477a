"""A stream is made smaller as long as it shows the same."""

from __future__ import annotations

from fuzz.reduce import smaller
from fuzz.streams import Setting, Stream


def test_leaves_out_what_does_not_matter():
    stream = Stream(Setting(1000), bytes(range(1, 100)), (3, 50, 70))
    asked = []

    def shows(candidate):
        asked.append(candidate)
        return b"\x32" in candidate.data and b"\x46" in candidate.data

    assert smaller(stream, shows) == Stream(Setting(1000), b"\x32\x46")
    assert len(asked) < 150


def test_keeps_the_cuts_that_matter():
    stream = Stream(Setting(1000), b"abcdefgh", (2, 4, 6))
    assert smaller(stream, lambda candidate: b"d" in list(candidate.chunks())[-2:][0] and bool(candidate.cuts)).cuts


def test_makes_the_rest_zero():
    assert smaller(Stream(Setting(1000), b"abc"), lambda candidate: len(candidate.data) == 3).data == bytes(3)
