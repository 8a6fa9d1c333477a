"""What an endpoint holds, on a real loop: from its own greenlet, from others, and from other threads."""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest

from tests.support.loop import NO_CODE, Recorder, Service, echo, narrow
from tests.support.wire import frame
from tests.support.wsgi import PATIENCE, in_thread, wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong
from wsmiddleware.session import Session

QUICK = Settings(close_timeout=0.2)


@pytest.fixture
def serve() -> Iterator[Service]:
    loop = Loop(gevent.get_hub())
    service = Service(loop)
    yield service
    service.clean_up()
    loop.close()


@pytest.fixture
def idle(serve):
    """A session in which nothing happens by itself."""
    return serve(Recorder())


class TestWhatItIs:
    def test_has_a_random_name(self, serve):
        names = {serve(Recorder()).session.id for _ in range(20)}
        assert len(names) == 20
        assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)

    def test_shows_name_and_path_without_the_clients_line_breaks(self, idle):
        environ = {"SCRIPT_NAME": "/app", "PATH_INFO": "/a\nb"}
        session = Session(idle.channel, environ=environ, params={}, subprotocol=None, remote_address="")
        assert repr(session) == rf"<Session {session.id} '/app/a\nb'>"

    def test_knows_its_request(self, idle):
        environ = {"PATH_INFO": "/"}
        session = Session(
            idle.channel, environ=environ, params={"room": "x"}, subprotocol="chat", remote_address="192.0.2.7"
        )
        assert session.environ is environ
        assert (session.params, session.subprotocol, session.remote_address) == ({"room": "x"}, "chat", "192.0.2.7")

    def test_has_a_place_for_ones_own_attributes(self, serve):
        one, two = serve(Recorder()).session, serve(Recorder()).session
        one.state.user = "Ada"
        assert one.state == SimpleNamespace(user="Ada")
        assert two.state == SimpleNamespace()

    def test_has_no_other_attributes(self, idle):
        with pytest.raises(AttributeError):
            idle.session.user = "Ada"

    def test_has_no_close_event_and_no_latency_at_first(self, idle):
        assert (idle.session.close_event, idle.session.latency, idle.session.buffered) == (None, None, 0)


class TestSend:
    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("é", frame(0x1, b"\xc3\xa9")),
            ("", frame(0x1)),
            (b"\x00\xff", frame(0x2, b"\x00\xff")),
            (b"", frame(0x2)),
            (bytearray(b"\x01\x02"), frame(0x2, b"\x01\x02")),
            (memoryview(b"\x01\x02"), frame(0x2, b"\x01\x02")),
            (memoryview(b"\x01\x02\x03\x04")[::2], frame(0x2, b"\x01\x03")),
            (memoryview(array("H", [0x0101, 0x0202])), frame(0x2, b"\x01\x01\x02\x02")),
            (memoryview(array("H", [0x0101, 0x0202, 0x0303]))[::2], frame(0x2, b"\x01\x01\x03\x03")),
        ],
        ids=repr,
    )
    def test_makes_text_of_str_and_binary_of_bytes(self, serve, message, expected):
        served = serve(Recorder(on_open=lambda session: session.send(message)))
        assert served.peer.read() == expected

    @pytest.mark.parametrize("message", [None, 1, ["x"], {"x": 1}, array("B", [1])], ids=repr)
    def test_refuses_all_else(self, idle, message):
        with pytest.raises(TypeError, match=f"^expected a message to be str or bytes, found {type(message).__name__}$"):
            idle.session.send(message)

    def test_refuses_text_that_utf8_cannot_express_and_goes_on(self, idle):
        with pytest.raises(UnicodeEncodeError):
            idle.session.send("\ud800")
        idle.session.send("fine")
        assert idle.peer.event() == "fine"

    def test_takes_what_a_buffer_holds_now(self, idle):
        buffer = bytearray(b"before")
        for message in (buffer, memoryview(buffer)):
            idle.session.send(message)
        buffer[:] = b"after!"
        assert idle.peer.events(2) == [b"before", b"before"]

    def test_keeps_the_order(self, serve):
        served = serve(Recorder(on_message=echo))
        served.peer.send(*map(str, range(100)))
        assert served.peer.events(100) == list(map(str, range(100)))

    def test_waits_while_the_queue_is_full_and_others_go_on(self, serve):
        big = bytes(256 * 1024)
        finished = []

        def talk(session):
            for _ in range(8):
                session.send(big)
            finished.append(session)

        slow = serve(talk, Settings(send_queue=1024, close_timeout=1), connect=narrow)
        other = serve(Recorder(on_message=echo))
        other.peer.send("hello")
        assert other.peer.event() == "hello"
        wait_until(lambda: slow.session.buffered >= 1024)
        assert not finished
        assert slow.peer.events(8) == [big] * 8
        wait_until(lambda: finished)

    def test_that_waits_ends_with_the_session(self, serve):
        errors = []

        def talk(session):
            try:
                while True:
                    session.send(bytes(65536))
            except ConnectionClosed as closed:
                errors.append(closed)

        served = serve(talk, Settings(send_queue=1024, close_timeout=0.2), connect=narrow)
        wait_until(lambda: served.session.buffered >= 1024)
        served.peer.reset()
        wait_until(lambda: errors)
        assert errors[0].event is served.session.close_event
        assert served.event.cause is CloseCause.NETWORK_LOST

    def test_raises_when_the_session_is_closing_and_when_it_is_over(self, idle):
        idle.session.close()
        for send in (lambda: idle.session.send("x"), lambda: idle.session.send(b"x"), idle.session.ping):
            with pytest.raises(ConnectionClosed) as closed:
                send()
            assert closed.value.event is None
        idle.peer.event()
        event = idle.event
        for send in (lambda: idle.session.send("x"), lambda: idle.session.send(b"x"), idle.session.ping):
            with pytest.raises(ConnectionClosed) as closed:
                send()
            assert closed.value.event is event


class TestReceive:
    def test_returns_messages_as_they_were_sent(self, serve):
        received = []

        def talk(session):
            received.extend([session.receive(), session.receive(timeout=PATIENCE)])

        served = serve(talk)
        served.peer.send("text", b"binary")
        served.peer.rest()
        assert received == ["text", b"binary"]

    def test_gives_up_after_a_while(self, serve):
        def talk(session):
            with pytest.raises(TimeoutError, match=r"^expected a message within 0\.01 seconds, found none$"):
                session.receive(timeout=0.01)
            with pytest.raises(TimeoutError):
                session.receive(timeout=0)
            session.send("gave up")
            session.send(session.receive(timeout=PATIENCE))

        served = serve(talk)
        assert served.peer.event() == "gave up"
        served.peer.send("still here")
        assert served.peer.event() == "still here"

    def test_raises_when_all_has_been_received_and_the_session_is_over(self, serve):
        received = []

        def talk(session):
            gevent.sleep(0.05)
            received.extend([session.receive(), session.receive()])
            with pytest.raises(ConnectionClosed) as closed:
                session.receive()
            received.append(closed.value.event.cause)

        served = serve(talk)
        served.peer.send("one", "two")
        served.peer.start_close(1001)
        served.peer.rest()
        wait_until(lambda: len(received) == 3)
        assert received == ["one", "two", CloseCause.CLIENT_LEFT]

    def test_is_for_functions_only(self, idle):
        complaint = r"expected receive\(\) in a function .* found it with an Endpoint: its messages go to on_message"
        with pytest.raises(RuntimeError, match=complaint):
            idle.session.receive()
        with pytest.raises(RuntimeError, match=complaint):
            next(iter(idle.session))

    def test_is_for_one_greenlet_at_a_time(self, serve):
        def talk(session):
            other = gevent.spawn(session.receive)
            gevent.sleep(0)
            with pytest.raises(RuntimeError, match="expected one greenlet to receive from a session at a time"):
                session.receive(timeout=PATIENCE)
            session.send("refused")
            session.send(other.get(timeout=PATIENCE))

        served = serve(talk)
        assert served.peer.event() == "refused"
        served.peer.send("for the other")
        assert served.peer.event() == "for the other"

    def test_is_what_a_loop_over_the_session_does_until_it_is_over(self, serve):
        received = []

        def talk(session):
            received.extend(session)
            received.append("over")

        served = serve(talk)
        served.peer.send("one", "two")
        served.peer.start_close()
        served.peer.rest()
        wait_until(lambda: len(received) == 3)
        assert received == ["one", "two", "over"]


class TestClose:
    def test_sends_the_code_and_the_reason(self, idle):
        idle.session.close(4000, "enough")
        assert idle.peer.event() == Close(4000, "enough")
        assert (idle.event.cause, idle.event.code, idle.event.reason) == (CloseCause.SERVER_CLOSED, 4000, "enough")

    def test_is_normal_by_default(self, idle):
        idle.session.close()
        assert idle.peer.event() == Close(1000)

    def test_returns_at_once_and_the_event_comes_when_the_client_has_answered(self, idle):
        idle.session.close()
        assert idle.session.close_event is None
        idle.peer.event()
        assert idle.event.clean

    def test_lets_go_out_first_what_has_been_sent(self, serve):
        def talk(session):
            session.send("last words")
            session.close()

        assert serve(talk).peer.rest() == ["last words", Close(1000)]

    def test_may_be_called_again_and_changes_nothing(self, idle):
        idle.session.close(4000)
        idle.session.close(4001, "no, because of this")
        assert idle.peer.rest() == [Close(4000)]
        idle.session.close(4002)
        assert idle.event.code == 4000

    @pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 1016, 2999, 5000])
    def test_takes_only_codes_that_may_be_sent(self, idle, code):
        with pytest.raises(ValueError, match=str(code)):
            idle.session.close(code)
        idle.session.send("still open")
        assert idle.peer.event() == "still open"

    def test_with_1005_sends_no_code_and_so_no_reason(self, idle):
        with pytest.raises(ValueError, match="expected a close code with the reason, found 1005"):
            idle.session.close(1005, "reason")
        idle.session.close(1005)
        assert idle.peer.rest() == [NO_CODE]

    def test_takes_a_reason_of_123_bytes_and_no_more(self, serve):
        served = serve(Recorder())
        with pytest.raises(ValueError, match="123"):
            served.session.close(1000, 62 * "é")
        served.session.close(1000, 61 * "é" + "!")
        assert served.peer.event() == Close(1000, 61 * "é" + "!")

    def test_does_not_wait_for_ever_for_the_client(self, serve):
        served = serve(Recorder(), QUICK)
        served.session.close()
        wait_until(lambda: served.session.close_event)
        assert (served.event.cause, served.event.clean, served.event.code) == (CloseCause.SERVER_CLOSED, False, 1000)

    def test_of_a_function_is_its_return(self, serve):
        assert serve(lambda session: None).peer.rest() == [Close(1000)]

    def test_by_the_client_without_a_code_is_answered_without_one(self, idle):
        idle.peer.start_close(1005)
        assert idle.peer.rest() == [NO_CODE]
        assert (idle.event.cause, idle.event.code) == (CloseCause.CLIENT_CLOSED, 1005)


class TestPing:
    def test_measures_the_way_there_and_back(self, idle):
        idle.session.ping(b"are you there?")
        gevent.sleep(0.02)
        assert idle.session.latency is None
        idle.peer.event()  # answers it
        wait_until(lambda: idle.session.latency is not None)
        assert 0.02 <= idle.session.latency < PATIENCE

    def test_is_not_answered_by_another_pong(self, idle):
        idle.session.ping(b"one")
        idle.peer.protocol.pong(b"two")
        idle.peer.ping(b"mine")
        assert [type(event) for event in idle.peer.events(2)][1] is Pong
        wait_until(lambda: idle.session.latency is not None)

    def test_holds_125_bytes_and_no_more(self, idle):
        with pytest.raises(ValueError, match="expected at most 125 bytes for a ping, found 126"):
            idle.session.ping(bytes(126))
        idle.session.ping(bytes(125))
        assert idle.peer.event() == (bytes(125),)


class TestFromOtherThreads:
    def test_send_close_and_ping(self, idle):
        def speak():
            idle.session.ping(b"")
            for number in range(10):
                idle.session.send(str(number))
            idle.session.close(4000)

        spoken = in_thread(speak)
        assert idle.peer.rest() == [(b"",), *map(str, range(10)), Close(4000)]
        spoken()

    def test_many_at_once_lose_and_mix_nothing(self, idle):
        waiting = [
            in_thread(lambda name: [idle.session.send(f"{name}{number}") for number in range(50)], name)
            for name in "abcd"
        ]
        received = idle.peer.events(200)
        for name in "abcd":
            assert [text for text in received if text[0] == name] == [f"{name}{number}" for number in range(50)]
        for wait in waiting:
            wait()

    def test_errors_come_to_who_has_made_them(self, idle):
        def speak():
            for error, action in (
                (ValueError, lambda: idle.session.close(1)),
                (ValueError, lambda: idle.session.ping(bytes(126))),
                (TypeError, lambda: idle.session.send(1)),
                (RuntimeError, idle.session.receive),
            ):
                with pytest.raises(error):
                    action()
            idle.session.close()
            with pytest.raises(ConnectionClosed):
                idle.session.send("x")

        in_thread(speak)()
        assert idle.peer.event() == Close(1000)

    def test_receive(self, serve):
        received = []

        def talk(session):
            received.extend(in_thread(lambda: [session.receive(), session.receive(timeout=PATIENCE)])())
            with pytest.raises(TimeoutError):
                session.receive(timeout=0.01)

        served = serve(talk)
        served.peer.send("one", b"two")
        assert served.peer.rest() == [Close(1000)]
        assert received == ["one", b"two"]

    def test_send_waits_while_the_queue_is_full(self, serve):
        served = serve(Recorder(), Settings(send_queue=1024, close_timeout=1), connect=narrow)
        big = bytes(256 * 1024)
        sent = in_thread(lambda: [served.session.send(big) for _ in range(8)])
        wait_until(lambda: served.session.buffered >= 1024)
        time.sleep(0.01)
        assert served.peer.events(8) == [big] * 8
        sent()

    def test_a_session_that_is_over_stays_so(self, idle):
        idle.peer.start_close(1001)
        event = idle.event

        def speak():
            assert idle.session.close_event is event
            idle.session.close()
            with pytest.raises(ConnectionClosed) as closed:
                idle.session.send("x")
            return closed.value.event

        assert in_thread(speak)() is event


class TestForHubs:
    def test_offer_takes_whole_frames_in_the_order_of_all_threads(self, idle):
        in_thread(lambda: [idle.session.offer(frame(0x1, b"from a thread")) for _ in range(3)])()
        idle.session.offer(frame(0x1, b"from here"))
        assert idle.peer.events(4) == [*["from a thread"] * 3, "from here"]

    def test_offer_ignores_a_session_that_is_over(self, idle):
        idle.peer.start_close(1001)
        assert idle.event
        idle.session.offer(frame(0x1, b"too late"))
        assert idle.peer.rest() == [Close(1001)]

    def test_offer_ends_a_session_whose_queue_is_full(self, serve):
        served = serve(Recorder(), Settings(send_queue=65536, close_timeout=0.2), connect=narrow)
        while served.session.close_event is None:
            served.session.offer(frame(0x2, bytes(65536)))
        assert (served.event.cause, served.event.code) == (CloseCause.SLOW_CONSUMER, 1013)

    def test_end_callbacks_are_called_before_on_close_and_once(self, serve):
        calls = []
        served = serve(Recorder(on_close=lambda session, event: calls.append("on_close")))
        served.session.add_end_callback(lambda: calls.append("first"))
        served.session.add_end_callback(lambda: calls.append("second"))
        served.peer.leave()
        served.wait()
        assert calls == ["first", "second", "on_close"]

    def test_end_callbacks_are_called_at_once_if_it_is_over(self, serve):
        served = serve(Recorder())
        served.peer.leave()
        served.wait()
        calls = []
        served.session.add_end_callback(lambda: calls.append("late"))
        assert calls == ["late"]
