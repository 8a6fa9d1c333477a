"""Text is UTF-8, and what is not fails as soon as its bytes show it. What RFC 6455 says is in the docstrings."""

import pytest

from tests.support.wire import (
    CLIENT,
    SERVER,
    assert_failed,
    assert_fails,
    client_frame,
    hear,
    pieces,
    server_end,
)
from wsmiddleware.protocol.connection import Ping
from wsmiddleware.protocol.errors import InvalidText
from wsmiddleware.protocol.frames import BINARY, CONTINUATION, PING, TEXT

wire = bytes.fromhex


@pytest.fixture
def server():
    return server_end()


@pytest.fixture(params=[SERVER, CLIENT], ids=["server", "client"])
def side(request):
    """Rules that hold for both ends."""
    return request.param


VALID_TEXTS = [
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "𝄞 and 日本語",
    "\0",
    "\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff",
    "\ud7ff\ue000\ufffd\ufffe\uffff",
    "\ufeffafter a byte order mark",
]

INVALID_TEXTS = {
    "a continuation byte alone": ("80", 1),
    "many continuation bytes": ("80 bf 80", 1),
    "a lead byte and ASCII": ("c3 28", 2),
    "three bytes, the second wrong": ("e2 28 a1", 2),
    "three bytes, the third wrong": ("e2 82 28", 3),
    "four bytes, the second wrong": ("f0 28 8c bc", 2),
    "four bytes, the third wrong": ("f0 90 28 bc", 3),
    "four bytes, the fourth wrong": ("f0 90 8c 28", 4),
    "the smallest overlong form of two bytes": ("c0 80", 1),
    "a slash, overlong": ("c1 af", 1),
    "overlong in three bytes": ("e0 80 af", 2),
    "the greatest that is overlong in three bytes": ("e0 9f bf", 2),
    "overlong in four bytes": ("f0 80 80 af", 2),
    "the greatest that is overlong in four bytes": ("f0 8f bf bf", 2),
    "the first surrogate": ("ed a0 80", 3),
    "the last surrogate": ("ed bf bf", 3),
    "a pair of surrogates": ("ed a0 80 ed b0 80", 3),
    "one more than U+10FFFF": ("f4 90 80 80", 2),
    "a lead byte that is too great": ("f5 80 80 80", 1),
    "five bytes": ("f8 88 80 80 80", 1),
    "six bytes": ("fc 84 80 80 80 80", 1),
    "fe": ("fe", 1),
    "ff": ("ff", 1),
}
"""Bytes that no text holds, and how many of them it takes to know.

Of surrogates two are enough, but CPython's decoder waits for the third, and so may we.
"""

invalid_texts = pytest.mark.parametrize(("encoded", "known_after"), INVALID_TEXTS.values(), ids=INVALID_TEXTS)

CUT_OFF = ["c3", "e2", "e2 82", "f0", "f0 90", "f0 90 8c"]
"""Beginnings of characters: valid as long as more may come."""


class TestText:
    """8.1: who "finds that the byte stream is not, in fact, a valid UTF-8 stream ... MUST _Fail
    the WebSocket Connection_".
    """

    @pytest.mark.parametrize("text", VALID_TEXTS)
    def test_may_be_cut_anywhere(self, side, text):
        encoded = text.encode()
        whole = side.peer(TEXT, encoded)
        assert hear(side.make(), whole) == [text]
        assert hear(side.make(), *pieces(whole, 1)) == [text]
        for cut in range(len(encoded) + 1):
            stream = side.peer(TEXT, encoded[:cut], fin=False) + side.peer(CONTINUATION, encoded[cut:])
            assert hear(side.make(), stream) == [text]
            assert hear(side.make(), *pieces(stream, 1)) == [text]

    def test_may_be_cut_by_a_control_frame_in_the_middle_of_a_character(self, server):
        stream = client_frame(TEXT, wire("c3"), fin=False) + client_frame(PING) + client_frame(CONTINUATION, wire("a4"))
        assert hear(server, stream) == [Ping(b""), "ä"]

    @invalid_texts
    def test_that_is_invalid_fails_in_one_frame(self, side, encoded, known_after):
        assert_fails(side, side.peer(TEXT, b"valid " + wire(encoded) + b" valid"), InvalidText, "to be UTF-8")

    @invalid_texts
    def test_that_is_invalid_fails_inside_a_frame(self, side, encoded, known_after):
        connection = side.make()
        frame = side.peer(TEXT, b"valid " + wire(encoded) + b" valid")
        invalid = len(frame) - len(wire(encoded) + b" valid")
        assert hear(connection, *pieces(frame[:invalid], 1)) == []
        events = hear(connection, *pieces(frame[invalid : invalid + known_after], 1))
        assert assert_failed(connection, side, events, InvalidText, "to be UTF-8") == []

    @invalid_texts
    def test_that_is_invalid_fails_across_fragments(self, side, encoded, known_after):
        connection = side.make()
        assert hear(connection, side.peer(TEXT, b"valid ", fin=False), side.peer(PING)) == [Ping(b"")]
        bytes_alone = [side.peer(CONTINUATION, byte, fin=False) for byte in pieces(wire(encoded)[:known_after], 1)]
        events = hear(connection, *bytes_alone)
        assert assert_failed(connection, side, events, InvalidText, "to be UTF-8") == []

    def test_that_is_invalid_fails_although_its_frame_never_ends(self):
        assert_fails(SERVER, wire("81 ff 00 00 00 00 00 01 00 00 00 00 00 00 48 ff"), InvalidText)
        assert_fails(CLIENT, wire("01 7e ff ff 48 ff"), InvalidText)

    @pytest.mark.parametrize("encoded", CUT_OFF)
    def test_that_ends_in_a_character_fails_at_its_end(self, side, encoded):
        text = b"valid" + wire(encoded)
        assert_fails(side, side.peer(TEXT, text), InvalidText)
        assert_fails(side, pieces(side.peer(TEXT, text), 1), InvalidText)
        assert_fails(side, [side.peer(TEXT, text, fin=False), side.peer(CONTINUATION)], InvalidText)
        assert_fails(side, [side.peer(TEXT, b"va", fin=False), side.peer(CONTINUATION, text)], InvalidText)

    def test_of_one_message_does_not_end_in_the_next(self, server):
        cut = client_frame(TEXT, wire("c3"), fin=False) + client_frame(CONTINUATION, wire("a4"))
        assert hear(server, cut + cut + client_frame(TEXT, wire("c3 a4"))) == ["ä", "ä", "ä"]
        assert_fails(SERVER, [cut, client_frame(TEXT, wire("a4"), fin=False)], InvalidText)

    @invalid_texts
    def test_is_nothing_that_a_binary_message_has_to_be(self, side, encoded, known_after):
        data = wire(encoded)
        fragments = side.peer(BINARY, data[:1], fin=False) + side.peer(CONTINUATION, data[1:])
        assert hear(side.make(), side.peer(BINARY, data) + fragments) == [data, data]
