"""Under gevent-websocket's handler, which has answered the handshake before any application is asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from geventwebsocket.handler import WebSocketHandler
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from tests.support.logs import logged
from tests.support.talk import BINARY, CLOSE, PAGE, TEXT, Talk, echo, handshake, pages, talk
from tests.support.wire import client_frame
from tests.support.wsgi import Server, headers_of, wait_until
from wsmiddleware import CloseCause, CloseEvent, Endpoint, WebSocketMiddleware

PLAIN_HANDLER = (
    "the refusal is a close with code 1008, because gevent-websocket has answered the handshake before the application "
    "was asked. For an HTTP response use the plain handler, gevent.pywsgi.WSGIHandler"
)


class Echo(Endpoint):
    """Echoes, and remembers how its sessions began and ended."""

    events: list[CloseEvent] = []
    subprotocols: list[str | None] = []

    def on_open(self, session):
        self.subprotocols.append(session.subprotocol)

    def on_message(self, session, message):
        session.send(message)

    def on_close(self, session, event):
        self.events.append(event)


def legacy(environ, start_response):
    """An application with pages, and with a WebSocket of gevent-websocket's at /legacy."""
    if environ["PATH_INFO"] == "/legacy":
        websocket = environ["wsgi.websocket"]
        while (message := websocket.receive()) is not None:
            websocket.send(f"legacy {message}")
        return []
    if environ["PATH_INFO"] == "/own":
        return app.upgrade(environ, start_response, echo)
    return pages(environ, start_response)


app = WebSocketMiddleware(legacy, max_sessions=5)
app.register("/servlet", Echo)
app.register("/blocking", echo)
app.register("/private", Echo, authorize=lambda environ: Unauthorized())
app.register("/elsewhere", Echo, origins=["https://elsewhere.example"])
app.register("/spoken", Echo, subprotocols=["chat"])


@pytest.fixture(params=[False, True], ids=["plain", "tls"], scope="module")
def server(request) -> Iterator[Server]:
    with Server(app, handler_class=WebSocketHandler, tls=request.param) as server:
        yield server


@pytest.fixture(autouse=True)
def _lives(server, caplog) -> Iterator[None]:
    Echo.events.clear()
    Echo.subprotocols.clear()
    yield
    with talk(server, "/servlet") as session:
        assert session.echoes()
    wait_until(lambda: not app._channels)
    assert logged(caplog, logging.ERROR) == []
    assert server.error_log.getvalue() == ""


class TestEndpoints:
    @pytest.mark.parametrize("path", ["/servlet", "/blocking", "/own"])
    def test_work_as_under_the_plain_handler(self, server, path):
        with talk(server, path) as session:
            assert session.echoes("héllo".encode())
            session.send(BINARY, bytes(range(256)) * 1000)
            assert session.receive() == (0x82, bytes(range(256)) * 1000)
            session.write(client_frame(TEXT, b"frag", fin=False) + client_frame(0x0, b"ments"))
            assert session.receive() == (0x81, b"fragments")
            session.send(CLOSE, b"\x03\xe9bye")
            assert session.receive_close() == (1001, "")
            assert session.receive() is None  # above all no second close frame, from the handler

    def test_are_told_how_the_session_ended(self, server):
        with talk(server, "/servlet") as session:
            session.send(CLOSE, b"\x03\xe9bye")
            assert session.receive_close() == (1001, "")
        wait_until(lambda: Echo.events)
        (event,) = Echo.events
        assert (event.cause, event.code, event.reason, event.clean) == (CloseCause.CLIENT_LEFT, 1001, "bye", True)

    def test_outlive_the_handler(self, server):
        with talk(server, "/servlet") as session:
            assert session.echoes()
            wait_until(lambda: len(server.greenlets) == 0)
            assert session.echoes()

    def test_get_what_came_right_behind_the_request(self, server):
        with server.connect() as client:
            client.send(handshake("/servlet") + client_frame(TEXT, b"early"))
            assert client.receive_head().startswith(b"HTTP/1.1 101 ")
            assert client.receive(7) == b"\x81\x05early"

    def test_speak_no_subprotocol_for_the_handler_agrees_on_none(self, server):
        with talk(server, "/spoken", {"Sec-WebSocket-Protocol": "chat"}) as session:
            assert session.echoes()
            assert headers_of(session.head).keys() == {"upgrade", "connection", "sec-websocket-accept"}
            assert Echo.subprotocols == [None]


class TestTheApplication:
    def test_keeps_its_pages(self, server):
        with server.connect() as client:
            client.send(PAGE)
            assert client.receive_response()[1] == b"page /page"

    def test_keeps_its_own_websockets(self, server):
        with talk(server, "/legacy") as session:
            session.send(TEXT, b"message")
            assert session.receive() == (0x81, b"legacy message")
            session.send(CLOSE, b"\x03\xe8")
            received = session.receive()
            assert received is not None
            assert received[0] == 0x88


class TestRefusals:
    """A 101 has gone out already: what says no is a close frame."""

    @pytest.mark.parametrize(
        ("path", "fields", "reason"),
        [
            pytest.param(
                "/servlet",
                {"Origin": "http://evil.example"},
                "Expected Origin to be that of a page of this host",
                id="foreign page",
            ),
            pytest.param("/elsewhere", {"Origin": "http://localhost"}, "Expected Origin to be one of", id="other page"),
            pytest.param("/private", {}, "not authorized", id="not authorized"),
            pytest.param(
                "/servlet",
                {"Sec-WebSocket-Version": "8"},
                "Expected Sec-WebSocket-Version: 13, found '8'.",
                id="a draft's version, which the handler accepts",
            ),
            pytest.param(
                "/servlet",
                {"Sec-WebSocket-Protocol": "a b"},
                "Expected Sec-WebSocket-Protocol to be a list of names",
                id="a subprotocol that is no name",
            ),
            pytest.param("/own", {"Origin": "null"}, "Expected Origin to be", id="in the application's name"),
        ],
    )
    def test_are_a_close_with_1008_and_a_line_in_the_log(self, server, caplog, path, fields, reason):
        with talk(server, path, fields) as session:
            code, text = session.receive_close()
            assert code == 1008
            assert text.startswith(reason)
            assert "\n" not in text
            session.send(CLOSE, b"\x03\xf0")
            assert session.receive() is None
        assert caplog.messages[-1] == PLAIN_HANDLER
        assert {record.levelno for record in caplog.records} == {logging.WARNING}
        assert Echo.subprotocols == Echo.events == []  # no endpoint has heard of it

    def test_hold_for_sessions_that_are_too_many(self, server, caplog):
        wait_until(lambda: not app._channels)
        inside: list[Talk] = [talk(server, "/servlet") for _ in range(5)]
        with talk(server, "/servlet") as outside:
            assert outside.receive_close() == (
                1008,
                "Expected fewer than 5 sessions, found as many. Try again later.",
            )
            outside.send(CLOSE, b"\x03\xf0")
            assert outside.receive() is None
        for session in inside:
            assert session.echoes()
            session.client.close()
        assert caplog.messages[-1] == PLAIN_HANDLER
        wait_until(lambda: not app._channels)

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"method": "POST"}, b"405 Method Not Allowed"),
            ({"fields": {"Connection": "keep-alive"}}, b"400 Bad Request"),
            ({"fields": {"Upgrade": "h2c, websocket", "Origin": "null"}}, b"403 Forbidden"),
        ],
    )
    def test_are_http_where_the_handler_has_left_the_request_alone(self, server, change, status):
        with server.connect() as client:
            client.send(handshake("/servlet", **change))
            head, _ = client.receive_response()
            assert head.startswith(b"HTTP/1.1 " + status)


class PromisingHandler(WebSocketHandler):  # type: ignore[misc]
    """As the development version of gevent-websocket, or a subclass of it, may be: promises what it likes."""

    promises: list[tuple[str, str]] = []

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        return super().start_response(status, [*headers, *self.promises], exc_info)


class TestPromises:
    """What the handler's own 101 has promised, the client takes at its word."""

    @pytest.fixture(autouse=True)
    def _lives(self) -> None:
        pass

    def test_of_an_extension_cannot_be_kept(self, caplog, monkeypatch):
        monkeypatch.setattr(PromisingHandler, "promises", [("Sec-WebSocket-Extensions", "permessage-deflate")])
        app = WebSocketMiddleware(Response("page"))
        app.register("/echo", Echo)
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
        with Server(app, handler_class=PromisingHandler) as server, talk(server, "/echo", offer) as session:
            assert headers_of(session.head)["sec-websocket-extensions"] == "permessage-deflate"
            session.write(client_frame(TEXT, b"\xf2H\xcd\xc9\xc9\x07\x00", rsv=4))  # "Hello": RFC 7692, section 7.2.3.1
            reason = "Expected no extensions in the handshake of gevent-websocket, found permessage-deflate."
            assert session.receive_close() == (1008, reason)
            session.send(CLOSE, b"\x03\xf0")
        assert caplog.messages == [f"refused a session for '/echo': {reason}", PLAIN_HANDLER]
        assert server.error_log.getvalue() == ""

    def test_of_a_subprotocol_is_the_sessions(self, monkeypatch):
        monkeypatch.setattr(PromisingHandler, "promises", [("Sec-WebSocket-Protocol", "chat")])
        Echo.subprotocols.clear()
        app = WebSocketMiddleware(Response("page"))
        app.register("/echo", Echo)
        with Server(app, handler_class=PromisingHandler) as server:
            with talk(server, "/echo", {"Sec-WebSocket-Protocol": "chat"}) as session:
                assert session.echoes()
        assert Echo.subprotocols == ["chat"]
