"""What comes and what it means; what is sent and how it looks. What RFC 6455 says is in the docstrings.

Headers that tests write out have a mask of zeros, so that the payload behind them can be read.
"""

from sys import getrefcount

import pytest

from tests.support.wire import (
    CLIENT,
    LIMIT,
    MASK,
    SERVER,
    ConnectionPair,
    assert_fails,
    client_end,
    client_frame,
    drain,
    hear,
    keeps_nothing,
    pieces,
    server_end,
    take,
)
from wsmiddleware.protocol.connection import MAX_EMPTY_FRAGMENTS, Connection, Ping, Pong
from wsmiddleware.protocol.errors import FramingError, TooManyFragments
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from wsmiddleware.protocol.states import State

wire = bytes.fromhex


@pytest.fixture
def server():
    return server_end()


@pytest.fixture
def client():
    return client_end()


@pytest.fixture(params=[SERVER, CLIENT], ids=["server", "client"])
def side(request):
    """Rules that hold for both ends."""
    return request.param


class TestExamplesOfSection57:
    @pytest.mark.parametrize(
        ("encoded", "expected"),
        [
            ("81 05 48 65 6c 6c 6f", ["Hello"]),
            ("01 03 48 65 6c 80 02 6c 6f", ["Hello"]),
            ("89 05 48 65 6c 6c 6f", [Ping(b"Hello")]),
            ("82 7e 01 00" + "00" * 256, [bytes(256)]),
            ("82 7f 00 00 00 00 00 01 00 00" + "00" * 65536, [bytes(65536)]),
        ],
        ids=["text", "two fragments", "ping", "256 bytes", "64 KiB"],
    )
    def test_the_client_understands_what_is_not_masked(self, client, encoded, expected):
        assert hear(client, wire(encoded)) == expected

    @pytest.mark.parametrize(
        ("encoded", "expected"),
        [
            ("81 85 37 fa 21 3d 7f 9f 4d 51 58", ["Hello"]),
            ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", [Pong(b"Hello")]),
        ],
        ids=["text", "pong"],
    )
    def test_the_server_understands_what_is_masked(self, server, encoded, expected):
        assert hear(server, wire(encoded)) == expected


class TestMessages:
    @pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 128, 65535, 65536])
    def test_of_every_form_of_length(self, side, length):
        text, data = "*" * length, b"\xfe" * length
        stream = side.peer(TEXT, text.encode()) + side.peer(BINARY, data)
        assert hear(side.make(), stream) == [text, data]
        assert hear(side.make(), *pieces(stream, 997)) == [text, data]

    def test_come_in_order_one_for_each_call(self, side):
        connection = side.make()
        connection.receive(side.peer(TEXT, b"1") + side.peer(BINARY, b"2") + side.peer(PING, b"3"))
        assert [connection.next_event() for _ in range(4)] == ["1", b"2", Ping(b"3"), None]

    def test_may_be_asked_for_again_and_again(self, side):
        connection = side.make()
        frame = side.peer(TEXT, b"Hello")
        for cut in range(len(frame)):
            connection.receive(frame + frame[:cut])
            assert [connection.next_event() for _ in range(4)] == ["Hello", None, None, None]
            connection.receive(frame[cut:])
            assert [connection.next_event() for _ in range(3)] == ["Hello", None, None]

    def test_wait_until_they_are_asked_for(self, server):
        server.receive(client_frame(TEXT, b"1") + client_frame(TEXT, b"2"))
        assert server.next_event() == "1"
        server.receive(client_frame(TEXT, b"3")[:4])
        server.receive(client_frame(TEXT, b"3")[4:])
        assert drain(server) == ["2", "3"]

    def test_come_only_when_the_last_byte_has(self, side):
        connection = side.make()
        *most, last = pieces(side.peer(TEXT, b"*" * 126), 1)
        assert hear(connection, *most) == []
        assert hear(connection, last) == ["*" * 126]

    def test_leave_nothing_behind(self, side):
        connection = side.make()
        hear(connection, side.peer(TEXT, b"*" * 1000), side.peer(BINARY, b"*", fin=False) + side.peer(CONTINUATION))
        assert keeps_nothing(connection)
        assert connection.out == b""

    def test_nothing_came(self, side):
        assert hear(side.make(), b"", b"") == []

    @pytest.mark.parametrize("mask", [bytes(4), wire("00 00 00 01"), wire("ff ff ff ff"), MASK])
    def test_masks_may_be_any_four_bytes(self, server, mask):
        assert hear(server, client_frame(TEXT, b"Hello", mask=mask)) == ["Hello"]

    def test_each_frame_has_a_mask_of_its_own(self, server):
        stream = client_frame(TEXT, b"one, ", fin=False, mask=MASK)
        stream += client_frame(PING, b"ping", mask=wire("01 02 03 04"))
        stream += client_frame(CONTINUATION, b"two", mask=wire("05 06 07 08"))
        assert hear(server, *pieces(stream, 3)) == [Ping(b"ping"), "one, two"]


class TestBorrowedData:
    """Whoever reads into the same memory again and again lends it to the connection."""

    def test_may_be_longer_than_what_came(self, side):
        connection = side.make()
        stream = side.peer(TEXT, b"one") + side.peer(TEXT, b"two")
        for size in (3, len(stream) - 3):
            connection.receive(stream[:size] + b"\xff\xff\xff", size)
            stream = stream[size:]
        assert drain(connection) == ["one", "two"]

    def test_may_hold_nothing_that_came(self, side):
        connection = side.make()
        connection.receive(b"\xff\xff\xff", 0)
        assert drain(connection) == []
        assert connection.state == State.OPEN

    @pytest.mark.parametrize("size", [1, 2, 3, 19])
    def test_is_given_back_when_there_are_no_more_events(self, side, size):
        connection, frame = side.make(), side.peer(PING, b"*" * 20)
        lent = frame[:size] + b"\xff"
        references = getrefcount(lent)
        connection.receive(lent, size)
        assert drain(connection) == []
        assert getrefcount(lent) == references
        assert hear(connection, frame[size:]) == [Ping(b"*" * 20)]

    @pytest.mark.parametrize("heard", [0, 1, 2])
    def test_is_given_back_on_request_with_events_still_in_it(self, side, heard):
        connection = side.make()
        lent = b"".join(side.peer(TEXT, text) for text in (b"one", b"two")) + b"\xff"
        references = getrefcount(lent)
        connection.receive(lent, len(lent) - 1)
        assert [connection.next_event() for _ in range(heard)] == ["one", "two"][:heard]
        connection.keep_rest()
        assert getrefcount(lent) == references
        assert drain(connection) == ["one", "two"][heard:]

    def test_of_an_end_that_reads_no_more_is_not_kept(self, side):
        connection, lent = side.make(), side.peer(TEXT, b"Hello")
        references = getrefcount(lent)
        connection.receive_eof()
        connection.receive(lent)
        connection.keep_rest()
        assert getrefcount(lent) == references
        assert drain(connection) == []


class TestFragments:
    """5.4: "The fragments of one message MUST NOT be interleaved", control frames "MAY be injected in the middle"."""

    @pytest.mark.parametrize(("opcode", "message"), [(TEXT, "Hello, world"), (BINARY, b"Hello, world")])
    def test_make_one_message(self, side, opcode, message):
        stream = (
            side.peer(opcode, b"Hello", fin=False)
            + side.peer(CONTINUATION, b", ", fin=False)
            + side.peer(CONTINUATION, b"world", fin=True)
        )
        assert hear(side.make(), stream) == [message]
        assert hear(side.make(), *pieces(stream, 1)) == [message]

    def test_let_control_frames_through_between_them(self, side):
        stream = (
            side.peer(TEXT, b"Hel", fin=False)
            + side.peer(PING, b"1")
            + side.peer(CONTINUATION, b"lo", fin=False)
            + side.peer(PONG, b"2")
            + side.peer(PING)
            + side.peer(CONTINUATION, b"!", fin=True)
            + side.peer(TEXT, b"next")
        )
        expected = [Ping(b"1"), Pong(b"2"), Ping(b""), "Hello!", "next"]
        assert hear(side.make(), stream) == expected
        assert hear(side.make(), *pieces(stream, 1)) == expected

    @pytest.mark.parametrize(
        "fragments",
        [
            [b"", b"Hello", b""],
            [b"", b"", b"Hello"],
            [b"Hello", b""],
            [b"Hel", b"", b"", b"lo"],
        ],
    )
    def test_may_be_empty(self, side, fragments):
        first, *middle, last = fragments
        stream = side.peer(TEXT, first, fin=False)
        stream += b"".join(side.peer(CONTINUATION, fragment, fin=False) for fragment in middle)
        stream += side.peer(CONTINUATION, last, fin=True)
        assert hear(side.make(), stream) == ["Hello"]

    @pytest.mark.parametrize(("opcode", "nothing"), [(TEXT, ""), (BINARY, b"")])
    def test_may_all_be_empty(self, side, opcode, nothing):
        stream = side.peer(opcode, fin=False) + side.peer(CONTINUATION, fin=False) + side.peer(CONTINUATION)
        assert hear(side.make(), stream) == [nothing]

    def test_may_not_be_empty_for_ever(self, server):
        empty = client_frame(TEXT, fin=False) + (MAX_EMPTY_FRAGMENTS - 1) * client_frame(CONTINUATION, fin=False)
        last = client_frame(CONTINUATION, b"!")
        assert hear(server, empty + last + empty + last) == ["!", "!"]
        one_more = client_frame(CONTINUATION, fin=False)
        assert_fails(SERVER, [empty, one_more], TooManyFragments, "at most 1000 empty fragments in a message")

    @pytest.mark.parametrize("fin", [True, False])
    def test_continue_nothing(self, side, fin):
        """5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other than 0"."""
        assert_fails(side, side.peer(CONTINUATION, b"x", fin=fin), FramingError, "found a continuation of none")

    def test_continue_a_message_that_has_ended(self, side):
        chunks = [
            side.peer(TEXT, b"Hel", fin=False) + side.peer(CONTINUATION, b"lo") + side.peer(BINARY, b"x"),
            side.peer(CONTINUATION, b"!"),
        ]
        assert assert_fails(side, chunks, FramingError, "found a continuation of none") == ["Hello", b"x"]

    @pytest.mark.parametrize("fin", [True, False])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("first", [b"", b"Hel"])
    def test_are_not_interrupted_by_another_message(self, side, first, opcode, fin):
        chunks = [side.peer(TEXT, first, fin=False) + side.peer(PING), side.peer(opcode, b"lo", fin=fin)]
        events = assert_fails(side, chunks, FramingError, "expected the continuation of a message, found a new one")
        assert events == [Ping(b"")]


class TestControlFrames:
    @pytest.mark.parametrize("payload", [b"", b"Hello", wire("00 ff fe fd fc fb 00 ff"), b"\xfe" * 125])
    @pytest.mark.parametrize(("opcode", "kind"), [(PING, Ping), (PONG, Pong)])
    def test_carry_up_to_125_bytes_of_anything(self, side, opcode, kind, payload):
        frame = side.peer(opcode, payload)
        assert hear(side.make(), frame) == [kind(payload)]
        assert hear(side.make(), *pieces(frame, 1)) == [kind(payload)]

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    @pytest.mark.parametrize("length", [126, 127, 65535, 65536])
    def test_are_refused_when_longer_from_their_first_two_bytes(self, side, opcode, length):
        """5.5: "All control frames MUST have a payload length of 125 bytes or less"."""
        header = side.peer(opcode, bytes(length))
        assert_fails(side, pieces(header[:2], 1), FramingError, "expected a control frame of at most 125 bytes")
        assert_fails(side, header, FramingError, "expected a control frame of at most 125 bytes")

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_are_refused_when_fragmented(self, side, opcode):
        """5.5: "and MUST NOT be fragmented"."""
        assert_fails(side, side.peer(opcode, fin=False), FramingError, "found a fragment")

    def test_pongs_need_not_be_asked_for(self, side):
        """5.5.3: "A Pong frame MAY be sent unsolicited ... A response to an unsolicited Pong frame is not expected"."""
        connection = side.make()
        assert hear(connection, side.peer(PONG) + side.peer(PONG, b"x")) == [Pong(b""), Pong(b"x")]
        assert take(connection) == b""

    def test_pings_are_answered_by_who_hears_them(self, side):
        connection = side.make()
        pings = hear(connection, b"".join(side.peer(PING, b"%d" % number) for number in range(10)))
        assert take(connection) == b""
        for ping in pings:
            connection.pong(ping.data)
        assert take(connection) == b"".join(side.own(PONG, b"%d" % number) for number in range(10))


class TestReservedBits:
    """5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"."""

    @pytest.mark.parametrize("rsv", range(1, 8))
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
    def test_are_refused_from_the_first_two_bytes(self, side, opcode, rsv):
        two, rest = side.peer(opcode, b"Hello", rsv=rsv)[:2], side.peer(PING)
        assert_fails(side, two, FramingError, f"expected reserved bits to be 0, found {rsv:03b}")
        assert_fails(side, two + rest, FramingError, f"expected reserved bits to be 0, found {rsv:03b}")

    def test_are_refused_in_a_continuation_too(self, side):
        chunks = [side.peer(TEXT, b"Hel", fin=False), side.peer(CONTINUATION, b"lo", rsv=4)]
        assert_fails(side, chunks, FramingError, "found 100")

    def test_leave_what_came_before_them(self, side):
        chunk = side.peer(TEXT, b"one") + side.peer(PING) + side.peer(TEXT, b"two", rsv=2) + side.peer(TEXT, b"three")
        assert assert_fails(side, chunk, FramingError, "found 010") == ["one", Ping(b"")]


class TestOpcodes:
    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF])
    def test_are_refused_when_unknown(self, side, opcode):
        """5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_"."""
        chunks = [side.peer(TEXT, b"Hello"), side.peer(opcode)[:1], side.peer(opcode)[1:2]]
        assert assert_fails(side, chunks, FramingError, f"expected a known opcode, found {opcode:#x}") == ["Hello"]
        assert_fails(side, side.peer(opcode, b"Hello", fin=False), FramingError, f"found {opcode:#x}")


class TestMasking:
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
    @pytest.mark.parametrize("length", [0, 5])
    def test_the_server_refuses_frames_that_are_not_masked(self, opcode, length):
        """5.1: "The server MUST close the connection upon receiving a frame that is not masked"."""
        frame = CLIENT.peer(opcode, bytes(length))
        assert_fails(SERVER, frame[:2], FramingError, "expected a client's frame to be masked")

    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
    @pytest.mark.parametrize("mask", [MASK, bytes(4)])
    def test_the_client_refuses_frames_that_are_masked(self, opcode, mask):
        """5.1: "A client MUST close a connection if it detects a masked frame"."""
        frame = client_frame(opcode, b"", mask=mask)
        assert_fails(CLIENT, frame[:2], FramingError, "expected a server's frame not to be masked")

    def test_holds_for_every_fragment(self):
        first, second = client_frame(TEXT, b"Hel", fin=False), CLIENT.peer(CONTINUATION, b"lo")
        assert_fails(SERVER, [first, second], FramingError, "to be masked")


class TestSending:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_writes_one_frame_per_message(self, side, kind):
        connection = side.make()
        connection.send_message(TEXT, kind("Käse".encode()))
        connection.send_message(BINARY, kind(wire("00 ff")))
        connection.send_message(TEXT, kind(b""))
        expected = side.own(TEXT, "Käse".encode()) + side.own(BINARY, wire("00 ff")) + side.own(TEXT)
        assert take(connection) == expected

    def test_writes_the_bytes_of_the_rfc(self, server, client):
        server.send_message(TEXT, b"Hello")
        client.send_message(TEXT, b"Hello")
        assert take(server) == wire("81 05 48 65 6c 6c 6f")
        assert take(client) == wire("81 85 37 fa 21 3d 7f 9f 4d 51 58")

    @pytest.mark.parametrize("length", [125, 126, 65535, 65536])
    def test_writes_every_form_of_length(self, side, length):
        connection = side.make()
        connection.send_message(BINARY, b"*" * length)
        assert take(connection) == side.own(BINARY, b"*" * length)

    def test_masks_each_of_the_clients_frames_anew(self):
        """5.3: "When preparing a masked frame, the client MUST pick a fresh masking key"."""
        masks = [wire("01 02 03 04"), wire("05 06 07 08"), wire("09 0a 0b 0c"), wire("0d 0e 0f 10")]
        client = client_end(new_mask=iter(masks).__next__)
        client.send_message(TEXT, b"text")
        client.ping(b"ping")
        client.pong(b"pong")
        client.close(1000)
        frames = [(TEXT, b"text"), (PING, b"ping"), (PONG, b"pong"), (CLOSE, wire("03 e8"))]
        expected = [client_frame(opcode, data, mask=mask) for (opcode, data), mask in zip(frames, masks, strict=True)]
        assert take(client) == b"".join(expected)

    def test_appends_frames_that_were_made_for_many(self, server):
        server.send_message(TEXT, b"1")
        server.send_frame(encode_frame(TEXT, b"2"))
        assert take(server) == wire("81 01 31 81 01 32")

    def test_needs_no_room_in_what_comes(self, side):
        """Sending goes on in the middle of the peer's message, and of its frame."""
        connection = side.make()
        frame = side.peer(TEXT, b"Hello")
        assert hear(connection, side.peer(BINARY, b"*", fin=False), side.peer(CONTINUATION, b"***")[:-1]) == []
        connection.send_message(TEXT, b"Hello")
        assert take(connection) == side.own(TEXT, b"Hello")
        assert hear(connection, side.peer(CONTINUATION, b"***")[-1:] + frame) == [b"****", "Hello"]


class TestPing:
    @pytest.mark.parametrize("data", [b"", b"Hello", b"*" * 125])
    def test_is_a_control_frame(self, side, data):
        connection = side.make()
        connection.ping(data)
        connection.pong(data)
        assert take(connection) == side.own(PING, data) + side.own(PONG, data)

    def test_has_no_data_by_default(self, server):
        server.ping()
        assert take(server) == wire("89 00")

    def test_has_at_most_125_bytes(self, side):
        connection = side.make()
        with pytest.raises(ValueError, match="^expected at most 125 bytes for a ping, found 126$"):
            connection.ping(bytes(126))
        assert take(connection) == b""

    def test_is_answered_with_its_own_data(self):
        """5.5.3: a pong "must have identical "Application data" as found in the message body of the Ping frame"."""
        pair = ConnectionPair()
        pair.client.ping(b"are you there?")
        assert pair.carry() == ([Ping(b"are you there?")], [])
        pair.server.pong(b"are you there?")
        assert pair.carry() == ([], [Pong(b"are you there?")])


def test_begins_open_and_silent():
    connection = Connection(max_message_size=LIMIT)
    assert connection.state == State.OPEN
    assert (connection.received, connection.sent, connection.received_first) == (None, None, None)
    assert connection.out == b""
    assert connection.next_event() is None
