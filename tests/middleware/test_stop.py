"""How the middleware limits its sessions, ends them, and begins anew in a forked child."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import pytest

from tests.support.joined import Client
from tests.support.program import run
from tests.support.wire import frame
from tests.support.wsgi import in_thread, wait_until
from wsmiddleware import CloseCause, Endpoint, WebSocketMiddleware

GOING_AWAY = frame(0x8, (1001).to_bytes(2, "big"))


def legacy(environ, start_response):
    start_response("200 OK", [])
    return [b"old page"]


def echo(session):
    for message in session:
        session.send(message)


class Recorder(Endpoint):
    """Notes all ends, and takes a while for each if it is told to."""

    events: list[Any] = []
    pause = 0.0

    def on_close(self, session, event):
        gevent.sleep(self.pause)
        self.events.append(event)


@pytest.fixture
def recorder() -> type[Recorder]:
    return type("Fresh", (Recorder,), {"events": []})


@pytest.fixture
def app(recorder) -> WebSocketMiddleware:
    app = WebSocketMiddleware(legacy)
    app.register("/echo", echo)
    app.register("/recorder", recorder)
    return app


def assert_echoes(client: Client) -> None:
    client.send(0x1, b"hello")
    assert client.receive(7) == frame(0x1, b"hello")


def answer_close(client: Client) -> bytes:
    """Wait for a close frame and answer as RFC 6455 wants it; return the frame, when the session is over."""
    received = client.receive(4)
    client.send(0x8, received[2:])
    assert client.receive_to_the_end() == b""
    client.close()
    return received


class TestMaxSessions:
    def test_who_is_one_too_many_is_told_to_come_back_later(self, join, caplog):
        app = WebSocketMiddleware(legacy, max_sessions=2)
        app.register("/", echo)
        inside = [join("/").upgrade(app) for _ in range(2)]
        outside = join("/").ask(app)
        assert outside.status == "503 SERVICE UNAVAILABLE"
        assert outside.headers["Retry-After"] == "5"
        text = "Expected fewer than 2 sessions, found as many. Try again later."
        assert outside.body.decode() == text + "\n"
        assert caplog.messages == [f"refused a handshake for '/': {text}"]
        for client in inside:
            assert_echoes(client)

    def test_a_session_that_ends_makes_room(self, join):
        app = WebSocketMiddleware(legacy, max_sessions=1)
        app.register("/", echo)
        entered: list[Client] = []
        for _ in range(3):
            wait_until(lambda: (client := join("/").ask(app)).status[:3] == "101" and entered.append(client) is None)
            client = entered.pop()
            assert_echoes(client)
            assert join("/").ask(app).status[:3] == "503"
            client.close()

    def test_hold_for_all_routes_together(self, join):
        app = WebSocketMiddleware(legacy, max_sessions=1)
        app.register("/a", echo)
        app.register("/b", echo)
        join("/a").upgrade(app)
        assert join("/b").ask(app).status[:3] == "503"

    def test_hold_however_many_wait_for_their_authorization_at_the_same_time(self, join):
        app = WebSocketMiddleware(legacy, max_sessions=2, authorize=lambda environ: gevent.sleep(0.01))
        app.register("/", echo)
        clients = [join("/") for _ in range(5)]
        gevent.joinall([gevent.spawn(client.ask, app) for client in clients], raise_error=True)
        assert sorted(client.status[:3] for client in clients) == ["101", "101", "503", "503", "503"]


class TestStop:
    def test_tells_all_that_it_goes_away_and_waits_for_them(self, app, recorder, join):
        clients = [join(path).upgrade(app) for path in ("/echo", "/recorder", "/recorder")]
        stopping = gevent.spawn(app.stop)
        for client in clients:
            assert answer_close(client) == GOING_AWAY
        stopping.get(timeout=5)
        assert [event.cause for event in recorder.events] == 2 * [CloseCause.SERVER_SHUTDOWN]
        assert {(event.code, event.initiator, event.clean) for event in recorder.events} == {(1001, "server", True)}

    def test_waits_for_on_close_to_return(self, app, recorder, join):
        recorder.pause = 0.1
        client = join("/recorder").upgrade(app)
        stopping = gevent.spawn(app.stop)
        answer_close(client)
        stopping.get(timeout=5)
        assert len(recorder.events) == 1

    def test_lets_leave_first_what_has_been_sent(self, app, join):
        client = join("/echo").upgrade(app)
        client.send(0x1, b"last words")
        assert client.receive(12) == frame(0x1, b"last words")
        gevent.spawn(app.stop)
        assert answer_close(client) == GOING_AWAY

    def test_gives_up_on_a_silent_client(self, recorder, join):
        app = WebSocketMiddleware(legacy, close_timeout=0.2)
        app.register("/recorder", recorder)
        client = join("/recorder").upgrade(app)
        began = time.monotonic()
        app.stop()
        assert 0.1 < time.monotonic() - began < 5  # drain_timeout is 10
        assert client.receive_to_the_end() == GOING_AWAY
        assert [(event.cause, event.clean) for event in recorder.events] == [(CloseCause.SERVER_SHUTDOWN, False)]

    @pytest.mark.parametrize("limit", [{"drain_timeout": 0.05}, {}])
    def test_waits_no_longer_than_it_may(self, join, limit):
        app = WebSocketMiddleware(legacy, close_timeout=60, **limit)
        app.register("/", echo)
        join("/").upgrade(app)
        began = time.monotonic()
        app.stop(timeout=None if limit else 0.05)
        assert 0.03 < time.monotonic() - began < 5

    def test_is_quick_when_there_are_no_sessions(self, app):
        began = time.monotonic()
        app.stop()
        app.stop()
        assert time.monotonic() - began < 5

    def test_may_use_another_code(self, app, join):
        client = join("/echo").upgrade(app)
        gevent.spawn(app.stop, 1012)
        assert answer_close(client) == frame(0x8, (1012).to_bytes(2, "big"))

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000])
    def test_checks_the_code_before_anything_else(self, app, join, code):
        client = join("/echo").upgrade(app)
        with pytest.raises(ValueError, match=f"expected a close code that may be sent, found {code}"):
            app.stop(code)
        assert_echoes(client)
        assert_echoes(join("/echo").upgrade(app))

    def test_refuses_who_comes_later(self, app, join, caplog):
        app.stop()
        client = join("/echo").ask(app)
        assert client.status == "503 SERVICE UNAVAILABLE"
        assert client.headers["Retry-After"] == "5"
        assert client.body == b"Expected a running server, found one that is being stopped. Try again later.\n"
        assert [record.levelno for record in caplog.records] == [logging.WARNING]

    def test_refuses_who_was_waiting_for_authorization(self, app, join):
        asked, go_on = gevent.event.Event(), gevent.event.Event()
        app.register("/slow", echo, authorize=lambda environ: asked.set() or (go_on.wait() and None))
        client = join("/slow")
        asking = gevent.spawn(client.ask, app)
        asked.wait()
        app.stop()
        go_on.set()
        asking.get(timeout=5)
        assert client.status == "503 SERVICE UNAVAILABLE"

    def test_ends_at_once_what_begins_at_the_same_moment(self, app, join):
        @app.route("/slow")
        class Slow(Endpoint):
            def __init__(self):
                asked.set()
                go_on.wait()

        asked, go_on = gevent.event.Event(), gevent.event.Event()
        client = join("/slow")
        asking = gevent.spawn(client.ask, app)
        asked.wait()
        app.stop(1012)
        go_on.set()
        asking.get(timeout=5)
        assert answer_close(client) == frame(0x8, (1012).to_bytes(2, "big"))

    def test_lets_other_requests_pass(self, app, join):
        app.stop()
        assert join("/echo", HTTP_UPGRADE=None).ask(app).body == b"old page"

    def test_works_from_another_thread(self, app, recorder, join):
        clients = [join("/recorder").upgrade(app) for _ in range(3)]
        stopped = in_thread(lambda: (app.stop(), len(recorder.events)))
        for client in clients:
            assert answer_close(client) == GOING_AWAY
        assert stopped() == (None, 3)

    def test_may_be_called_again_from_wherever(self, app, join):
        for begin in (in_thread, in_thread, gevent.spawn, in_thread, gevent.spawn):
            app._stop_code = None
            client = join("/echo").upgrade(app)
            stopped = begin(app.stop)
            assert answer_close(client) == GOING_AWAY
            assert (stopped.get(timeout=5) if begin is gevent.spawn else stopped()) is None
            began = time.monotonic()
            app.stop()
            assert time.monotonic() - began < 5

    def test_from_within_an_endpoint_does_not_wait_for_ever(self, join):
        app = WebSocketMiddleware(legacy, close_timeout=0.1)
        durations = []

        @app.route("/")
        def quit(session):
            session.receive()
            began = time.monotonic()
            app.stop(timeout=0.1)
            durations.append(time.monotonic() - began)

        client = join("/").upgrade(app)
        client.send(0x1, b"quit")
        assert answer_close(client) == GOING_AWAY
        wait_until(lambda: durations)
        assert durations[0] < 5


FORKING = """
import os, sys
import gevent, gevent.os, gevent.socket
from gevent.pywsgi import WSGIServer
from tests.support.program import run
from tests.support.wire import client_frame, frame
from tests.support.wsgi import upgrade_request
from wsmiddleware import WebSocketMiddleware

def echo(session):
    for message in session:
        session.send(message)

app = WebSocketMiddleware(lambda environ, start_response: [], max_sessions=1)
app.register("/path", echo)

def serve():
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    return server

def connect(server):
    client = gevent.socket.create_connection(("127.0.0.1", server.server_port))
    client.settimeout(10)
    client.sendall(upgrade_request())
    answer = b""
    while not answer.endswith(b"\\r\\n\\r\\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return client

def check(client, text):
    client.sendall(client_frame(1, text))
    answer = client.recv(100)
    assert answer == frame(1, text), answer

server = serve()
if "early" not in sys.argv:
    client = connect(server)
    check(client, b"before")
child = gevent.os.fork()
if not child:
    # max_sessions is 1: the parent's session does not count here.
    server.close()
    check(connect(serve()), b"in the child")
    app.stop(timeout=0.1)
    os._exit(7)
if "early" in sys.argv:
    client = connect(server)
check(client, b"meanwhile")
pid, status = gevent.os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7, status
check(client, b"after")
client.close()
app.stop()
print("done")
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_forked_child_begins_anew_and_leaves_the_parents_sessions_alone(when: str, tmp_path: Path) -> None:
    """Before the first session, as a server that loads the application and then forks; and in the middle of one."""
    assert run(FORKING, when, folder=tmp_path) == "done\n"
