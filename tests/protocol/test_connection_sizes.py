"""How long a frame may say it is, and how long a message may be. What RFC 6455 says is in the docstrings.

Headers that tests write out have a mask of zeros, so that the payload behind them can be read.
"""

import tracemalloc

import pytest

from tests.support.wire import (
    CLIENT,
    CUT_SHORT,
    MASK,
    SERVER,
    assert_failed,
    assert_fails,
    client_end,
    client_frame,
    hear,
    keeps_nothing,
    kept_by,
    pieces,
    server_end,
)
from wsmiddleware.protocol.connection import Ping
from wsmiddleware.protocol.errors import FramingError, MessageTooBig
from wsmiddleware.protocol.frames import BINARY, CONTINUATION, PING, TEXT
from wsmiddleware.protocol.states import State

wire = bytes.fromhex

MIB = 1 << 20


class TestLengths:
    @pytest.mark.parametrize(
        ("length", "found"),
        [
            ("7e 00 00", 0),
            ("7e 00 01", 1),
            ("7e 00 7d", 125),
            ("7f 00 00 00 00 00 00 00 00", 0),
            ("7f 00 00 00 00 00 00 00 7d", 125),
            ("7f 00 00 00 00 00 00 00 7e", 126),
            ("7f 00 00 00 00 00 00 ff ff", 65535),
        ],
    )
    def test_are_refused_in_a_longer_form_than_they_need(self, length, found):
        """5.2: "in all cases, the minimal number of bytes MUST be used to encode the length"."""
        assert_fails(CLIENT, pieces(wire("82" + length), 1), FramingError, f"the shortest form of the length {found},")

    @pytest.mark.parametrize(
        "length",
        [
            "7f 80 00 00 00 00 00 00 00",
            "7f 80 00 00 00 00 00 00 05",
            "7f ff ff ff ff ff ff ff ff",
        ],
    )
    def test_are_refused_with_the_top_bit_set(self, length):
        """5.2: "a 64-bit unsigned integer (the most significant bit MUST be 0)"."""
        assert_fails(CLIENT, pieces(wire("82" + length), 1), FramingError, "expected a length of 63 bits")
        masked = wire("82" + length.replace("7f", "ff", 1))
        assert_fails(SERVER, pieces(masked, 1), FramingError, "expected a length of 63 bits")

    def test_of_masked_frames_follow_the_same_rules(self):
        assert_fails(SERVER, wire("82 fe 00 7d 00 00 00 00"), FramingError, "the shortest form of the length 125,")
        assert_fails(SERVER, wire("82 ff 80 00 00 00 00 00 00 00"), FramingError, "expected a length of 63 bits")


class TestMaxMessageSize:
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("limit", [0, 1, 125, 126, 65535, 65536])
    def test_passes_at_the_limit_and_fails_one_byte_over(self, opcode, limit):
        connection = server_end(max_message_size=limit)
        at_limit, over = client_frame(opcode, b"*" * limit), client_frame(opcode, b"*" * (limit + 1))
        assert hear(connection, at_limit, at_limit) == [("*" if opcode == TEXT else b"*") * limit] * 2
        self.assert_too_big(connection, hear(connection, over), limit)

    def test_counts_over_all_fragments(self):
        connection = server_end(max_message_size=10)
        first, second = client_frame(BINARY, b"*" * 4, fin=False), client_frame(CONTINUATION, b"*" * 5, fin=False)
        assert hear(connection, first + second + client_frame(CONTINUATION, b"*")) == [b"*" * 10]
        assert hear(connection, first, client_frame(PING, b"*" * 100), second) == [Ping(b"*" * 100)]
        self.assert_too_big(connection, hear(connection, client_frame(CONTINUATION, b"**")), 10)

    def test_counts_bytes_and_not_characters(self):
        connection = server_end(max_message_size=4)
        assert hear(connection, client_frame(TEXT, "ää".encode()), client_frame(TEXT, "𝄞".encode())) == ["ää", "𝄞"]
        self.assert_too_big(connection, hear(connection, client_frame(TEXT, "äää".encode())), 4)

    @pytest.mark.parametrize("length", [MIB + 1, (1 << 63) - 1])
    def test_fails_before_the_payload_comes(self, length):
        connection = server_end(max_message_size=MIB)
        header = wire("82 ff") + length.to_bytes(8, "big") + MASK
        self.assert_too_big(connection, hear(connection, *pieces(header, 1)), MIB)

    @pytest.mark.parametrize("length", [(1 << 63) - 1, (1 << 63) - 100])
    def test_does_not_overflow(self, length):
        """A fragment of about the greatest length there is, behind one that is here already."""
        connection = server_end(max_message_size=MIB)
        header = wire("80 ff") + length.to_bytes(8, "big") + MASK
        assert hear(connection, client_frame(BINARY, b"*" * 200, fin=False)) == []
        self.assert_too_big(connection, hear(connection, header, b"more"), MIB)

    @pytest.mark.parametrize("first", [0x82, 0x02])
    def test_may_be_the_greatest_length_and_then_nothing_is_kept_but_what_has_come(self, first):
        """Whoever announces 2^63 - 1 bytes, within the limit, has not sent them."""
        connection = server_end(max_message_size=(1 << 63) - 1)
        assert hear(connection, bytes([first]) + wire("ff 7f ff ff ff ff ff ff ff") + MASK, b"*" * 1000) == []
        assert connection.state == State.OPEN
        assert kept_by(connection) <= 1000 + CUT_SHORT
        tracemalloc.start()
        assert hear(connection, *[b"*" * 100] * 100) == []
        assert tracemalloc.get_traced_memory()[1] < MIB
        tracemalloc.stop()

    def test_does_not_overflow_at_the_greatest_limit(self):
        limit = (1 << 63) - 1
        connection = server_end(max_message_size=limit)
        assert hear(connection, client_frame(BINARY, b"*", fin=False)) == []
        header = wire("80 ff") + limit.to_bytes(8, "big") + MASK
        self.assert_too_big(connection, hear(connection, header), limit)

    def test_holds_for_the_client_too(self):
        connection = client_end(max_message_size=10)
        events = hear(connection, CLIENT.peer(TEXT, b"*" * 11))
        assert_failed(connection, CLIENT, events, MessageTooBig, "at most 10 bytes, found a longer one")

    def assert_too_big(self, connection, events, limit):
        text = f"expected a message of at most {limit} bytes, found a longer one"
        assert assert_failed(connection, SERVER, events, MessageTooBig, text) == []

    def test_bounds_what_is_kept(self):
        connection = server_end(max_message_size=1000)
        for fragment in [client_frame(BINARY, b"*", fin=False), *[client_frame(CONTINUATION, b"*", fin=False)] * 999]:
            assert hear(connection, fragment) == []
            assert kept_by(connection) <= 1000
        assert hear(connection, client_frame(CONTINUATION)) == [b"*" * 1000]
        assert keeps_nothing(connection)
