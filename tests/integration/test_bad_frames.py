"""Clients that break the protocol or stop playing along: each gets a clear answer, and harms nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.logs import logged
from tests.support.talk import BINARY, CLOSE, PING, PONG, TEXT, Logs, pages, talk
from tests.support.wire import MASK, client_frame, frame, pieces
from tests.support.wsgi import Server, wait_until
from wsmiddleware import CloseCause, CloseEvent, Endpoint, Session, WebSocketMiddleware

LIMIT = 1000

CONTINUATION = 0x0
EURO = "€".encode()


class Echo(Endpoint):
    """Echoes, and remembers how its sessions ended."""

    events: list[CloseEvent] = []

    def on_message(self, session: Session, message: str | bytes) -> None:
        session.send(message)

    def on_close(self, session: Session, event: CloseEvent) -> None:
        self.events.append(event)


class Case:
    """One misbehaving client, its session's end, and somebody else who just wants to go on."""

    def __init__(self, server: Server) -> None:
        Echo.events.clear()
        self.logs = Logs(server)
        self.bystander = talk(server, "/bystander")
        self.bad = talk(server, "/bad")

    @property
    def event(self) -> CloseEvent:
        wait_until(lambda: Echo.events)
        (event,) = Echo.events
        return event

    def fails(self, data: bytes, code: int, reason: str) -> CloseEvent:
        """Send *data*, and expect to be told *code* and *reason*, and then nothing more."""
        self.bad.write(data)
        found, text = self.bad.receive_close()
        assert (found, reason in text) == (code, True), f"{found} {text!r}"
        assert self.bad.receive() is None
        event = self.event
        assert (event.code, event.reason, event.clean, event.received) == (code, text, False, None)
        assert event.initiator == "server"
        return event


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = WebSocketMiddleware(pages, max_message_size=LIMIT)
    app.register("/bad", Echo)
    app.register("/bystander", lambda session: [session.send(message) for message in session])
    with Server(app) as server:
        yield server


@pytest.fixture
def case(server, caplog) -> Iterator[Case]:
    case = Case(server)
    yield case
    case.bad.client.close()
    assert case.event
    with case.bystander as bystander:
        assert bystander.echoes()
    assert logged(caplog) == []
    assert case.logs.errors == ""
    assert case.logs.accesses == [("GET /bystander HTTP/1.1", "101"), ("GET /bad HTTP/1.1", "101")]


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


class TestFraming:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            pytest.param(frame(TEXT, b"hello"), "to be masked", id="unmasked text"),
            pytest.param(frame(PING), "to be masked", id="unmasked ping"),
            pytest.param(frame(CLOSE, close_payload(1000)), "to be masked", id="unmasked close"),
            *(
                pytest.param(client_frame(opcode), f"a known opcode, found {opcode:#x}", id=f"opcode {opcode:#x}")
                for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)
            ),
            *(
                pytest.param(client_frame(TEXT, b"x", rsv=rsv), f"reserved bits to be 0, found {rsv:03b}", id=f"{rsv=}")
                for rsv in (1, 2, 4, 7)
            ),
            pytest.param(client_frame(PING, rsv=4), "reserved bits to be 0, found 100", id="reserved bit of a ping"),
            *(
                pytest.param(client_frame(opcode, bytes(126)), "at most 125 bytes", id=f"126 bytes in {opcode:#x}")
                for opcode in (CLOSE, PING, PONG)
            ),
            pytest.param(b"\x89\xff" + bytes(12), "at most 125 bytes", id="a ping with a long length"),
            *(
                pytest.param(client_frame(opcode, b"x", fin=False), "in one piece", id=f"a fragment of {opcode:#x}")
                for opcode in (CLOSE, PING, PONG)
            ),
            pytest.param(client_frame(CONTINUATION, b"x"), "a continuation of none", id="continuation of nothing"),
            pytest.param(
                client_frame(TEXT, b"a", fin=False) + client_frame(TEXT, b"b"),
                "expected the continuation of a message, found a new one",
                id="a message within a message",
            ),
            pytest.param(b"\x82\xfe\x00\x7d" + MASK, "the shortest form", id="125 in the form for longer ones"),
            pytest.param(b"\x82\xff" + (65535).to_bytes(8, "big") + MASK, "the shortest form", id="65535 likewise"),
            pytest.param(b"\x82\xff" + bytes([0x80] * 8) + MASK, "a length of 63 bits", id="64 bits of length"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "reserved bits", id="HTTP"),
        ],
    )
    def test_of_another_kind_is_a_protocol_error(self, case, data, reason):
        event = case.fails(data, 1002, reason)
        assert event.cause is CloseCause.PROTOCOL_ERROR

    def test_is_an_error_after_all_that_was_right(self, case):
        case.bad.write(client_frame(TEXT, b"right") + client_frame(PING, b"too") + frame(TEXT, b"wrong"))
        assert [case.bad.receive(), case.bad.receive()] == [(0x81, b"right"), (0x8A, b"too")]
        assert case.bad.receive_close()[0] == 1002
        assert case.bad.receive() is None

    def test_control_frames_may_come_between_fragments(self, case):
        case.bad.send(PING, b"alone")
        case.bad.write(client_frame(TEXT, b"frag", fin=False) + client_frame(PING, b"between"))
        case.bad.write(client_frame(CONTINUATION, b"", fin=False) + client_frame(PONG, b"unasked for"))
        case.bad.write(client_frame(CONTINUATION, b"ments"))
        assert [case.bad.receive() for _ in range(3)] == [(0x8A, b"alone"), (0x8A, b"between"), (0x81, b"fragments")]


class TestText:
    @pytest.mark.parametrize(
        "frames",
        [
            pytest.param([client_frame(TEXT, b"\xff")], id="a byte that UTF-8 has not"),
            pytest.param([client_frame(TEXT, EURO[:2])], id="cut short"),
            pytest.param([client_frame(TEXT, b"\xc0\xaf")], id="not the shortest form"),
            pytest.param([client_frame(TEXT, b"\xed\xa0\x80")], id="a surrogate"),
            pytest.param([client_frame(TEXT, b"\xf4\x90\x80\x80")], id="beyond Unicode"),
            pytest.param(
                [client_frame(TEXT, EURO[:1], fin=False), client_frame(CONTINUATION, b"x")],
                id="a character broken at a frame's end",
            ),
            pytest.param(
                [client_frame(TEXT, EURO[:2], fin=False), client_frame(CONTINUATION)], id="cut short at a frame's end"
            ),
            pytest.param(
                [client_frame(TEXT, EURO[:1], fin=False), client_frame(PING), client_frame(CONTINUATION, EURO[:1])],
                id="a character begun twice",
            ),
            pytest.param([client_frame(TEXT, b"fine\xff", fin=False)], id="wrong before the message is whole"),
            pytest.param([client_frame(TEXT, b"\xff" + bytes(900))[:20]], id="wrong before the frame is whole"),
        ],
    )
    def test_that_is_not_utf8_ends_the_session(self, case, frames):
        for data in frames[:-1]:
            case.bad.write(data)
            if data == client_frame(PING):
                assert case.bad.receive() == (0x8A, b"")
        assert case.fails(frames[-1], 1007, "expected a text message to be UTF-8").cause is CloseCause.PROTOCOL_ERROR

    def test_may_be_cut_anywhere(self, case):
        text = "aé€😀".encode()
        data = [client_frame(TEXT, fin=False)]
        data += [client_frame(CONTINUATION, text[i : i + 1], fin=False) for i in range(len(text))]
        for piece in pieces(b"".join([*data, client_frame(CONTINUATION)]), 3):
            case.bad.write(piece)
        assert case.bad.receive() == (0x81, text)

    def test_binary_may_be_anything(self, case):
        case.bad.send(BINARY, b"\xff\xfe")
        assert case.bad.receive() == (0x82, b"\xff\xfe")


class TestSize:
    def test_at_the_limit_passes(self, case):
        case.bad.send(BINARY, bytes(LIMIT))
        assert case.bad.receive() == (0x82, bytes(LIMIT))
        case.bad.write(client_frame(TEXT, b"x" * 999, fin=False) + client_frame(CONTINUATION, b"x"))
        assert case.bad.receive() == (0x81, b"x" * LIMIT)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(client_frame(BINARY, bytes(LIMIT + 1)), id="in one frame"),
            pytest.param(client_frame(TEXT, EURO * 333 + b"xx"), id="in characters fewer, in bytes one more"),
            pytest.param(client_frame(BINARY, bytes(LIMIT + 1))[:8], id="as the header tells before it comes"),
            pytest.param(
                client_frame(BINARY, bytes(LIMIT), fin=False) + client_frame(CONTINUATION, b"x"), id="in fragments"
            ),
            pytest.param(
                client_frame(BINARY, bytes(LIMIT), fin=False)
                + client_frame(PING, bytes(125))
                + client_frame(CONTINUATION, b"x", fin=False),
                id="in fragments of which there would be more",
            ),
            pytest.param(b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big") + MASK, id="of 8 EiB"),
        ],
    )
    def test_one_byte_over_it_is_too_much(self, case, data):
        if client_frame(PING, bytes(125)) in data:
            begin, end = data.split(client_frame(PING, bytes(125)))
            case.bad.write(begin + client_frame(PING, bytes(125)))
            assert case.bad.receive() == (0x8A, bytes(125))
            data = end
        event = case.fails(data, 1009, "expected a message of at most 1000 bytes, found ")
        assert event.cause is CloseCause.MESSAGE_TOO_BIG

    def test_is_counted_for_each_message_anew(self, case):
        for _ in range(10):
            case.bad.send(BINARY, bytes(LIMIT))
            assert case.bad.receive() == (0x82, bytes(LIMIT))

    def test_fragments_without_content_are_limited_too(self, case):
        many = client_frame(BINARY, fin=False) + 1_000_000 * client_frame(CONTINUATION, fin=False)
        case.fails(many, 1008, "expected at most 1000 empty fragments in a message")


class TestClosing:
    @pytest.mark.parametrize(
        ("payload", "code", "reason"),
        [
            pytest.param(b"\x03", 1002, "found one byte", id="one byte"),
            *(
                pytest.param(close_payload(code), 1002, f"found {code}", id=str(code))
                for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
            ),
            pytest.param(close_payload(1000, b"\xff"), 1007, "reason to be UTF-8", id="reason not UTF-8"),
            pytest.param(close_payload(1000, EURO[:2]), 1007, "reason to be UTF-8", id="reason cut short"),
        ],
    )
    def test_with_what_may_not_be_sent_is_an_error(self, case, payload, code, reason):
        assert case.fails(client_frame(CLOSE, payload), code, reason).cause is CloseCause.PROTOCOL_ERROR

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 1014, 3000, 4999])
    def test_with_what_may_be_sent_is_answered_with_the_same_code(self, case, code):
        case.bad.send(CLOSE, close_payload(code, b"bye"))
        assert case.bad.receive_close() == (code, "")
        assert case.bad.receive() is None
        assert (case.event.code, case.event.reason, case.event.clean) == (code, "bye", True)
        expected = CloseCause.CLIENT_LEFT if code == 1001 else CloseCause.CLIENT_CLOSED
        assert (case.event.cause, case.event.initiator) == (expected, "client")

    def test_without_a_code_is_answered_without_one(self, case):
        case.bad.send(CLOSE)
        assert case.bad.receive() == (0x88, b"")
        assert case.bad.receive() is None
        assert (case.event.code, case.event.clean) == (1005, True)

    @pytest.mark.parametrize(
        "garbage",
        [
            pytest.param(client_frame(TEXT, b"one more thing"), id="a message"),
            pytest.param(client_frame(CLOSE, close_payload(1002)), id="another close"),
            pytest.param(b"\xff" * 100_000, id="bytes of any kind"),
        ],
    )
    def test_is_the_last_thing_that_is_heard(self, case, garbage):
        case.bad.write(client_frame(CLOSE, close_payload(1000)) + garbage)
        assert case.bad.receive_close() == (1000, "")
        assert case.bad.receive() is None
        assert (case.event.cause, case.event.clean) == (CloseCause.CLIENT_CLOSED, True)

    def test_garbage_may_come_later_too(self, case):
        case.bad.send(CLOSE, close_payload(1000))
        assert case.bad.receive_close() == (1000, "")
        case.bad.write(b"\xff" * 100_000)
        assert case.bad.receive() is None

    def test_what_follows_a_failure_is_not_heard(self, case):
        case.bad.write(frame(TEXT) + client_frame(TEXT, b"one more thing") + b"\xff" * 100_000)
        assert case.bad.receive_close()[0] == 1002
        assert case.bad.receive() is None
        assert case.event.cause is CloseCause.PROTOCOL_ERROR


class TestVanishing:
    @pytest.mark.parametrize(
        "beginning",
        [
            pytest.param(b"", id="between frames"),
            pytest.param(client_frame(TEXT, b"hello")[:1], id="in a header"),
            pytest.param(client_frame(TEXT, b"hello")[:4], id="in a mask"),
            pytest.param(client_frame(TEXT, b"hello")[:8], id="in a payload"),
            pytest.param(client_frame(TEXT, b"hello", fin=False), id="between fragments"),
            pytest.param(client_frame(CLOSE, close_payload(1000))[:7], id="in a close frame"),
        ],
    )
    @pytest.mark.parametrize("how", ["end", "reset"])
    def test_is_a_lost_network(self, case, beginning, how):
        case.bad.write(beginning)
        if how == "end":
            case.bad.client.close()
        else:
            case.bad.client.reset()
        event = case.event
        assert (event.cause, event.code, event.initiator) == (CloseCause.NETWORK_LOST, 1006, "network")
        assert (event.clean, event.received, event.sent) == (False, None, None)
        if how == "end":
            assert event.error is None

    def test_with_an_answer_on_its_way(self, case):
        for _ in range(100):
            case.bad.send(BINARY, bytes(LIMIT))
        case.bad.client.reset()
        assert case.event.cause is CloseCause.NETWORK_LOST

    def test_in_the_closing_handshake_leaves_the_cause_as_it_was(self, case):
        case.bad.send(CLOSE, close_payload(1001))
        case.bad.client.reset()
        assert case.event.cause is CloseCause.CLIENT_LEFT


def test_all_of_this_is_true_over_tls(caplog: pytest.LogCaptureFixture) -> None:
    app = WebSocketMiddleware(pages, max_message_size=LIMIT)
    app.register("/bad", Echo)
    app.register("/bystander", lambda session: [session.send(message) for message in session])
    bad: list[tuple[Any, int]] = [
        (frame(TEXT), 1002),
        (client_frame(TEXT, b"\xff"), 1007),
        (client_frame(BINARY, bytes(LIMIT + 1)), 1009),
        (client_frame(CLOSE, b"x"), 1002),
        (client_frame(CLOSE, close_payload(1000)) + b"\xff" * 100_000, 1000),
    ]
    with Server(app, tls=True) as server, talk(server, "/bystander") as bystander:
        logs = Logs(server)
        Echo.events.clear()
        for data, code in bad:
            with talk(server, "/bad") as session:
                session.write(data)
                assert session.receive_close()[0] == code
                assert session.receive() is None
            assert bystander.echoes()
        talk(server, "/bad").client.reset()
        wait_until(lambda: len(Echo.events) == len(bad) + 1)
        assert Echo.events[-1].cause is CloseCause.NETWORK_LOST
        assert bystander.echoes()
    assert logged(caplog) == []
    assert server.error_log.getvalue() == ""
    assert {status for _, status in logs.accesses} == {"101"}
