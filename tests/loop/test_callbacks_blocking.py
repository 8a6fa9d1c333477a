"""Servlet style: an endpoint that blocks parks its own session, and no other."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import gevent.event
import pytest

from tests.support.loop import Message, Recorder, both_pollers, echo, narrow
from tests.support.wire import client_frame
from tests.support.wsgi import wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong
from wsmiddleware.session import Session


class Gate:
    """Lets calls pass one by one."""

    def __init__(self) -> None:
        self.waiting: list[gevent.event.Event] = []

    def wait(self, *_: object) -> None:
        """An action of a Recorder."""
        event = gevent.event.Event()
        self.waiting.append(event)
        event.wait()

    def open(self) -> None:
        """Wait until somebody waits, and let it pass."""
        wait_until(lambda: self.waiting)
        self.waiting.pop(0).set()


@pytest.fixture
def gate() -> Gate:
    return Gate()


class TestOthers:
    @both_pollers
    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_close", "on_error"])
    def test_go_on(self, serve, gate, name):
        def fail(*_: object) -> None:
            raise ValueError

        others = [serve(Recorder(on_message=echo)) for _ in range(3)]
        actions: dict[str, Callable[..., object]] = {"on_message": fail} if name == "on_error" else {}
        blocked = serve(Recorder(**{**actions, name: gate.wait}))
        blocked.peer.send("message")
        if name == "on_close":
            blocked.peer.leave()
        wait_until(lambda: gate.waiting)
        others.append(serve(Recorder(on_message=echo)))
        for text in "abc":
            for other in others:
                other.peer.send(text)
                assert other.peer.event() == text
        gate.open()

    def test_in_the_same_turn_go_on(self, serve, gate):
        recorders = [Recorder(on_message=gate.wait if number % 3 == 0 else echo) for number in range(12)]
        served = [serve(recorder) for recorder in recorders]
        gevent.sleep(0.001)
        for one in served:
            one.peer.send("message")
        for number, one in enumerate(served):
            if number % 3:
                assert one.peer.event() == "message"
        assert len(gate.waiting) == 4
        for _ in range(4):
            gate.open()

    @both_pollers
    def test_two_hundred_at_once_all_come_back(self, serve, gate):
        def wait_and_echo(session, message):
            gate.wait()
            session.send(message)

        served = [serve(Recorder(on_message=wait_and_echo)) for _ in range(200)]
        for _ in range(2):
            for number, one in enumerate(served):
                one.peer.send(str(number))
            wait_until(lambda: len(gate.waiting) == 200)
            for waiting in reversed(gate.waiting):
                waiting.set()
            gate.waiting.clear()
            for number, one in enumerate(served):
                assert one.peer.event() == str(number)

    def test_one_that_sends_to_itself_by_way_of_another_greenlet(self, serve):
        def ask(session, message):
            gevent.spawn(session.send, "from a greenlet").join()
            session.send("from the endpoint")

        served = serve(Recorder(on_message=ask))
        served.peer.send("message")
        assert served.peer.events(2) == ["from a greenlet", "from the endpoint"]


class TestMessagesMeanwhile:
    @both_pollers
    def test_come_afterwards_one_at_a_time_and_in_order(self, serve, gate):
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder)
        served.peer.send("0")
        wait_until(lambda: gate.waiting)
        for number in range(1, 10):
            served.peer.send(str(number))
            gevent.sleep(0.001)
        for number in range(10):
            wait_until(lambda: gate.waiting)
            gevent.sleep(0)
            assert len(gate.waiting) == 1  # Recorder asserts so, too.
            assert recorder.messages == [str(number) for number in range(number + 1)]
            gate.open()

    def test_come_after_on_open(self, serve, gate):
        recorder = Recorder(on_open=gate.wait)
        served = serve(recorder)
        served.peer.send("a", "b")
        wait_until(lambda: gate.waiting)
        gevent.sleep(0.01)
        assert recorder.calls == [("open",)]
        gate.open()
        wait_until(lambda: recorder.calls == [("open",), ("message", "a"), ("message", "b")])

    @both_pollers
    @pytest.mark.parametrize("queue", [1, 4])
    def test_wait_at_the_client_when_there_are_too_many(self, serve, gate, queue):
        block: list[Callable[..., object]] = [gate.wait]
        recorder = Recorder(on_message=lambda *call: block[0](*call))
        served = serve(recorder, Settings(receive_queue=queue), connect=narrow)
        data = served.peer.frames(b"x" * 1000)
        sent = 0

        def peer_is_blocked() -> bool:
            nonlocal sent
            written = served.peer.write_some(data[sent % len(data) :])
            sent += written
            for _ in range(3):
                gevent.sleep(0.001)
            return not written

        wait_until(peer_is_blocked)
        assert len(recorder.messages) == 1
        # What is on the way, a buffer's worth that has been read, and the queue.
        assert sent < 2 * 64 * 1024 + queue * len(data)
        block[0] = lambda *_: None
        gate.open()
        total = sent // len(data) + 1
        served.peer.write(data[sent % len(data) :])
        wait_until(lambda: len(recorder.messages) >= total)
        assert recorder.messages == [b"x" * 1000] * total

    def test_cost_nothing_once_they_wait_at_the_client(self, serve, gate):
        # Nothing asks again and again whether there is room.
        served = serve(Recorder(on_message=gate.wait), Settings(receive_queue=1))
        served.peer.send(*"abcdef")
        wait_until(lambda: gate.waiting)
        gevent.sleep(0.01)
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1

        check = gevent.get_hub().loop.check()
        check.start(count)
        gevent.sleep(0.05)
        check.stop()
        check.close()
        for _ in range(6):
            gate.open()
        assert turns < 20

    def test_of_the_rest_of_a_batch_do_not_wait_for_more(self, serve, gate):
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder, Settings(receive_queue=2))
        served.peer.send(*"abcdefgh")
        for _ in range(8):
            gate.open()
        wait_until(lambda: recorder.returned == 9)
        assert recorder.messages == [*"abcdefgh"]


class TestControlFramesMeanwhile:
    @both_pollers
    def test_pings_are_answered(self, serve, gate):
        served = serve(Recorder(on_message=gate.wait))
        served.peer.send("block")
        wait_until(lambda: gate.waiting)
        for data in (b"a", b"b"):
            served.peer.ping(data)
            assert served.peer.event() == Pong(data)
        gate.open()

    def test_pings_right_behind_the_message_are_answered(self, serve, gate):
        served = serve(Recorder(on_message=gate.wait))
        served.peer.write(client_frame(0x1, b"block") + client_frame(0x9, b"?"))
        assert served.peer.event() == Pong(b"?")
        gate.open()

    def test_pings_between_waiting_messages_are_answered(self, serve, gate):
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder)
        served.peer.write(client_frame(0x1, b"a") + client_frame(0x1, b"b") + client_frame(0x9, b"?"))
        assert served.peer.event() == Pong(b"?")
        assert recorder.messages == ["a"]
        gate.open()
        gate.open()

    @pytest.mark.parametrize("at_once", [True, False])
    def test_a_close_is_answered_and_known(self, serve, gate, at_once):
        told = []
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder)
        served.session.add_end_callback(lambda: told.append("hub"))
        if at_once:
            served.peer.write(client_frame(0x1, b"block") + client_frame(0x8, b"\x03\xe9"))
        else:
            served.peer.send("block")
            wait_until(lambda: gate.waiting)
            served.peer.start_close(1001)
        assert served.peer.read_exactly(4) == b"\x88\x02\x03\xe9"
        assert served.session.close_event.cause is CloseCause.CLIENT_LEFT
        assert told == ["hub"]
        assert recorder.calls == [("open",), ("message", "block")]
        gate.open()
        assert recorder.event is served.session.close_event

    def test_a_close_behind_more_messages_than_wait_is_known_when_they_are_gone(self, serve, gate):
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder, Settings(receive_queue=2))
        served.peer.write(served.peer.frames(*"abcdefgh") + client_frame(0x8, b"\x03\xe9"))
        for number in range(8):
            wait_until(lambda: gate.waiting)
            assert len(recorder.messages) == number + 1
            gate.open()
        assert recorder.event.cause is CloseCause.CLIENT_LEFT


class TestClose:
    """A close while the endpoint is in a callback, and messages wait."""

    def close_while_busy(self, serve, gate, close: Callable[[Session], None], *behind: Message) -> Recorder:
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder, Settings(receive_queue=2, close_timeout=60))
        served.peer.send("a", *behind)
        wait_until(lambda: gate.waiting)
        gevent.sleep(0.01)
        close(served.session)
        assert served.peer.event() == Close(4000)
        wait_until(lambda: served.session.close_event)
        assert recorder.messages == ["a"]
        gate.open()
        assert recorder.event
        return recorder

    @pytest.mark.parametrize("behind", [(), ("b",), tuple("bcdefgh")])
    def test_drops_the_messages_that_wait(self, serve, gate, behind):
        recorder = self.close_while_busy(serve, gate, lambda session: session.close(4000), *behind)
        assert recorder.messages == ["a"]
        assert recorder.event.clean
        assert (recorder.event.cause, recorder.event.code) == (CloseCause.SERVER_CLOSED, 4000)

    @pytest.mark.parametrize("answer_waits", [True, False])
    def test_sees_a_close_frame_that_had_come_behind_waiting_messages(self, serve, gate, answer_waits):
        # The client will not send another one, and may wait for ours.
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder, Settings(receive_queue=2, close_timeout=0.1 if answer_waits else 60))
        served.peer.write(served.peer.frames(*"abcdefgh") + client_frame(0x8, b"\x03\xe9"))
        wait_until(lambda: gate.waiting)
        gevent.sleep(0.01)
        served.session.close(4000)
        event = served.event
        assert (event.cause, event.code, event.received) == (CloseCause.SERVER_CLOSED, 4000, Close(1001))
        assert event.clean
        if answer_waits:
            served.wait_closed()
        gate.open()
        assert recorder.event is event
        assert recorder.messages == ["a"]

    def test_by_the_client_lets_the_waiting_messages_come(self, serve, gate):
        recorder = Recorder(on_message=gate.wait)
        served = serve(recorder)
        served.peer.send("a", "b")
        served.peer.start_close()
        wait_until(lambda: gate.waiting)
        event = served.event
        gate.open()
        gate.open()
        assert recorder.event is event
        assert recorder.calls == [("open",), ("message", "a"), ("message", "b"), ("close", event)]

    def test_makes_the_running_call_s_send_raise(self, serve, gate):
        def wait_and_send(session, message):
            gate.wait()
            session.send("late")

        recorder = Recorder(on_message=wait_and_send)
        served = serve(recorder)
        served.peer.send("message")
        wait_until(lambda: gate.waiting)
        served.peer.leave()
        assert served.event
        gate.open()
        assert recorder.event is served.event
        assert recorder.event.error is None

    def test_of_a_session_whose_endpoint_waits_in_send_lets_it_go(self, serve):
        def flood(session, message):
            try:
                while True:
                    session.send(bytes(4096))
            except ConnectionClosed as closed:
                caught.append(closed)
                raise

        caught: list[ConnectionClosed] = []
        recorder = Recorder(on_message=flood)
        served = serve(recorder, Settings(send_queue=8192, close_timeout=0.05), connect=narrow)
        served.peer.send("flood")
        wait_until(lambda: served.session.buffered >= 8192)
        served.session.close()
        assert recorder.event.cause is CloseCause.SERVER_CLOSED
        assert len(caught) == 1


class TestDone:
    def test_comes_after_the_last_callback(self, serve, gate):
        recorder = Recorder(on_close=gate.wait)
        served = serve(recorder)
        served.peer.leave()
        wait_until(lambda: gate.waiting)
        served.wait_closed()
        gevent.sleep(0.01)
        assert served.done == []
        gate.open()
        served.wait()
        assert recorder.returned == 2

    def test_comes_after_the_descriptor_is_closed(self, serve):
        recorder = Recorder()
        served = serve(recorder, Settings(close_timeout=60))
        served.peer.start_close()
        assert recorder.event
        gevent.sleep(0.01)
        assert recorder.returned == 2
        assert served.done == []
        served.leave()


def test_a_session_is_closed_for_idleness_although_its_endpoint_blocks(serve, gate):
    recorder = Recorder(on_open=gate.wait)
    served = serve(recorder, Settings(idle_timeout=0.1, close_timeout=0.05))
    assert served.event.cause is CloseCause.IDLE_TIMEOUT
    gate.open()
    assert recorder.event is served.event
