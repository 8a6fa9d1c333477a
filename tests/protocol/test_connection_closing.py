"""How a connection ends: the closing handshake from either side, failures, and the end of the stream."""

import pytest

from tests.support.wire import (
    CLIENT,
    SERVER,
    ConnectionPair,
    assert_fails,
    client_frame,
    drain,
    hear,
    keeps_nothing,
    pieces,
    server_end,
    take,
)
from wsmiddleware.protocol.close import Close
from wsmiddleware.protocol.connection import Failed, Ping
from wsmiddleware.protocol.errors import FramingError, InvalidText, MessageTooBig, TooManyFragments
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from wsmiddleware.protocol.states import MOVES, Move, State

wire = bytes.fromhex

NORMAL = wire("03 e8")
"""Code 1000 in a close frame."""

ENDED = [State.CLOSED, State.FAILED, State.LOST]


@pytest.fixture
def server():
    return server_end()


@pytest.fixture(params=[SERVER, CLIENT], ids=["server", "client"])
def side(request):
    """Rules that hold for both ends."""
    return request.param


def connection_in(state, side=SERVER):
    """A connection that has got to *state* and has nothing left to write."""
    connection = side.make()
    if state == State.CLOSING:
        connection.close(1000)
    elif state == State.CLOSED:
        hear(connection, side.peer(CLOSE, NORMAL))
    elif state == State.FAILED:
        connection.fail(1011, "")
    elif state == State.LOST:
        connection.receive_eof()
    assert connection.state == state
    take(connection)
    return connection


def facts(connection):
    return connection.received, connection.sent, connection.received_first


class TestClosedByThePeer:
    @pytest.mark.parametrize(
        ("payload", "close"),
        [
            (b"", Close(1005)),
            (NORMAL, Close(1000)),
            (wire("03 e9"), Close(1001)),
            (wire("0b b8") + "tschüß".encode(), Close(3000, "tschüß")),
            (NORMAL + b"*" * 123, Close(1000, "*" * 123)),
        ],
        ids=["no code", "1000", "1001", "3000", "longest reason"],
    )
    def test_is_answered_with_the_same_code(self, side, payload, close):
        """5.5.1: "the endpoint typically echos the status code it received"."""
        connection = side.make()
        assert hear(connection, *pieces(side.peer(CLOSE, payload), 1)) == [close]
        assert connection.state == State.CLOSED
        assert facts(connection) == (close, Close(close.code), True)
        assert take(connection) == side.own(CLOSE, payload[:2])

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
    def test_with_any_code_that_may_be_sent(self, side, code):
        connection = side.make()
        assert hear(connection, side.peer(CLOSE, code.to_bytes(2, "big") + b"why")) == [Close(code, "why")]
        assert take(connection) == side.own(CLOSE, code.to_bytes(2, "big"))

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
    def test_with_a_code_that_may_not_be_sent(self, side, code):
        frame = side.peer(CLOSE, code.to_bytes(2, "big") + b"why")
        assert_fails(side, frame, FramingError, f"expected a close code that may be sent, found {code}")

    def test_with_half_a_code(self, side):
        assert_fails(side, side.peer(CLOSE, b"\x03"), FramingError, "found one byte")

    @pytest.mark.parametrize("reason", ["ff", "c3", "62 79 65 ed a0 80", "ce ba e1 bd b9 f4 90 80 80"])
    def test_with_a_reason_that_is_not_utf8(self, side, reason):
        assert_fails(side, side.peer(CLOSE, NORMAL + wire(reason)), InvalidText, "a close frame's reason to be UTF-8")

    def test_with_a_reason_that_is_too_long(self, side):
        assert_fails(side, side.peer(CLOSE, NORMAL + b"*" * 124), FramingError, "at most 125 bytes")

    def test_comes_after_what_was_sent_before(self, side):
        connection = side.make()
        stream = side.peer(TEXT, b"last words") + side.peer(PING) + side.peer(CLOSE, NORMAL)
        assert hear(connection, stream) == ["last words", Ping(b""), Close(1000)]

    def test_ends_a_message_that_is_not_whole(self, side):
        connection = side.make()
        hear(connection, side.peer(TEXT, b"Hel", fin=False))
        assert hear(connection, side.peer(CLOSE) + side.peer(CONTINUATION, b"lo")) == [Close(1005)]
        assert keeps_nothing(connection)

    @pytest.mark.parametrize("size", [1, 1000])
    def test_ends_all_reading(self, side, size):
        """1.4: "a peer discards any further data received", whatever it is."""
        connection = side.make()
        after = [
            side.peer(CLOSE, NORMAL),
            side.peer(PING, b"ping"),
            side.peer(TEXT, b"text"),
            side.peer(TEXT, wire("ff")),
            side.peer(3, rsv=7),
            b"\xff" * 100,
        ]
        stream = side.peer(CLOSE, NORMAL) + b"".join(after)
        assert hear(connection, *pieces(stream, size)) == [Close(1000)]
        assert hear(connection, *after) == []
        assert connection.state == State.CLOSED
        assert take(connection) == side.own(CLOSE, NORMAL)
        assert keeps_nothing(connection)

    def test_lets_what_was_sent_before_go_out_first(self, server):
        server.send_message(TEXT, b"Hello")
        hear(server, client_frame(CLOSE, NORMAL))
        assert take(server) == wire("81 05") + b"Hello" + wire("88 02 03 e8")


class TestClosedByUs:
    @pytest.mark.parametrize(
        ("code", "reason", "payload"),
        [
            (1000, "", NORMAL),
            (1001, "bye", wire("03 e9") + b"bye"),
            (4999, "tschüß", wire("13 87") + "tschüß".encode()),
            (1000, "ü" * 61 + "u", NORMAL + "ü".encode() * 61 + b"u"),
            (1005, "", b""),
        ],
        ids=["1000", "1001", "4999", "longest reason", "no code"],
    )
    def test_sends_a_close_frame_and_waits(self, side, code, reason, payload):
        connection = side.make()
        connection.close(code, reason)
        assert take(connection) == side.own(CLOSE, payload)
        assert connection.state == State.CLOSING
        assert facts(connection) == (None, Close(code, reason), False)

    def test_is_done_when_the_peer_has_answered(self, side):
        connection = connection_in(State.CLOSING, side)
        assert hear(connection, side.peer(CLOSE, NORMAL + b"ok")) == [Close(1000, "ok")]
        assert connection.state == State.CLOSED
        assert facts(connection) == (Close(1000, "ok"), Close(1000), False)
        assert take(connection) == b""
        assert hear(connection, b"garbage") == []

    def test_goes_on_reading_until_then(self, side):
        """What the peer sent before it heard of the end is still for the application."""
        connection = side.make()
        hear(connection, side.peer(TEXT, b"Hel", fin=False))
        connection.close(1000)
        assert hear(connection, side.peer(CONTINUATION, b"lo") + side.peer(BINARY, b"x")) == ["Hello", b"x"]
        assert hear(connection, side.peer(CLOSE)) == [Close(1005)]

    def test_still_answers_pings_until_then(self, side):
        """5.5.2: "MUST send a Pong frame in response, unless it already received a Close frame"."""
        connection = connection_in(State.CLOSING, side)
        assert hear(connection, side.peer(PING, b"ping")) == [Ping(b"ping")]
        connection.pong(b"ping")
        assert take(connection) == side.own(PONG, b"ping")

    def test_fails_if_the_peer_breaks_a_rule_instead_and_says_nothing_more(self, side):
        connection = connection_in(State.CLOSING, side)
        (event,) = hear(connection, side.peer(3) + side.peer(CLOSE, NORMAL))
        assert isinstance(event, Failed) and type(event.error) is FramingError
        assert connection.state == State.FAILED
        assert facts(connection) == (None, Close(1000), False)
        assert take(connection) == b""

    def test_fails_if_the_answer_is_no_good(self, side):
        connection = connection_in(State.CLOSING, side)
        (event,) = hear(connection, side.peer(CLOSE, wire("03 ed")))
        assert isinstance(event, Failed) and type(event.error) is FramingError
        assert facts(connection) == (None, Close(1000), False)
        assert take(connection) == b""

    @pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536])
    def test_refuses_a_code_that_may_not_be_sent(self, side, code):
        connection = side.make()
        with pytest.raises(ValueError, match=f"^expected a close code that may be sent .*, found {code}$"):
            connection.close(code)
        assert facts(connection) == (None, None, None)
        assert (connection.state, take(connection)) == (State.OPEN, b"")

    @pytest.mark.parametrize(
        ("reason", "found"),
        [
            ("*" * 124, "found 124"),
            ("ü" * 62, "found 124"),
            ("\udc80", "surrogates not allowed"),
        ],
    )
    def test_refuses_a_reason_that_does_not_fit(self, side, reason, found):
        connection = side.make()
        with pytest.raises(ValueError, match=f"{found}$"):
            connection.close(1000, reason)
        assert facts(connection) == (None, None, None)
        assert (connection.state, take(connection)) == (State.OPEN, b"")

    def test_refuses_a_reason_without_a_code(self, server):
        """7.1.6: the reason is "data following the status code (Section 7.4)"; without one it has no place."""
        with pytest.raises(ValueError, match="^expected "):
            server.close(1005, "reason")
        assert facts(server) == (None, None, None)

    @pytest.mark.parametrize("state", [State.CLOSING, *ENDED])
    def test_happens_once(self, side, state):
        connection = connection_in(state, side)
        before = facts(connection)
        with pytest.raises(RuntimeError, match=f"^expected an open connection .*, found one that is {state.name}$"):
            connection.close(1001)
        assert (connection.state, facts(connection), take(connection)) == (state, before, b"")


class TestClosedByBothAtOnce:
    def test_is_one_closing_handshake(self):
        pair = ConnectionPair()
        pair.server.close(1001, "restart")
        pair.client.close(1000, "done")
        assert pair.carry() == ([Close(1000, "done")], [Close(1001, "restart")])
        assert pair.server.state == pair.client.state == State.CLOSED
        assert facts(pair.server) == (Close(1000, "done"), Close(1001, "restart"), False)
        assert facts(pair.client) == (Close(1001, "restart"), Close(1000, "done"), False)

    @pytest.mark.parametrize("first", ["server", "client"])
    def test_unlike_one_after_the_other(self, first):
        pair = ConnectionPair()
        one, other = (pair.server, pair.client) if first == "server" else (pair.client, pair.server)
        one.close(4000, "enough")
        pair.carry()
        assert one.state == other.state == State.CLOSED
        assert facts(one) == (Close(4000), Close(4000, "enough"), False)
        assert facts(other) == (Close(4000, "enough"), Close(4000), True)


class TestFailed:
    @pytest.mark.parametrize(
        ("stream", "error", "code"),
        [
            (wire("81 05") + b"Hello", FramingError, 1002),
            (wire("83 80 00 00 00 00"), FramingError, 1002),
            (wire("88 81 00 00 00 00 03"), FramingError, 1002),
            (wire("88 83 00 00 00 00 03 e8 ff"), InvalidText, 1007),
            (wire("81 81 00 00 00 00 ff"), InvalidText, 1007),
            (wire("01 80 00 00 00 00") + 1000 * wire("00 80 00 00 00 00"), TooManyFragments, 1008),
            (wire("82 ff 00 00 00 00 00 10 00 01 00 00 00 00"), MessageTooBig, 1009),
        ],
        ids=["not masked", "opcode", "close", "reason", "text", "fragments", "size"],
    )
    def test_tells_the_peer_why(self, stream, error, code):
        """7.1.7: the endpoint "SHOULD send a Close frame with an appropriate status code"."""
        assert_fails(SERVER, stream, error)
        assert error.code == code

    def test_is_the_last_event(self, side):
        connection = side.make()
        chunk = side.peer(TEXT, b"one") + side.peer(3) + side.peer(TEXT, b"two") + side.peer(CLOSE, NORMAL)
        *before, failed = hear(connection, chunk, chunk)
        assert before == ["one"]
        assert isinstance(failed, Failed)
        assert connection.next_event() is None
        assert keeps_nothing(connection)

    @pytest.mark.parametrize("state", [State.OPEN, State.CLOSING])
    def test_by_us_reads_no_more(self, side, state):
        connection = connection_in(state, side)
        hear(connection, side.peer(BINARY, b"*" * 10, fin=False))
        connection.receive(side.peer(TEXT, b"waits to be asked for"))
        connection.fail(1013, "too slow")
        assert connection.state == State.FAILED
        assert drain(connection) == hear(connection, side.peer(TEXT, b"more"), side.peer(CLOSE, NORMAL)) == []
        assert keeps_nothing(connection)
        assert connection.received is None

    def test_by_us_tells_the_peer(self, side):
        connection = side.make()
        connection.fail(1013, "too slow")
        assert facts(connection) == (None, Close(1013, "too slow"), False)
        assert take(connection) == side.own(CLOSE, wire("03 f5") + b"too slow")

    def test_by_us_does_not_say_goodbye_twice(self, side):
        connection = connection_in(State.CLOSING, side)
        connection.fail(1013, "too slow")
        assert facts(connection) == (None, Close(1000), False)
        assert take(connection) == b""

    @pytest.mark.parametrize(
        ("reason", "sent"),
        [
            ("*" * 123, "*" * 123),
            ("*" * 124, "*" * 123),
            ("ü" * 62, "ü" * 61),
            ("*" + "𝄞" * 31, "*" + "𝄞" * 30),
            ("", ""),
        ],
        ids=["fits", "one byte over", "two-byte characters", "four-byte characters", "empty"],
    )
    def test_by_us_sends_as_much_of_the_reason_as_fits(self, side, reason, sent):
        connection = side.make()
        connection.fail(1011, reason)
        assert connection.sent == Close(1011, sent)
        assert take(connection) == side.own(CLOSE, wire("03 f3") + sent.encode())

    @pytest.mark.parametrize("state", ENDED)
    def test_by_us_changes_nothing_that_has_ended(self, side, state):
        connection = connection_in(state, side)
        before = facts(connection)
        connection.fail(1011, "too late")
        assert (connection.state, facts(connection), take(connection)) == (state, before, b"")


class TestEndOfTheStream:
    @pytest.mark.parametrize("state", [State.OPEN, State.CLOSING])
    def test_before_the_closing_handshake_is_a_loss(self, side, state):
        connection = connection_in(state, side)
        before = facts(connection)
        connection.receive_eof()
        assert connection.state == State.LOST
        assert (facts(connection), take(connection)) == (before, b"")
        assert hear(connection, side.peer(TEXT, b"more")) == []

    @pytest.mark.parametrize("state", ENDED)
    def test_afterwards_changes_nothing(self, side, state):
        connection = connection_in(state, side)
        before = facts(connection)
        connection.receive_eof()
        connection.receive_eof()
        assert (connection.state, facts(connection), take(connection)) == (state, before, b"")

    @pytest.mark.parametrize("missing", [1, 2, 3])
    def test_in_the_middle_of_a_frame_keeps_nothing(self, side, missing):
        connection = side.make()
        stream = side.peer(TEXT, b"Hel", fin=False) + side.peer(CONTINUATION, b"lo")[:-missing]
        assert hear(connection, stream) == []
        connection.receive_eof()
        assert drain(connection) == []
        assert keeps_nothing(connection)


class TestNotOpen:
    @pytest.mark.parametrize("state", [State.CLOSING, *ENDED])
    @pytest.mark.parametrize(
        "send",
        [
            lambda connection: connection.send_message(TEXT, b"x"),
            lambda connection: connection.send_message(BINARY, b"x"),
            lambda connection: connection.send_frame(wire("81 00")),
            lambda connection: connection.ping(),
        ],
        ids=["text", "binary", "frame", "ping"],
    )
    def test_nothing_can_be_sent(self, state, send):
        """5.5.1: "The application MUST NOT send any more data frames after sending a Close frame"."""
        connection = connection_in(state)
        with pytest.raises(RuntimeError, match=f"^expected an open connection .*, found one that is {state.name}$"):
            send(connection)
        assert take(connection) == b""

    @pytest.mark.parametrize("state", ENDED)
    def test_a_ping_that_came_too_late_needs_no_answer(self, side, state):
        connection = connection_in(state, side)
        connection.pong(b"x")
        assert take(connection) == b""


class TestMoves:
    """The table that the tests above go through, seen as a whole."""

    @pytest.mark.parametrize("state", [State.OPEN, State.CLOSING])
    def test_a_failure_and_a_loss_may_come_at_any_time_before_the_end(self, state):
        assert MOVES[state, Move.FAIL] is State.FAILED
        assert MOVES[state, Move.RECEIVE_EOF] is State.LOST

    def test_nothing_leads_back_or_out_of_an_end(self):
        assert all(before < after for (before, _), after in MOVES.items())
        assert {before for before, _ in MOVES} == {State.OPEN, State.CLOSING}
