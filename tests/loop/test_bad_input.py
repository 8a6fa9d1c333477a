"""Bytes that nobody sends by accident, and clients that stop playing along: the whole channel, not only its parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import gevent.event
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hostile import HOSTILE_LIMIT, conversations, hostile_streams, mutated
from tests.support.loop import (
    Message,
    Peer,
    Recorder,
    Served,
    Service,
    both_pollers,
    byte_by_byte,
    echo,
    narrow,
    packets,
)
from tests.support.wire import Events, client_end, client_frame, frame, hear, pieces
from tests.support.wsgi import wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.system import READ_SIZE
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Failed, Pong
from wsmiddleware.session import Session

CUT_EVERYWHERE = 80
"""Bytes of the streams that are cut at every position: each cut costs a session."""


class Deliberate(Exception):
    """An endpoint's error."""


def answer(session: Session, message: Message) -> None:
    with suppress(ConnectionClosed):
        session.send(message)


def block(session: Session, message: Message) -> None:
    gevent.sleep(0)
    answer(session, message)


def close(session: Session, message: Message) -> None:
    session.close(4000)


def fail(session: Session, message: Message) -> None:
    raise Deliberate


class Attack:
    """A client that sends some chunks, each of which arrives alone, and then nothing more."""

    def __init__(
        self, serve: Service, style: Callable[[Recorder], Any], action: Callable[..., object], chunks: Iterable[bytes]
    ) -> None:
        """The first chunk comes with the handshake's request."""
        early, *rest = chunks
        self.ends = 0
        self.action = action
        self.recorder = Recorder(on_message=action)
        self.served: Served = serve(
            style(self.recorder),
            Settings(max_message_size=HOSTILE_LIMIT, receive_queue=2),
            connect=packets,
            early=early,
        )
        self.served.session.add_end_callback(self.note_end)
        for chunk in rest:
            self.served.peer.write(chunk)
        self.served.peer.end_output()

    def note_end(self) -> None:
        self.ends += 1

    def outcome(self) -> tuple[object, ...]:
        """Wait for the end and check it; return what must not depend on how the stream was cut."""
        heard = hear(client_end(), self.served.peer.raw_rest())
        self.served.leave()
        event = self.served.event
        assert self.ends == 1
        self.check_calls()
        closes = [item for item in heard if isinstance(item, Close)]
        assert not any(isinstance(item, Failed) for item in heard)
        assert closes == heard[-1:] * len(closes)
        assert closes in ([], [event.sent])  # Who has ended its side need not be told any more.
        error = event.error and (type(event.error), str(event.error))
        return self.recorder.messages, event.cause, event.received, event.sent, event.received_first, error

    def check_calls(self) -> None:
        names = [call[0] for call in self.recorder.calls]
        assert names[0] == "open"
        assert "close" not in names[:-1]
        if names[-1] != "close":  # A function that raises does not get to it.
            assert self.action is fail and self.recorder.messages


@contextmanager
def forgotten(serve: Service) -> Iterator[None]:
    """Let go of the sessions of one example: there are many examples in a test."""
    try:
        yield
    finally:
        serve.clean_up()
        serve.served.clear()


def wire_of(conversation: tuple[list[tuple[int, bytes, bool]], Events]) -> bytes:
    return b"".join(client_frame(opcode, payload, fin=fin) for opcode, payload, fin in conversation[0])


attacks = (hostile_streams(masked=True) | mutated(conversations().map(wire_of)) | st.binary()).map(
    lambda stream: stream[:CUT_EVERYWHERE]
)


class TestAnyBytes:
    """The fixture asserts that no error of ours is logged."""

    @pytest.mark.parametrize("action", [answer, block, close, fail])
    @given(stream=attacks)
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_end_the_session_once_wherever_they_are_cut(self, serve, style, action, stream):
        cuts = [[stream[:cut], stream[cut:]] for cut in range(1, len(stream))]
        ways = [[stream], [b"", stream], [b"", *pieces(stream, 1)], *cuts]
        with forgotten(serve):
            outcomes = [attack.outcome() for attack in [Attack(serve, style, action, way) for way in ways]]
        if action is answer:  # What the others do depends on what has come until then.
            assert outcomes == outcomes[:1] * len(ways)


class TestByteByByte:
    """Whatever goes in at once comes out piece by piece, in both directions."""

    MESSAGES = ["text", b"binary", "", "\N{SNOWMAN}" * 3, b"x" * 300]

    def test_messages_come_and_go(self, serve, style):
        served = serve(style(Recorder(on_message=echo)), connect=byte_by_byte)
        served.peer.send(*self.MESSAGES)
        assert served.peer.events(5) == self.MESSAGES

    def test_messages_come_and_go_although_the_client_does_so_too(self, serve, style):
        served = serve(style(Recorder(on_message=echo)), connect=byte_by_byte)
        for byte in pieces(served.peer.frames(*self.MESSAGES), 1):
            served.peer.write(byte)
        expected = b"".join(
            frame(0x1, message.encode()) if isinstance(message, str) else frame(0x2, message)
            for message in self.MESSAGES
        )
        assert b"".join(served.peer.read(1) for _ in expected) == expected

    def test_pings_and_the_close_are_answered_whole(self, serve, style):
        recorder = Recorder(on_message=echo)
        served = serve(style(recorder), connect=byte_by_byte)
        served.peer.ping(b"?")
        served.peer.send("message")
        served.peer.start_close(1001, "bye")
        assert sorted(map(str, served.peer.rest())) == sorted([str(Pong(b"?")), "message", str(Close(1001))])
        assert recorder.event.clean

    def test_a_message_waits_until_the_answer_to_another_has_left(self, serve, style):
        def answer_at_length(session: Session, message: Message) -> None:
            session.send(bytes(1000))
            lengths.append(session.buffered)

        lengths: list[int] = []
        served = serve(style(Recorder(on_message=answer_at_length)), Settings(send_queue=100), connect=byte_by_byte)
        served.peer.send("one", "two", "three")
        assert served.peer.events(3) == [bytes(1000)] * 3
        assert max(lengths) <= 100 + len(frame(0x2, bytes(1000)))


def fill_the_inbox(served: Served) -> None:
    """Send so much that nothing more is read."""
    served.peer.send(*["message"] * 50)


def turns_of(hub: Any, condition: Callable[[], bool]) -> int:
    """Return how often the hub has looked for what is ready, until *condition* has been true for a while."""
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    wait_until(condition)
    for _ in range(5):  # What was on its way comes.
        gevent.sleep(0.001)
    check = hub.loop.check()
    check.start(count)
    gevent.sleep(0.05)
    check.stop()
    check.close()
    return turns


class TestNothingSpins:
    """A descriptor that is ready for ever must not be looked at for ever: that would take the whole processor."""

    FEW = 20

    @both_pollers
    @pytest.mark.parametrize("finish", [Peer.reset, Peer.leave, Peer.end_output, Peer.start_close])
    @pytest.mark.parametrize("before", [lambda served: None, fill_the_inbox], ids=["idle", "full inbox"])
    def test_when_the_client_is_gone_while_the_endpoint_blocks(self, serve, style, finish, before):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda *_: go_on.wait())
        served = serve(style(recorder), Settings(receive_queue=2))
        served.peer.send("block")
        wait_until(lambda: recorder.messages)
        before(served)
        finish(served.peer)
        assert turns_of(serve.loop.hub, lambda: before is fill_the_inbox or served.session.close_event) < self.FEW
        go_on.set()
        served.peer.leave()
        served.wait()

    @both_pollers
    @pytest.mark.parametrize("finish", [Peer.reset, Peer.leave, Peer.end_output, lambda peer: None])
    def test_when_the_client_is_gone_while_there_was_much_to_write(self, serve, style, finish):
        go_on = gevent.event.Event()

        def flood(session: Session, message: Message) -> None:
            session.send(bytes(1 << 20))
            go_on.wait()

        recorder = Recorder(on_message=flood)
        served = serve(style(recorder), Settings(receive_queue=2), connect=narrow)
        served.peer.send(*["message"] * 10)
        wait_until(lambda: recorder.messages)
        finish(served.peer)
        assert turns_of(serve.loop.hub, lambda: True) < self.FEW
        go_on.set()
        served.peer.leave()
        served.wait()

    @both_pollers
    def test_when_it_ends_its_side_only_after_the_close(self, serve, style):
        served = serve(style(Recorder()), Settings(close_timeout=60))
        served.peer.start_close()
        assert served.peer.raw_rest() == frame(0x8, b"\x03\xe8")
        assert turns_of(serve.loop.hub, lambda: True) < self.FEW


class TestPingsWithoutEnd:
    """From a client that reads none of the answers."""

    @pytest.mark.parametrize(("size", "at_once"), [(0, 15_000), (125, 500)])
    def test_cost_little_memory_and_nobody_else_a_turn_while_the_endpoint_blocks(self, serve, style, size, at_once):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda *_: go_on.wait())
        served = serve(style(recorder), connect=narrow)
        other = serve(style(Recorder(on_message=echo)))
        served.peer.send("block")
        wait_until(lambda: recorder.messages)
        pings = client_frame(0x9, bytes(size)) * at_once
        most = 0
        for number in range(20):
            served.peer.write(pings)
            most = max(most, served.session.buffered)
            other.peer.send(str(number))
            assert other.peer.event() == str(number)
        # At most one read's worth of them is answered before it shows that nobody takes the answers.
        assert most <= READ_SIZE
        go_on.set()
        served.peer.reset()
        assert recorder.event.cause is CloseCause.NETWORK_LOST

    def test_within_a_message_do_so_neither(self, serve, style):
        served = serve(style(Recorder()), connect=narrow)
        served.peer.write(client_frame(0x1, b"begun", fin=False))
        most = 0
        for _ in range(30):
            served.peer.write((client_frame(0x9, bytes(125)) + client_frame(0x0, b"-", fin=False)) * 150)
            most = max(most, served.session.buffered)
        assert most <= READ_SIZE
        assert served.session.close_event is None
