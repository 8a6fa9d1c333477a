"""Clients that do not read and endpoints that raise: who suffers, and who does not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import gevent
import pytest

from tests.support.talk import BINARY, CLOSE, PAGE, PING, TEXT, Logs, Talk, echo, pages, talk
from tests.support.wire import client_frame
from tests.support.wsgi import PATIENCE, Client, Server, wait_until
from wsmiddleware import CloseCause, CloseEvent, ConnectionClosed, Endpoint, Hub, Session, WebSocketMiddleware

KIB = 1024
MIB = 1024 * KIB


class Recorder(Endpoint):
    """An endpoint that writes down what happens to it. Each test makes a subclass of its own."""

    calls: list[tuple[Any, ...]]
    sessions: list[Session]

    def __init_subclass__(cls) -> None:
        cls.calls = []
        cls.sessions = []

    def on_open(self, session: Session) -> None:
        self.sessions.append(session)

    def on_error(self, session: Session, error: BaseException) -> None:
        self.calls.append(("error", error))

    def on_close(self, session: Session, event: CloseEvent) -> None:
        self.calls.append(("close", event))

    @classmethod
    def event(cls) -> CloseEvent:
        """Wait for on_close, and return its event."""
        wait_until(lambda: [call for call in cls.calls if call[0] == "close"])
        name, event = cls.calls[-1]
        assert name == "close"
        assert [call[0] for call in cls.calls].count("close") == 1
        return event


@pytest.fixture
def app() -> WebSocketMiddleware:
    app = WebSocketMiddleware(pages, send_queue=64 * KIB, close_timeout=1)
    app.register("/echo", echo)
    return app


@pytest.fixture
def server(app) -> Iterator[Server]:
    """Serves *app*, and somebody who goes on echoing whatever the others do."""
    with Server(app) as server:
        logs = Logs(server)
        with talk(server) as bystander:
            yield server
            assert bystander.echoes()
        with talk(server) as newcomer:
            assert newcomer.echoes()
        assert logs.errors == ""
        assert {access for access in logs.accesses if access[1] != "101"} <= {("GET /page HTTP/1.1", "200")}


@pytest.fixture
def errors(caplog) -> Callable[[], list[logging.LogRecord]]:
    """Return what has been logged at ERROR and above. Nothing may be logged at WARNING."""

    def errors() -> list[logging.LogRecord]:
        found = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert all(record.levelno == logging.ERROR for record in found)
        return found

    return errors


def narrow(server: Server, path: str) -> Talk:
    """Begin a session whose client has little room for what it does not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", server.port))
    return Talk(Client(sock), path)


def send_until_stuck(session: Talk, data: bytes, limit: int) -> int:
    """Send *data* again and again, until that would block for a while; return how many bytes went."""
    sent = 0
    session.client.socket.settimeout(0.3)
    with suppress(TimeoutError):
        while sent < limit:
            sent += session.client.socket.send(data[sent % len(data) :])
    session.client.socket.settimeout(10)
    return sent


@contextmanager
def flooding(sock: socket.socket) -> Iterator[list[int]]:
    """Send messages on *sock* without end, and read all answers; gives the sizes of what has been read."""

    def send() -> None:
        with suppress(OSError):
            while True:
                sock.sendall(messages)

    def read() -> None:
        with suppress(OSError):
            while size := len(sock.recv(MIB)):
                sizes.append(size)

    messages = client_frame(TEXT, b"x" * 100) * 1000
    sizes: list[int] = []
    threads = [Thread(target=target) for target in (send, read)]
    for thread in threads:
        thread.start()
    wait_until(lambda: sizes)
    yield sizes
    sock.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


class TestAnEndpointThatRaises:
    @pytest.mark.parametrize("method", ["on_open", "on_message"])
    def test_is_told_its_error_and_then_the_end(self, app, server, errors, method):
        class Broken(Recorder):
            pass

        def fail(self, session, *arguments):
            session.send("before")
            raise ZeroDivisionError("secret")

        setattr(Broken, method, fail)
        app.register("/broken", Broken)
        with talk(server, "/broken") as session:
            if method == "on_message":
                session.send(TEXT, b"boom")
                session.send(TEXT, b"not heard any more")
            assert session.receive() == (0x81, b"before")
            assert session.receive_close() == (1011, "")  # and no word of what it was
            session.send(CLOSE, b"\x03\xf3")
            assert session.receive() is None
        event = Broken.event()
        assert [name for name, _ in Broken.calls] == ["error", "close"]
        error = Broken.calls[0][1]
        assert isinstance(error, ZeroDivisionError)
        assert event.error is error
        assert (event.cause, event.code, event.initiator) == (CloseCause.APPLICATION_ERROR, 1011, "server")
        (record,) = errors()
        assert record.name == "wsmiddleware.session"
        assert record.exc_info[1] is error
        assert "'/broken'" in record.getMessage()

    def test_may_be_a_function(self, app, server, errors):
        @app.route("/broken")
        def broken(session):
            session.send(session.receive())
            raise ZeroDivisionError

        with talk(server, "/broken") as session:
            session.send(TEXT, b"last words")
            assert session.receive() == (0x81, b"last words")
            assert session.receive_close() == (1011, "")
        wait_until(errors)
        assert [record.exc_info[0] for record in errors()] == [ZeroDivisionError]

    def test_in_on_close_is_only_logged(self, app, server, errors):
        @app.route("/broken")
        class Broken(Recorder):
            def on_close(self, session, event):
                super().on_close(session, event)
                raise ZeroDivisionError

        with talk(server, "/broken") as session:
            session.send(CLOSE, b"\x03\xe9")
            assert session.receive_close() == (1001, "")
        assert Broken.event().cause is CloseCause.CLIENT_LEFT
        wait_until(errors)
        assert [record.exc_info[0] for record in errors()] == [ZeroDivisionError]
        assert len(Broken.calls) == 1

    def test_in_on_error_too_is_logged_for_both(self, app, server, errors):
        @app.route("/broken")
        class Broken(Recorder):
            def on_message(self, session, message):
                raise ZeroDivisionError

            def on_error(self, session, error):
                raise LookupError

        with talk(server, "/broken") as session:
            session.send(TEXT, b"boom")
            assert session.receive_close() == (1011, "")
        assert isinstance(Broken.event().error, ZeroDivisionError)
        assert [record.exc_info[0] for record in errors()] == [ZeroDivisionError, LookupError]

    def test_after_the_client_has_gone_is_logged_and_the_cause_stays(self, app, server, errors):
        @app.route("/broken")
        class Broken(Recorder):
            def on_message(self, session, message):
                while session.close_event is None:
                    gevent.sleep(0.001)
                raise ZeroDivisionError

        session = talk(server, "/broken")
        session.send(TEXT, b"boom")
        session.client.reset()
        assert Broken.event().cause is CloseCause.NETWORK_LOST
        assert [record.exc_info[0] for record in errors()] == [ZeroDivisionError]

    def test_that_a_session_is_over_is_no_error_if_it_is_its_own(self, app, server, errors):
        @app.route("/leaver")
        class Leaver(Recorder):
            def on_message(self, session, message):
                session.close(4000)
                session.send("too late")

        @app.route("/function")
        def function(session):
            session.close(4001)
            session.send("too late")

        for path, code in (("/leaver", 4000), ("/function", 4001)):
            with talk(server, path) as session:
                session.send(TEXT, b"go")
                assert session.receive_close() == (code, "")
        assert Leaver.event().cause is CloseCause.SERVER_CLOSED
        assert errors() == []

    def test_that_another_session_is_over_is_an_error(self, app, server, errors):
        @app.route("/pair")
        class Pair(Recorder):
            def on_message(self, session, message):
                for other in self.sessions:
                    other.send(message)

        gone = talk(server, "/pair")
        wait_until(lambda: Pair.sessions)
        gone.client.close()
        Pair.event()
        Pair.calls.clear()
        with talk(server, "/pair") as session:
            session.send(TEXT, b"hello all")
            assert session.receive_close() == (1011, "")
        Pair.event()
        assert [record.exc_info[0] for record in errors()] == [ConnectionClosed]


class TestAClientThatDoesNotRead:
    def test_lets_the_sender_wait_with_a_full_queue_and_nobody_else(self, app, server, errors):
        sessions, ends = [], []

        @app.route("/flood")
        def flood(session):
            sessions.append(session)
            try:
                while True:
                    session.send(bytes(16 * KIB))
            except ConnectionClosed as closed:
                ends.append(closed.event)

        with narrow(server, "/flood") as slow:
            wait_until(lambda: sessions and sessions[0].buffered >= 64 * KIB)
            for _ in range(20):
                with talk(server) as other:
                    assert other.echoes()
            assert sessions[0].buffered < 64 * KIB + 17 * KIB  # the queue, and the message that filled it
            assert slow.receive() == (0x82, bytes(16 * KIB))  # and it may go on any time
            slow.client.reset()
        wait_until(lambda: ends)
        assert ends[0].cause is CloseCause.NETWORK_LOST
        assert errors() == []

    def test_has_its_own_messages_wait_too_and_loses_nothing(self, app, server, errors):
        @app.route("/flood")
        class Flood(Recorder):
            def on_message(self, session, message):
                session.send(message)

        message = client_frame(BINARY, bytes(range(256)) * 64)
        with narrow(server, "/flood") as slow:
            sent = send_until_stuck(slow, message, 64 * MIB)
            assert sent < 64 * MIB, "expected the client to be told to wait"
            assert Flood.sessions[0].buffered < 64 * KIB + 2 * len(message)
            received = 0
            while received < sent // len(message):
                assert slow.receive() == (0x82, bytes(range(256)) * 64)
                received += 1
            slow.write(message[sent % len(message) :])
            assert slow.receive() == (0x82, bytes(range(256)) * 64)
            slow.send(CLOSE, b"\x03\xe8")
            assert slow.receive_close() == (1000, "")
        assert Flood.event().clean
        assert errors() == []

    def test_gets_no_heap_of_pongs(self, app, server, errors):
        @app.route("/quiet")
        class Quiet(Recorder):
            pass

        with narrow(server, "/quiet") as slow:
            pings = client_frame(PING, bytes(125)) * 1000
            wait_until(lambda: Quiet.sessions)
            for number in range(200):
                slow.write(pings)
                assert Quiet.sessions[0].buffered < MIB
                if number % 20 == 0:
                    with talk(server) as other:
                        assert other.echoes()
            slow.client.reset()
        assert Quiet.event().cause in (CloseCause.NETWORK_LOST, CloseCause.SLOW_CONSUMER)
        assert errors() == []

    def test_is_put_out_of_a_room_whose_others_hear_everything(self, app, server, errors):
        hub = Hub()

        @app.route("/room")
        class Member(Recorder):
            def on_open(self, session):
                hub.join(session, "room", info=session.environ.get("HTTP_COOKIE"))
                super().on_open(session)

        count, message = 400, bytes(16 * KIB)
        with narrow(server, "/room") as slow, talk(server, "/room") as quick:
            wait_until(lambda: len(hub.members("room")) == 2)
            for _ in range(count):
                hub.publish("room", message)
                assert quick.receive() == (0x82, message)
            event = Member.event()
            assert (event.cause, event.code, event.clean) == (CloseCause.SLOW_CONSUMER, 1013, False)
            assert len(hub.members("room")) == 1
            # Whoever reads after all is told.
            while (received := slow.receive()) == (0x82, message):
                pass
            assert received is None or received[1][:2] == (1013).to_bytes(2, "big")
        assert errors() == []

    def test_and_does_not_answer_a_close_is_dropped_in_time(self, app, server, errors):
        @app.route("/impatient", close_timeout=0.2)
        class Impatient(Recorder):
            def on_open(self, session):
                session.close(4000)

        with talk(server, "/impatient") as session:
            assert session.receive_close() == (4000, "")
            event = Impatient.event()
            assert (event.cause, event.clean, event.received) == (CloseCause.SERVER_CLOSED, False, None)
            assert session.receive() is None
        assert errors() == []


class TestAClientThatSendsTooFast:
    def test_waits_for_a_busy_endpoint_and_loses_nothing(self, app, server, errors):
        go_on = []

        @app.route("/busy", receive_queue=4)
        class Busy(Recorder):
            received: list[bytes] = []

            def on_message(self, session, message):
                while not go_on:
                    gevent.sleep(0.001)
                self.received.append(message)

        message = client_frame(BINARY, bytes(64 * KIB))
        with narrow(server, "/busy") as session:
            sent = send_until_stuck(session, message, 64 * MIB)
            assert sent < 64 * MIB, "expected the client to be told to wait"
            go_on.append(True)
            session.write(message[sent % len(message) :])
            session.send(CLOSE, b"\x03\xe8")
            assert session.receive_close() == (1000, "")
        assert Busy.event().clean
        assert len(Busy.received) == sent // len(message) + 1
        assert errors() == []

    def test_is_answered_its_pings_while_the_endpoint_is_busy(self, app, server, errors):
        go_on = []

        @app.route("/busy")
        class Busy(Recorder):
            def on_message(self, session, message):
                while not go_on:
                    gevent.sleep(0.001)
                session.send("done")

        with talk(server, "/busy") as session:
            session.send(TEXT, b"work")
            for number in range(10):
                session.send(PING, b"%d" % number)
                assert session.receive() == (0x8A, b"%d" % number)
            go_on.append(True)
            assert session.receive() == (0x81, b"done")
        assert errors() == []

    @pytest.mark.parametrize("style", ["function", "class"])
    def test_gives_the_others_their_turn(self, app, server, errors, style):
        """One floods with messages all the time, while others ask for a page or an echo."""

        class Servlet(Endpoint):
            def on_message(self, session, message):
                session.send(message)

        app.register("/flood", echo if style == "function" else Servlet)
        with talk(server, "/flood") as session, flooding(session.client.socket) as echoed:
            for _ in range(5):
                before = len(echoed)
                with server.connect() as visitor:
                    visitor.send(PAGE)
                    assert visitor.receive_response()[1] == b"page /page"
                with talk(server) as other:
                    assert other.echoes()
                wait_until(lambda before=before: len(echoed) > before)
        assert errors() == []
