"""Sessions over other streams: TLS, and some that fail in their own ways."""

from __future__ import annotations

import gevent
import gevent.event
import pytest

from tests.support.loop import Ends, Peer, Recorder, echo, piecemeal, tcp, tls
from tests.support.wire import client_frame
from tests.support.wsgi import wait_until
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.streams import PlainStream
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong


def narrow_tls() -> Ends:
    return tls(4096)


class TestTLS:
    def test_messages_come_and_go(self, serve, style):
        served = serve(style(Recorder(on_message=echo)), connect=tls)
        messages = ["text", b"binary", "", b"x" * 100_000, "last"]
        served.peer.send(*messages)
        assert served.peer.events(5) == messages

    @pytest.mark.parametrize("queue", [1, 3, 1000])
    def test_all_messages_of_a_record_come(self, serve, style, queue):
        # Once it is decrypted, its rest is invisible to whoever watches the descriptor.
        recorder = Recorder(on_message=lambda session, message: gevent.sleep(0))
        served = serve(style(recorder), Settings(receive_queue=queue), connect=tls)
        messages = ["x" * 1000 + str(number) for number in range(60)]
        served.peer.send(*messages)
        wait_until(lambda: len(recorder.messages) == 60)
        assert recorder.messages == messages

    def test_messages_wait_for_a_busy_endpoint(self, serve, style):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda session, message: go_on.wait())
        served = serve(style(recorder), Settings(receive_queue=2), connect=tls)
        messages = [str(number) for number in range(20)]
        for message in messages:
            served.peer.send(message)
        wait_until(lambda: recorder.messages)
        gevent.sleep(0.01)
        assert recorder.messages == ["0"]
        go_on.set()
        wait_until(lambda: len(recorder.messages) == 20)
        assert recorder.messages == messages

    def test_pings_are_answered(self, serve, style):
        served = serve(style(Recorder()), connect=tls)
        served.peer.ping(b"?")
        assert served.peer.event() == Pong(b"?")

    def test_send_waits_until_the_client_reads(self, serve, style):
        def flood(session, message):
            for number in range(50):
                session.send(b"x" * 4096 + b"%d" % number)

        served = serve(style(Recorder(on_message=flood)), Settings(send_queue=16384), connect=narrow_tls)
        served.peer.send("flood")
        wait_until(lambda: served.session.buffered >= 16384)
        assert served.peer.events(50) == [b"x" * 4096 + b"%d" % number for number in range(50)]

    def test_a_close_is_clean(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), connect=tls)
        served.peer.start_close(1001)
        assert served.peer.rest() == [Close(1001)]
        assert (recorder.event.cause, recorder.event.clean) == (CloseCause.CLIENT_LEFT, True)

    @pytest.mark.parametrize("end", [Peer.leave, Peer.reset])
    def test_an_end_without_a_close_is_the_network_s(self, serve, style, end):
        recorder = Recorder()
        served = serve(style(recorder), connect=tls)
        served.peer.send("message")
        wait_until(lambda: recorder.messages)
        end(served.peer)
        assert recorder.event.cause is CloseCause.NETWORK_LOST


class TestBuffered:
    """What waits in the stream, where watching the descriptor does not show it."""

    @pytest.mark.parametrize("queue", [1, 3, 1000])
    @pytest.mark.parametrize("action", [lambda *_: None, lambda *_: gevent.sleep(0)], ids=["quick", "slow"])
    def test_all_comes(self, serve, style, queue, action):
        recorder = Recorder(on_message=action)
        served = serve(style(recorder), Settings(receive_queue=queue), connect=piecemeal)
        messages = [f"message {number}" for number in range(100)]
        served.peer.send(*messages)
        wait_until(lambda: len(recorder.messages) == 100)
        assert recorder.messages == messages
        served.peer.start_close()
        assert served.peer.rest() == [Close(1000)]

    def test_comes_after_a_busy_time(self, serve, style):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda session, message: go_on.wait())
        served = serve(style(recorder), Settings(receive_queue=2), connect=piecemeal)
        served.peer.send(*["message"] * 50)
        wait_until(lambda: recorder.messages)
        gevent.sleep(0.001)
        assert len(recorder.messages) == 1
        go_on.set()
        wait_until(lambda: len(recorder.messages) == 50)

    def test_comes_although_nothing_more_is_sent(self, serve, style):
        recorder = Recorder()
        held = b"".join(client_frame(0x1, b"%d" % number) for number in range(50))
        serve(style(recorder), Settings(receive_queue=2), connect=lambda: piecemeal(held))
        wait_until(lambda: len(recorder.messages) == 50)

    @pytest.mark.parametrize("queue", [1, 1000])
    def test_is_dropped_by_a_close_but_for_the_close_frame_in_it(self, serve, style, queue):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda session, message: go_on.wait())
        served = serve(style(recorder), Settings(receive_queue=queue, close_timeout=60), connect=piecemeal)
        served.peer.write(served.peer.frames(*["message"] * 50) + client_frame(0x8, b"\x03\xe9"))
        wait_until(lambda: recorder.messages)
        served.session.close(4000)
        assert served.event.received == Close(1001)
        go_on.set()
        assert recorder.event is served.event


class Failing(PlainStream):
    """Raises what it is told to."""

    def __init__(self, fd: int, read: BaseException | None = None, write: BaseException | None = None) -> None:
        super().__init__(fd)
        self.errors = {"read": read, "write": write}

    def read(self, buffer):
        if self.errors["read"]:
            raise self.errors["read"]
        return super().read(buffer)

    def write(self, data):
        if self.errors["write"]:
            raise self.errors["write"]
        return super().write(data)


def failing(**errors: BaseException):
    def connect() -> Ends:
        stream, client = tcp()
        fd, stream.fd = stream.fd, -1
        return Failing(fd, **errors), client

    return connect


class TestErrors:
    @pytest.mark.parametrize("error", [TimeoutError("timed out"), ConnectionResetError("reset"), OSError(5, "broken")])
    def test_of_reading_end_the_session(self, serve, style, error, caplog):
        recorder = Recorder()
        served = serve(style(recorder), connect=failing(read=error))
        served.peer.send("message")
        assert recorder.event.error is error
        assert recorder.event.cause is CloseCause.NETWORK_LOST
        served.wait()
        assert caplog.records == []

    @pytest.mark.parametrize("error", [TimeoutError("timed out"), BrokenPipeError("broken"), OSError(5, "broken")])
    def test_of_writing_end_the_session_although_the_client_has_not_ended_it(self, serve, style, error, caplog):
        recorder = Recorder()
        served = serve(style(recorder), connect=failing(write=error))
        served.session.send("message")
        assert recorder.event.error is error
        assert recorder.event.cause is CloseCause.NETWORK_LOST
        served.wait()
        assert caplog.records == []

    def test_of_writing_do_not_hide_what_the_client_has_said(self, serve, style):
        recorder = Recorder()
        served = serve(style(recorder), connect=failing(write=BrokenPipeError()))
        served.peer.send("message")
        served.peer.start_close(1001)
        served.session.send("message")
        assert recorder.event.cause is CloseCause.CLIENT_LEFT
        assert recorder.messages == ["message"]

    def test_of_writing_end_the_session_of_a_busy_endpoint_too(self, serve, style):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=lambda session, message: go_on.wait())
        served = serve(style(recorder), Settings(receive_queue=1), connect=failing(write=BrokenPipeError()))
        served.peer.send("a", "b", "c")
        wait_until(lambda: recorder.messages)
        gevent.sleep(0.001)  # Nothing more is read now.
        served.session.send("message")
        assert served.event.cause is CloseCause.NETWORK_LOST
        go_on.set()
        assert recorder.event is served.event

    def test_of_ours_end_one_session_and_no_other(self, serve, caplog):
        error = ValueError("a mistake of the stream's")
        recorder = Recorder()
        served = serve(recorder, connect=failing(read=error))
        other = serve(Recorder(on_message=echo))
        for one in (served, other):
            one.peer.send("message")
        assert recorder.event.error is error
        served.wait()
        assert other.peer.event() == "message"
        assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [error]
        assert "unexpected error in the channel of descriptor" in caplog.text
        caplog.clear()
