"""Counting: whole messages, in whatever frames and pieces they come, and nothing that is against the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import MASK, frame, pieces
from wsmiddleware.bench.errors import ReplyError
from wsmiddleware.bench.reader import FrameReader, RawReader

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def feed(reader: FrameReader | RawReader, data: bytes, size: int = 1 << 20) -> int:
    """Feed *data* in pieces of *size*, each in the middle of something else; return how many messages it was."""
    return sum(reader.feed(b"<<" + piece + b">>", 2, 2 + len(piece)) for piece in pieces(data, size))


def fragments(payload: bytes, cuts: list[int]) -> bytes:
    """Return a binary message in frames that begin at *cuts*."""
    starts = [0, *sorted(cuts)]
    stops = [*starts[1:], len(payload)]
    return b"".join(
        frame(CONTINUATION if number else BINARY, payload[start:stop], fin=stop == len(payload) and number == len(cuts))
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
    )


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 100_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_all_sizes(opcode, size):
    reader = FrameReader(size)
    assert feed(reader, frame(opcode, b"x" * size) * 3) == 3
    assert not reader.has_control


@given(st.lists(st.integers(0, 200), max_size=5), st.integers(1, 50))
def test_messages_in_fragments_and_pieces(cuts, size):
    message = fragments(bytes(200), cuts)
    assert feed(FrameReader(200), message * 3, size) == 3


def test_a_message_is_counted_when_its_last_byte_is_there():
    reader = FrameReader(300)
    message = frame(BINARY, bytes(300))
    assert feed(reader, message[:-1], 1) == 0
    assert feed(reader, message[-1:]) == 1


@pytest.mark.parametrize("size", [1, 1000])
def test_pings_are_kept_pongs_are_not(size):
    reader = FrameReader(1)
    begun, ended = frame(BINARY, b"", fin=False), frame(CONTINUATION, b"x")
    assert feed(reader, begun + frame(PING, b"a") + frame(PONG, b"b") + frame(PING) + ended, size) == 1
    assert reader.pings == [b"a", b""]
    assert reader.has_control
    assert reader.close is None


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8" + b"x" * 123])
def test_a_close_frame_is_the_last(payload, size):
    reader = FrameReader(1)
    assert feed(reader, frame(BINARY, b"x") + frame(CLOSE, payload) + b"\xff\xff", size) == 1
    assert reader.close == payload
    assert reader.has_control


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(frame(BINARY, b"x", rsv=4), "c2 01: reserved bits are set: no extension", id="reserved bits"),
        pytest.param(frame(BINARY, b"x", mask=MASK), "82 81: a server masks nothing", id="masked"),
        pytest.param(frame(0x3, b"x"), "83 01: there is no such opcode", id="unknown"),
        pytest.param(frame(0xB, b"x"), "8b 01: there is no such control frame", id="unknown control"),
        pytest.param(frame(PING, b"x", fin=False), "09 01: there is no such control frame", id="control in fragments"),
        pytest.param(frame(PING, bytes(126)), "89 7e: there is no such control frame", id="large control"),
        pytest.param(frame(CONTINUATION, b"x"), "80 01: there is nothing to continue", id="nothing to continue"),
        pytest.param(frame(BINARY, b"", fin=False) * 2, "02 00: the last message has not ended", id="not ended"),
        pytest.param(b"\x82\x7f\x80" + bytes(7), "82 7f: its length has more than 63 bits", id="too long for words"),
    ],
)
def test_what_is_against_the_rules_is_named(data, problem):
    with pytest.raises(ReplyError, match=f"^expected a frame of RFC 6455, found one that begins with {problem}"):
        feed(FrameReader(1), data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(frame(TEXT, b"hello"), "one with 5 bytes", id="long"),
        pytest.param(frame(TEXT, b"a"), "one with 1 bytes", id="short"),
        pytest.param(frame(TEXT, b"ab", fin=False) + frame(CONTINUATION, b"cd"), "one with 2 bytes after 2", id="sum"),
        pytest.param(b"\x82\x7f\x7f" + b"\xff" * 7, f"one with {2**63 - 1} bytes", id="endless"),
    ],
)
def test_messages_of_another_size_are_no_echo(data, found):
    with pytest.raises(ReplyError, match=f"^expected messages of 3 bytes, found {found}. Does this path send back"):
        feed(FrameReader(3), data)


class TestCompressed:
    """Messages of any size."""

    @given(st.lists(st.integers(0, 300)), st.integers(1, 50))
    def test_messages_are_counted_whether_they_are_compressed_or_not(self, sizes, piece):
        data = b"".join(frame(TEXT, bytes(size), rsv=4 * (size % 2)) for size in sizes)
        reader = FrameReader(None)
        assert feed(reader, data, piece) == len(sizes)
        assert reader.take_payload() == sum(sizes)
        assert reader.take_payload() == 0

    def test_messages_may_come_in_fragments(self):
        begun, ended = frame(BINARY, b"abc", fin=False, rsv=4), frame(CONTINUATION, b"de")
        assert feed(FrameReader(None), begun + frame(PING, b"x") + ended + frame(TEXT, b"f")) == 2

    def test_control_frames_do_not_count_as_payload(self):
        reader = FrameReader(None)
        feed(reader, frame(PING, b"x") + frame(BINARY, b"ab", rsv=4))
        assert reader.take_payload() == 2

    @pytest.mark.parametrize(
        ("data", "found"),
        [
            pytest.param(frame(BINARY, b"x", rsv=2), "a2 01", id="RSV2"),
            pytest.param(frame(BINARY, b"x", rsv=5), "d2 01", id="RSV1 and RSV3"),
            pytest.param(frame(PING, b"x", rsv=4), "c9 01", id="ping"),
            pytest.param(frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"x", rsv=4), "c0 01", id="continuation"),
        ],
    )
    def test_rsv1_on_the_first_frame_of_a_message_is_all_that_may_be(self, data, found):
        with pytest.raises(ReplyError, match=f"begins with {found}: reserved bits are set: RSV1 on the first frame"):
            feed(FrameReader(None), data)


def test_payload_counts_when_it_comes():
    reader = FrameReader(3)
    data = frame(TEXT, b"abc")
    reader.feed(data, 0, len(data) - 1)
    assert reader.take_payload() == 2
    reader.feed(data, len(data) - 1, len(data))
    assert reader.take_payload() == 1


@given(st.integers(1, 10), st.integers(1, 10))
def test_raw_messages_are_so_many_bytes(size, piece):
    assert feed(RawReader(size), bytes(10 * size), piece) == 10
