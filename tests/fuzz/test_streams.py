"""The generator: the same stream for a seed at any time, and of everything something."""

from __future__ import annotations

import pytest

from fuzz.anatomy import dissect
from fuzz.streams import CLOSE, PING, TEXT, Frame, generate
from tests.support.wire import MASK, client_frame

SOME = [generate(seed) for seed in range(600)]


def test_a_seed_always_gives_the_same_stream():
    assert [generate(seed) for seed in range(50)] == SOME[:50]
    written = "--limit 20 --cuts 12 819100000000ed9fbf7878787878787878787878"
    assert generate(42).options() == written
    assert len(set(SOME)) > 590


def test_chunks_are_the_stream():
    for stream in SOME:
        assert b"".join(stream.chunks()) == stream.data
        assert list(stream.cuts) == sorted(stream.cuts)


def test_there_is_something_of_everything():
    parts = [part for stream in SOME for part in dissect(stream)]
    assert {part.opcode for part in parts} >= {0, TEXT, 2, CLOSE, PING, 0xA, 0x3, 0xF}
    assert {fault for part in parts for fault in part.faults} == {
        "reserved",
        "opcode",
        "control",
        "order",
        "unmasked",
        "length",
    }
    assert {stream.setting.bits for stream in SOME} == {0, 8, 9, 10, 12, 15}
    assert {stream.setting.takeover for stream in SOME} == {False, True}
    assert any(part.message is not None and part.message.is_compressed for part in parts)
    assert any(part.is_control and part.open_message is not None for part in parts)
    assert any(len(stream.cuts) == len(stream.data) - 1 > 3 for stream in SOME)


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_a_frame_is_as_the_rfc_draws_it(length):
    payload = bytes(range(256)) * (length // 256) + bytes(length % 256)
    assert Frame(TEXT, payload, rsv=4, fin=False, mask=MASK).encode() == client_frame(TEXT, payload, fin=False, rsv=4)


def test_a_frame_can_claim_what_is_not_so():
    assert Frame(PING, b"abc", mask=b"", claimed=5).encode() == b"\x89\x05abc"
    assert Frame(PING, b"abc", mask=b"", form=2).encode() == b"\x89\x7e\x00\x03abc"
    assert Frame(PING, mask=b"", claimed=1 << 63).encode() == b"\x89\x7f\x80" + bytes(7)
