"""What goes out: when it leaves, in how many writes, and what happens when the client does not read."""

from __future__ import annotations

import gevent
import gevent.event
import pytest

from tests.support.loop import SMALL, Moment, Recorder, Served, both_pollers, echo, narrow, packets
from tests.support.wire import Events, client_end, client_frame, frame, hear
from tests.support.wsgi import PATIENCE, in_thread, wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong
from wsmiddleware.session import Session

QUEUE = 64 * 1024
"""Bytes of the send queues here: more than a narrow connection holds."""

SOON = Settings(send_queue=QUEUE, close_timeout=0.1)

CHUNK = bytes(SMALL)


def events_of(data: bytes) -> Events:
    """Return what *data* is for a client."""
    return hear(client_end(), data)


def send_many(session: Session) -> None:
    for _ in range(100):
        session.send(CHUNK)


class Sender:
    """A greenlet that sends as much as it can, until it is told to stop."""

    def __init__(self, served: Served, count: int = 100) -> None:
        self.sent = 0
        self._session = served.session
        self._count = count
        self.greenlet = gevent.spawn(self._send)

    def _send(self) -> BaseException | None:
        try:
            while self.sent < self._count:
                self._session.send(CHUNK)
                self.sent += 1
        except ConnectionClosed as closed:
            return closed
        return None

    def wait_until_blocked(self) -> None:
        wait_until(lambda: self._session.buffered >= QUEUE)
        sent = self.sent
        for _ in range(10):
            gevent.sleep(0)
        gevent.sleep(0.001)
        assert self.sent == sent < self._count


class TestWhatIsSent:
    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("text", frame(0x1, b"text")),
            ("", frame(0x1)),
            ("\N{SNOWMAN}", frame(0x1, "\N{SNOWMAN}".encode())),
            (b"bytes", frame(0x2, b"bytes")),
            (bytearray(b"bytearray"), frame(0x2, b"bytearray")),
            (memoryview(b"memoryview"), frame(0x2, b"memoryview")),
            (memoryview(b"every second")[::2], frame(0x2, b"every second"[::2])),
            (memoryview(b"12345678").cast("i"), frame(0x2, b"12345678")),
            (b"x" * 126, frame(0x2, b"x" * 126)),
            (b"x" * 65536, frame(0x2, b"x" * 65536)),
        ],
    )
    def test_is_one_frame(self, serve, style, message, expected):
        served = serve(style(Recorder()))
        served.session.send(message)
        assert served.peer.read_exactly(len(expected)) == expected
        assert served.session.buffered == 0

    def test_may_be_changed_afterwards(self, serve, style):
        served = serve(style(Recorder()))
        message = bytearray(b"before")
        served.session.send(message)
        message[:] = b"after!"
        assert served.peer.event() == b"before"

    @pytest.mark.parametrize("message", [None, 1, ["text"], {"text": 1}], ids=type)
    def test_is_text_or_bytes(self, serve, style, message):
        served = serve(style(Recorder()))
        with pytest.raises(TypeError, match=f"expected .* str or bytes, found {type(message).__name__}"):
            served.session.send(message)

    def test_is_text_that_utf_8_can_express(self, serve, style):
        served = serve(style(Recorder(on_message=echo)))
        with pytest.raises(UnicodeEncodeError):
            served.session.send("\ud800")
        served.peer.send("still open")
        assert served.peer.event() == "still open"


class TestWhenItLeaves:
    """A packet is what one write has written."""

    @both_pollers
    def test_answers_to_a_batch_leave_in_one_write(self, serve, style):
        served = serve(style(Recorder(on_message=echo)), connect=packets)
        for _ in range(3):
            messages = [str(number) for number in range(16)]
            served.peer.send(*messages)
            assert served.peer.read() == b"".join(frame(0x1, message.encode()) for message in messages)

    def test_answers_and_pongs_leave_in_one_write(self, serve, style):
        served = serve(style(Recorder(on_message=echo)), connect=packets)
        gevent.sleep(0)
        served.peer.write(client_frame(0x1, b"a") + client_frame(0x9) + client_frame(0x1, b"b"))
        assert sorted(map(str, events_of(served.peer.read()))) == sorted(["a", "b", str(Pong(b""))])

    @both_pollers
    def test_what_many_send_to_another_in_one_turn_leaves_in_one_write(self, serve, style):
        other = serve(Recorder(), connect=packets)
        senders = [serve(style(Recorder(on_message=lambda _, text: other.session.send(text)))) for _ in range(3)]
        gevent.sleep(0.001)
        for sender in senders:
            sender.peer.send("a", "b")
        assert other.peer.read() == (frame(0x1, b"a") + frame(0x1, b"b")) * 3

    def test_what_is_offered_to_many_in_one_turn_leaves_with_one_write_each(self, serve, style):
        def publish(session, text):
            for member in members:
                member.session.offer(frame(0x1, text.encode()))

        members = [serve(Recorder(), connect=packets) for _ in range(20)]
        sender = serve(style(Recorder(on_message=publish)))
        gevent.sleep(0.001)
        sender.peer.send(*"abc")
        for member in members:
            assert member.peer.read() == frame(0x1, b"a") + frame(0x1, b"b") + frame(0x1, b"c")

    def test_outside_of_a_turn_it_leaves_by_itself(self, serve, style):
        served = serve(style(Recorder()), connect=packets)
        served.session.send("a")
        assert served.peer.read() == frame(0x1, b"a")
        gevent.spawn(served.session.send, "b")
        assert served.peer.read() == frame(0x1, b"b")
        gevent.get_hub().loop.run_callback(served.session.offer, frame(0x1, b"c"))
        assert served.peer.read() == frame(0x1, b"c")

    def test_outside_of_a_turn_it_leaves_in_one_write_when_the_greenlet_waits(self, serve, style):
        served = serve(style(Recorder()), connect=packets)
        for text in "abc":
            served.session.send(text)
        assert served.peer.read() == frame(0x1, b"a") + frame(0x1, b"b") + frame(0x1, b"c")

    @both_pollers
    @pytest.mark.parametrize("name", ["on_open", "on_message"])
    def test_before_an_endpoint_blocks_it_leaves(self, serve, style, name):
        def act(session, *_):
            session.send("before")
            go_on.wait()
            session.send("between")
            go_on_again.wait()
            session.send("after")

        go_on, go_on_again = gevent.event.Event(), gevent.event.Event()
        served = serve(style(Recorder(**{name: act})), connect=packets)
        served.peer.send("message")
        assert served.peer.read() == frame(0x1, b"before")
        go_on.set()
        assert served.peer.read() == frame(0x1, b"between")
        go_on_again.set()
        assert served.peer.read() == frame(0x1, b"after")

    def test_in_on_close_it_is_too_late(self, serve, style):
        def send(session, event):
            with pytest.raises(ConnectionClosed) as closed:
                session.send("late")
            assert closed.value.event is event

        recorder = Recorder(on_close=send)
        served = serve(style(recorder))
        served.peer.start_close()
        assert served.peer.rest() == [Close(1000)]
        assert recorder.returned == 2


class TestBackpressure:
    @both_pollers
    def test_send_waits_until_the_client_reads(self, serve, style):
        served = serve(style(Recorder()), SOON, connect=narrow)
        sender = Sender(served)
        sender.wait_until_blocked()
        assert served.peer.events(100) == [CHUNK] * 100
        sender.greenlet.join()
        wait_until(lambda: served.session.buffered == 0)

    def test_send_waits_in_an_endpoint(self, serve, style):
        def flood(session, message):
            for number in range(100):
                session.send(CHUNK + b"%d" % number)

        recorder = Recorder(on_message=flood)
        served = serve(style(recorder), SOON, connect=narrow)
        served.peer.send("flood", "flood")
        wait_until(lambda: served.session.buffered >= QUEUE)
        assert recorder.messages == ["flood"]
        expected = [CHUNK + b"%d" % number for number in range(100)]
        assert served.peer.events(200) == expected * 2

    def test_many_senders_go_on(self, serve, style):
        served = serve(style(Recorder()), SOON, connect=narrow)
        senders = [Sender(served, 20) for _ in range(10)]
        senders[0].wait_until_blocked()
        assert served.peer.events(200) == [CHUNK] * 200
        gevent.joinall([sender.greenlet for sender in senders], PATIENCE)
        assert [sender.sent for sender in senders] == [20] * 10

    def test_the_queue_is_never_longer_than_one_message_more(self, serve, style):
        served = serve(style(Recorder()), SOON, connect=narrow)
        senders = [Sender(served, 20) for _ in range(10)]
        most = 0
        while not all(sender.greenlet.dead for sender in senders):
            most = max(most, served.session.buffered)
            served.peer.read_now()
            gevent.sleep(0)
        assert QUEUE <= most < QUEUE + SMALL + 10

    def test_buffered_is_what_has_not_left(self, serve):
        served = serve(Recorder(), SOON, connect=narrow)
        assert served.session.buffered == 0
        served.session.send("12345678")
        assert served.session.buffered == 10
        assert served.peer.event() == "12345678"
        assert served.session.buffered == 0
        sender = Sender(served)
        sender.wait_until_blocked()
        buffered = served.session.buffered
        sender.greenlet.kill()
        on_the_way = sender.sent * len(frame(0x2, CHUNK)) - buffered
        assert 0 < on_the_way
        assert served.peer.events(sender.sent) == [CHUNK] * sender.sent
        assert served.session.buffered == 0

    def test_who_has_stopped_waiting_is_not_woken_later_in_another_place(self, serve):
        def send_for_a_moment():
            with Moment(0.01):
                while True:
                    served.session.send(CHUNK)
            return gevent.event.Event().wait(0.1)

        served = serve(Recorder(), SOON, connect=narrow)
        greenlet = gevent.spawn(send_for_a_moment)
        wait_until(lambda: served.session.buffered >= QUEUE)
        gevent.sleep(0.02)
        while not greenlet.dead:
            served.peer.read_now()
            gevent.sleep(0.001)
        assert greenlet.get() is False  # Anything else that wakes it makes gevent raise InvalidSwitchError.

    def test_what_was_given_up_is_not_sent_in_part(self, serve):
        served = serve(Recorder(), Settings(send_queue=QUEUE, close_timeout=60), connect=narrow)
        sender = Sender(served)
        sender.wait_until_blocked()
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
            while True:
                served.session.send(b"x" * SMALL)
        sender.greenlet.kill()
        served.session.close()
        *messages, close = served.peer.rest()
        assert {*messages} <= {CHUNK, b"x" * SMALL}
        assert close == Close(1000)

    def test_messages_wait_while_the_answer_to_another_does(self, serve):
        recorder = Recorder(on_message=lambda session, message: session.send(CHUNK * 20))
        served = serve(recorder, Settings(receive_queue=4), connect=narrow)
        served.peer.send("give me much")
        wait_until(lambda: served.session.buffered)
        for _ in range(9):
            served.peer.send("give me more")
            gevent.sleep(0.001)
        assert recorder.messages == ["give me much"]
        assert served.peer.events(10) == [CHUNK * 20] * 10

    def test_messages_that_waited_come_whoever_makes_room(self, serve):
        # Not only when the system says that there is room: another greenlet that sends may find it first.
        def make_room() -> bool:
            served.peer.read_now()
            served.session.send(b"")
            return len(recorder.messages) == 4

        recorder = Recorder(on_message=lambda session, message: session.send(CHUNK * 20))
        served = serve(recorder, Settings(receive_queue=2), connect=narrow)
        served.peer.send("one")
        wait_until(lambda: served.session.buffered)
        served.peer.send("two", "three", "four")
        gevent.sleep(0.01)
        assert recorder.messages == ["one"]
        wait_until(make_room)
        assert recorder.messages == ["one", "two", "three", "four"]

    def test_reading_goes_on_whoever_makes_room(self, serve):
        def act(session, message):
            if message == "a":
                go_on.wait()
            elif message == "b":
                session.send(CHUNK * 20)
                gevent.sleep(0)

        def make_room() -> bool:
            served.peer.read_now()
            if not served.session.buffered:
                return True
            served.session.send(b"")
            return False

        go_on = gevent.event.Event()
        recorder = Recorder(on_message=act)
        served = serve(recorder, Settings(receive_queue=1), connect=narrow)
        served.peer.send("a", "b")
        wait_until(lambda: recorder.messages)
        gevent.sleep(0.001)  # "b" fills the queue, so that nothing more is read.
        go_on.set()
        wait_until(lambda: recorder.returned == 3)
        wait_until(make_room)
        served.peer.send("c")
        wait_until(lambda: recorder.messages == ["a", "b", "c"])

    def test_a_thread_waits_too(self, serve):
        served = serve(Recorder(), SOON, connect=narrow)
        sending = in_thread(lambda: [served.session.send(CHUNK) for _ in range(100)])
        wait_until(lambda: served.session.buffered >= QUEUE)
        assert served.peer.events(100) == [CHUNK] * 100
        assert len(sending()) == 100


class TestTheEndOfASlowClient:
    def test_close_returns_at_once_and_the_end_comes_in_time(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), SOON, connect=narrow)
        sender = Sender(served)
        sender.wait_until_blocked()
        served.session.close(4000)
        assert served.session.buffered >= QUEUE
        event = recorder.event
        assert (event.cause, event.code, event.clean) == (CloseCause.SERVER_CLOSED, 4000, False)
        assert isinstance(sender.greenlet.get(), ConnectionClosed)
        served.wait()
        assert served.session.buffered == 0

    def test_close_lets_go_at_once_of_who_waits_in_send(self, serve, style):
        served = serve(style(Recorder()), Settings(send_queue=QUEUE, close_timeout=60), connect=narrow)
        sender = Sender(served)
        sender.wait_until_blocked()
        served.session.close()
        error = sender.greenlet.get()
        assert isinstance(error, ConnectionClosed) and error.event is None
        assert served.session.close_event is None

    def test_close_from_an_endpoint_that_has_filled_the_queue(self, serve, style):
        def flood_and_close(session, message):
            with Moment(0.02):
                while True:
                    session.send(CHUNK)
            session.close()

        recorder = Recorder(on_message=flood_and_close)
        served = serve(style(recorder), SOON, connect=narrow)
        served.peer.send("go")
        assert recorder.event.cause is CloseCause.SERVER_CLOSED
        served.wait()

    @pytest.mark.parametrize("end", ["leave", "reset", "end_output"])
    def test_who_waits_in_send_learns_of_the_end(self, serve, style, end):
        served = serve(style(Recorder(on_message=lambda session, message: send_many(session))), SOON, connect=narrow)
        sender = Sender(served)
        served.peer.send("go")
        sender.wait_until_blocked()
        getattr(served.peer, end)()
        assert isinstance(sender.greenlet.get(), ConnectionClosed)
        assert served.event.cause is CloseCause.NETWORK_LOST
        served.wait()

    def test_who_never_waits_learns_that_the_connection_is_broken(self, serve, style):
        served = serve(style(Recorder()), SOON, connect=narrow)
        served.session.send(CHUNK)
        gevent.sleep(0.001)
        served.peer.reset()
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(10_000):
                served.session.send(CHUNK)
        assert closed.value.event.cause is CloseCause.NETWORK_LOST

    def test_what_was_sent_before_the_client_closed_is_written_if_it_reads(self, serve, style):
        served = serve(style(Recorder()), Settings(send_queue=QUEUE, close_timeout=60), connect=narrow)
        sender = Sender(served)
        sender.wait_until_blocked()
        served.peer.start_close()
        events = served.peer.rest()
        assert events == [CHUNK] * sender.sent + [Close(1000)]

    def test_pings_of_who_does_not_read_cost_no_memory(self, serve, style):
        served = serve(style(Recorder()), connect=narrow)
        pings = client_frame(0x9, bytes(125)) * 1000
        most = 0
        for _ in range(20):
            served.peer.write(pings)
            most = max(most, served.session.buffered)
        assert 0 < most < 3 * 64 * 1024
        served.peer.write(client_frame(0x9, b"the last"))
        last = None
        while last != Pong(b"the last"):
            last = served.peer.event()
            assert last in (Pong(bytes(125)), Pong(b"the last"))


class TestOffer:
    def test_sends_whole_frames_in_order(self, serve, style):
        served = serve(style(Recorder()))
        served.session.offer(frame(0x1, b"a"))
        served.session.send("b")
        served.session.offer(frame(0x2, b"c"))
        assert served.peer.events(3) == ["a", "b", b"c"]

    def test_never_waits_and_closes_who_is_too_slow(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), SOON, connect=narrow)
        while served.session.close_event is None:
            served.session.offer(frame(0x2, CHUNK))
        event = recorder.event
        assert (event.cause, event.code, event.initiator) == (CloseCause.SLOW_CONSUMER, 1013, "server")
        assert event.reason.startswith(f"expected at most {QUEUE} bytes waiting to be read, found ")
        served.session.offer(frame(0x2, CHUNK))

    def test_asks_the_system_before_it_calls_somebody_slow(self, serve):
        served = serve(Recorder(), SOON, connect=narrow)
        while served.session.buffered < QUEUE:
            served.session.offer(frame(0x2, CHUNK))
        served.session.offer(frame(0x1, b"last"))
        while (event := served.peer.event()) == CHUNK:
            pass
        assert event == "last"

    def test_ignores_a_session_that_is_over(self, serve, style):
        served = serve(style(Recorder()))
        served.leave()
        served.session.offer(frame(0x1, b"late"))
        assert served.session.buffered == 0

    def test_raises_nothing_when_the_connection_turns_out_to_be_broken(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), SOON, connect=narrow)
        gevent.sleep(0.001)
        while served.session.buffered < QUEUE:
            served.session.offer(frame(0x2, CHUNK))
        served.peer.reset()
        served.session.offer(frame(0x2, CHUNK))
        assert recorder.event.cause is CloseCause.NETWORK_LOST

    def test_of_threads_keep_their_order(self, serve, style):
        served = serve(style(Recorder()))
        in_thread(lambda: [served.session.offer(frame(0x1, b"%d" % number)) for number in range(100)])()
        served.session.offer(frame(0x1, b"100"))
        assert served.peer.events(101) == [str(number) for number in range(101)]
