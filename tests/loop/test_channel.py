"""A channel's bytes: what comes in, what the end looks like on the wire, and the descriptor."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import gevent
import pytest

from tests.support.loop import Peer, Recorder, Served, Service, both_pollers, echo, packets, tcp_sockets
from tests.support.wire import client_frame, frame, pieces
from tests.support.wsgi import wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong
from wsmiddleware.protocol.states import State

BRIEF = 0.05
"""Seconds: a timeout that is going to be reached."""

SHORT = Settings(close_timeout=BRIEF)
LONG = Settings(close_timeout=60)
"""Where what happens must not be due to a timeout."""


class TestMessages:
    @both_pollers
    def test_come_as_what_they_were_sent_as(self, serve, style):
        recorder = Recorder(on_message=echo)
        served = serve(style(recorder))
        messages = ["text", b"binary", "", b"", "\N{SNOWMAN}", bytes(range(256)), "x" * 200, b"y" * 70_000]
        served.peer.send(*messages)
        assert served.peer.events(len(messages)) == messages
        assert recorder.messages == messages

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_come_whole_although_their_bytes_come_in_pieces(self, serve, style, size):
        recorder = Recorder()
        served = serve(style(recorder))
        messages = ["one", "two" * 50, b"three"]
        for piece in pieces(served.peer.frames(*messages), size):
            served.peer.write(piece)
            gevent.sleep(0)
        wait_until(lambda: len(recorder.messages) == 3)
        assert recorder.messages == messages

    def test_come_whole_although_they_were_sent_in_fragments(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder))
        served.peer.write(client_frame(0x1, b"be", fin=False) + client_frame(0x9) + client_frame(0x0, b"gin"))
        wait_until(lambda: recorder.messages)
        assert recorder.messages == ["begin"]

    def test_of_the_greatest_size_allowed_pass(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), Settings(max_message_size=300_000))
        served.peer.send(b"x" * 300_000)
        wait_until(lambda: recorder.messages)
        served.peer.send(b"x" * 300_001)
        assert recorder.event.cause is CloseCause.MESSAGE_TOO_BIG
        assert [len(message) for message in recorder.messages] == [300_000]

    def test_before_a_mistake_come_and_those_after_it_do_not(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder))
        served.peer.write(served.peer.frames("before") + frame(0x1, b"not masked") + served.peer.frames("after"))
        assert recorder.event.cause is CloseCause.PROTOCOL_ERROR
        assert recorder.messages == ["before"]

    @pytest.mark.parametrize("finish", [Peer.leave, Peer.end_output, Peer.reset, Peer.start_close])
    def test_before_the_end_come_all(self, serve, style, finish):
        recorder = Recorder()
        served = serve(style(recorder))
        messages = [str(number) for number in range(100)]
        served.peer.send(*messages)
        finish(served.peer)
        assert recorder.event
        assert recorder.messages == messages

    @pytest.mark.parametrize("finish", [Peer.leave, Peer.end_output, Peer.reset, Peer.start_close])
    @pytest.mark.parametrize("queue", [3, 100])
    def test_before_the_end_come_all_although_the_endpoint_is_busy(self, serve, style, finish, queue):
        def block(session, message):
            if message == "0":
                go_on.wait()

        go_on = gevent.event.Event()
        recorder = Recorder(on_message=block)
        served = serve(style(recorder), Settings(receive_queue=queue))
        messages = [str(number) for number in range(50)]
        served.peer.send(*messages)
        finish(served.peer)
        wait_until(lambda: recorder.messages)
        if queue > 50:
            assert served.event
        go_on.set()
        assert recorder.event
        assert recorder.messages == messages


class TestEarlyBytes:
    """What came right behind the handshake's request."""

    def test_come_after_on_open(self, serve, style):
        recorder = Recorder(on_message=echo)
        served = serve(style(recorder), early=client_frame(0x1, b"early"))
        served.peer.send("later")
        assert served.peer.events(2) == ["early", "later"]
        assert recorder.calls == [("open",), ("message", "early"), ("message", "later")]

    def test_may_end_in_the_middle_of_a_frame(self, serve, style):
        recorder = Recorder()
        data = client_frame(0x1, b"one") + client_frame(0x1, b"two")
        for cut in range(len(data)):
            recorder.calls.clear()
            served = serve(style(recorder), early=data[:cut])
            served.peer.write(data[cut:])
            wait_until(lambda: len(recorder.messages) == 2)
            assert recorder.calls == [("open",), ("message", "one"), ("message", "two")]

    def test_may_be_many(self, serve, style):
        recorder = Recorder(on_message=lambda session, message: gevent.sleep(0))
        messages = [str(number) for number in range(50)]
        serve(style(recorder), early=b"".join(client_frame(0x1, message.encode()) for message in messages))
        wait_until(lambda: len(recorder.messages) == 50)
        assert recorder.messages == messages

    def test_may_close(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), early=client_frame(0x1, b"early") + client_frame(0x8, b"\x03\xe8"))
        assert served.peer.rest() == [Close(1000)]
        assert recorder.calls == [("open",), ("message", "early"), ("close", recorder.event)]

    def test_are_not_lost_when_the_stream_ends_while_the_endpoint_is_busy(self, serve, style):
        go_on = gevent.event.Event()
        recorder = Recorder(on_open=lambda session: go_on.wait())
        served = serve(style(recorder), early=client_frame(0x1, b"early"))
        served.peer.leave()
        assert served.event.cause is CloseCause.NETWORK_LOST
        go_on.set()
        assert recorder.calls == [("open",), ("message", "early"), ("close", recorder.event)]

    @pytest.mark.parametrize(
        ("early", "answer"),
        [(client_frame(0x9, b"?"), frame(0xA, b"?")), (client_frame(0x8, b"\x03\xe9"), frame(0x8, b"\x03\xe9"))],
        ids=["ping", "close"],
    )
    def test_are_answered_while_the_endpoint_is_busy(self, serve, style, early, answer):
        go_on = gevent.event.Event()
        served = serve(style(Recorder(on_open=lambda session: go_on.wait())), early=early)
        assert served.peer.read() == answer
        go_on.set()


class TestControlFrames:
    @both_pollers
    def test_pings_are_answered(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder))
        served.peer.ping(b"data")
        assert served.peer.event() == Pong(b"data")
        served.peer.ping()
        assert served.peer.event() == Pong(b"")
        assert recorder.calls == [("open",)]

    def test_pings_in_a_row_are_all_answered_as_long_as_the_client_reads(self, serve, style):
        served = serve(style(Recorder()))
        served.peer.write(b"".join(client_frame(0x9, b"%d" % number) for number in range(100)))
        assert served.peer.events(100) == [Pong(b"%d" % number) for number in range(100)]

    def test_the_answer_to_a_ping_tells_the_latency(self, serve, style):
        served = serve(style(Recorder()))
        assert served.session.latency is None
        begin = monotonic()
        served.session.ping(b"data")
        assert served.peer.event() == (b"data",)
        wait_until(lambda: served.session.latency is not None)
        assert 0 < served.session.latency <= monotonic() - begin

    def test_only_the_answer_to_the_last_ping_does(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder))
        served.session.ping(b"one")
        served.session.ping(b"two")
        for data in (b"one", b"", b"two!"):
            served.peer.write(client_frame(0xA, data))
        served.peer.send("through")
        wait_until(lambda: recorder.messages)
        assert served.session.latency is None
        served.peer.write(client_frame(0xA, b"two"))
        wait_until(lambda: served.session.latency is not None)

    def test_a_ping_may_have_125_bytes(self, serve):
        served = serve(Recorder())
        served.session.ping(bytes(125))
        with pytest.raises(ValueError, match="expected at most 125 bytes for a ping, found 126"):
            served.session.ping(bytes(126))
        assert served.peer.read() == frame(0x9, bytes(125))


CLOSE_FRAME = b"\x88"
"""Its first byte, which is in no frame with a text."""


class TestIdleTimeout:
    @pytest.mark.parametrize("sender", ["client", "server"])
    def test_counts_from_the_last_message_of_either(self, serve, style, sender):
        limit = 0.1
        served = serve(style(Recorder()), Settings(idle_timeout=limit))
        begin = last = monotonic()
        data = b""
        while CLOSE_FRAME not in data:
            now = monotonic()
            if now - begin > 3 * limit:
                data = served.peer.read()
                continue
            try:
                served.peer.send("message") if sender == "client" else served.session.send("message")
            except ConnectionClosed:
                break
            last = now
            gevent.sleep(0.01)
            data = served.peer.read_now()
        # However long that took on this machine.
        assert monotonic() - last >= limit

    def test_is_not_put_off_by_pings(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), Settings(idle_timeout=0.1, close_timeout=BRIEF))
        while not served.session.close_event:
            served.peer.ping()
            served.peer.read_now()
            gevent.sleep(0.01)
        assert recorder.event.cause is CloseCause.IDLE_TIMEOUT
        assert recorder.event.duration < 5

    def test_does_not_put_the_end_off(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), Settings(idle_timeout=60, close_timeout=BRIEF))
        served.session.close()
        assert recorder.event.cause is CloseCause.SERVER_CLOSED
        served.wait()


class TestClose:
    @pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 1016, 2999, 5000, -1, 1 << 40])
    def test_refuses_a_code_that_may_not_be_sent(self, serve, style, code):
        served = serve(style(Recorder(on_message=echo)))
        with pytest.raises(ValueError, match=f"expected a close code that may be sent .*, found {code}"):
            served.session.close(code)
        served.peer.send("still open")
        assert served.peer.event() == "still open"

    def test_refuses_a_reason_that_is_too_long(self, serve, style):
        served = serve(style(Recorder(on_message=echo)))
        with pytest.raises(ValueError, match="expected at most 123 bytes for a close reason, found 124"):
            served.session.close(1000, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 62)
        served.peer.send("still open")
        assert served.peer.event() == "still open"

    def test_a_second_time_changes_nothing(self, serve, style):
        served = serve(style(Recorder()))
        served.session.close(4000, "first")
        served.session.close(4001, "second")
        assert served.peer.event() == Close(4000, "first")
        assert (served.event.code, served.event.reason) == (4000, "first")
        served.session.close(4002, "third")
        assert served.event.code == 4000

    def test_nothing_can_be_sent_from_then_on(self, serve, style):
        served = serve(style(Recorder()))
        served.session.close()
        for send in (served.session.send, lambda text: served.session.ping(text.encode())):
            with pytest.raises(ConnectionClosed, match="the session is closing") as closing:
                send("late")
            assert closing.value.event is None
        served.peer.rest()
        event = served.event
        with pytest.raises(ConnectionClosed, match="the session is over: server_closed, close code 1000") as closed:
            served.session.send("late")
        assert closed.value.event is event


class TestOnTheWire:
    """What the client sees of the end."""

    def rest(self, serve: Service, act: Callable[[Served], object], settings: Settings = SHORT) -> bytes:
        served = serve(Recorder(), settings)
        gevent.sleep(0)
        act(served)
        return served.peer.raw_rest()

    def test_its_close_frame_comes_back(self, serve):
        assert self.rest(serve, lambda served: served.peer.start_close(1000, "bye")) == frame(0x8, b"\x03\xe8")

    def test_its_mistake_is_explained(self, serve):
        data = self.rest(serve, lambda served: served.peer.write(frame(0x1)))
        assert data == frame(0x8, b"\x03\xeaexpected a client's frame to be masked, found one that is not")

    def test_what_was_sent_before_the_close_comes_before_it(self, serve):
        def act(served: Served) -> None:
            served.session.send("last")
            served.session.close()

        assert self.rest(serve, act) == frame(0x1, b"last") + frame(0x8, b"\x03\xe8")

    def test_no_message_comes_after_the_close_frame(self, serve):
        def act(served: Served) -> None:
            served.session.close()
            served.session.offer(frame(0x1, b"offered"))
            served.session.close(4000)

        assert self.rest(serve, act) == frame(0x8, b"\x03\xe8")

    def test_the_end_of_the_stream_comes_with_the_close_frame(self, serve):
        served = serve(Recorder(), LONG)
        served.peer.start_close()
        assert served.peer.raw_rest() == frame(0x8, b"\x03\xe8")  # before the client has ended its direction

    def test_the_close_frame_reaches_who_is_still_sending(self, serve):
        # A socket that is closed with unread data resets the connection, which can destroy what is on its way.
        served = serve(Recorder(), Settings(max_message_size=100, close_timeout=60))
        served.peer.write(client_frame(0x2, bytes(200)))
        for _ in range(20):
            served.peer.write(bytes(65536))
            gevent.sleep(0)
        close = served.peer.event()
        assert isinstance(close, Close) and close.code == 1009
        assert served.peer.event() is None
        assert served.done == []  # It waits for the client to end its direction.

    def test_who_goes_on_sending_is_cut_off(self, serve):
        recorder = Recorder()
        served = serve(recorder, Settings(close_timeout=BRIEF))
        served.peer.start_close()
        event = recorder.event
        with pytest.raises(OSError):
            while True:
                served.peer.write(bytes(1000))
                gevent.sleep(0.001)
        served.wait()
        assert recorder.calls == [("open",), ("close", event)]

    def test_the_client_s_answer_may_be_anything(self, serve):
        recorder = Recorder()
        served = serve(recorder, LONG)
        served.session.close(4000)
        served.peer.write(frame(0x1, b"not masked"))
        event = recorder.event
        assert (event.cause, event.clean, event.error) == (CloseCause.SERVER_CLOSED, False, None)

    def test_messages_before_the_client_s_answer_are_not_received(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), LONG)
        gevent.sleep(0)
        served.session.close()
        served.peer.send("a", "b")
        assert served.peer.rest() == [Close(1000)]
        assert recorder.event.clean
        assert recorder.messages == []


class TestDescriptor:
    @pytest.mark.parametrize(
        "act", [lambda peer: peer.start_close(), Peer.leave, Peer.reset, lambda peer: peer.write(frame(0x1))]
    )
    def test_is_not_touched_once_it_belongs_to_somebody_else(self, serve, style, act):
        served = serve(style(Recorder()), Settings(idle_timeout=60))
        fd = served.channel.fd
        act(served.peer)
        wait_until(lambda: served.session.close_event)
        served.leave()
        assert served.channel.fd == -1
        pairs = [tcp_sockets() for _ in range(3)]  # One of these has the number now.
        assert fd in [sock.fileno() for pair in pairs for sock in pair]
        others = [Peer(sock) for pair in pairs for sock in pair]
        served.session.close()
        served.session.offer(frame(0x1, b"x"))
        gevent.sleep(0.01)
        for one, other in zip(others[::2], others[1::2], strict=True):
            one.write(b"whole")
            assert other.read() == b"whole"
            one.leave()
            assert other.raw_rest() == b""
            other.leave()

    def test_is_closed_at_the_client_s_end(self, serve):
        served = serve(Recorder(), LONG)
        served.peer.start_close()
        assert served.peer.raw_rest()
        assert served.channel.fd >= 0
        served.leave()

    def test_is_closed_when_the_client_s_end_does_not_come(self, serve):
        served = serve(Recorder(), Settings(close_timeout=BRIEF))
        served.peer.start_close()
        begin = monotonic()
        served.wait()
        assert monotonic() - begin >= BRIEF * 0.9

    def test_of_any_kind_of_stream_socket(self, serve):
        recorder = Recorder()
        served = serve(recorder, connect=packets)
        served.peer.send("message")
        wait_until(lambda: recorder.messages)
        served.peer.leave()
        assert recorder.event.cause is CloseCause.NETWORK_LOST


def test_the_client_s_state_agrees(serve):
    served = serve(Recorder())
    served.peer.start_close(1000)
    assert served.peer.rest() == [Close(1000)]
    assert served.peer.protocol.state == State.CLOSED
