"""The middleware says no: to a wrong handshake, under a wrong server, and in the name of an application."""

from __future__ import annotations

import logging

import pytest
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from tests.support.joined import said, say_hello
from tests.support.wire import frame
from wsmiddleware import ConnectionUnavailable, Endpoint, WebSocketMiddleware


def say_place(session):
    session.send(f"{session.environ['SCRIPT_NAME']}|{session.environ['PATH_INFO']}")


def say_room(session, room):
    session.send(room)


class TestRefusing:
    @pytest.mark.parametrize(
        ("wrong", "status", "text"),
        [
            ({"REQUEST_METHOD": "POST"}, "405 Method Not Allowed", b"Expected the method GET, found 'POST'."),
            ({"HTTP_ORIGIN": "https://evil.example"}, "403 Forbidden", b"found 'https://evil.example'"),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, "426 Upgrade Required", b"Expected Sec-WebSocket-Version: 13"),
            ({"HTTP_SEC_WEBSOCKET_KEY": "x"}, "400 Bad Request", b"Expected one Sec-WebSocket-Key"),
        ],
    )
    def test_says_the_same_to_the_client_and_to_the_log(self, app, join, caplog, wrong, status, text):
        app.register("/", say_hello)
        client = join("/", SCRIPT_NAME="/app", **wrong).ask(app)
        assert client.body.endswith(b"\n")
        assert client.status == status
        assert client.headers["Content-Length"] == str(len(client.body))
        assert text in client.body
        ((name, level, message),) = caplog.record_tuples
        assert (name, level) == ("wsmiddleware.handshake", logging.WARNING)
        assert message == f"refused a handshake for '/app/' from 192.0.2.7: {client.body.decode()[:-1]}"

    def test_shows_the_log_no_line_that_the_client_made_up(self, app, join, caplog):
        app.register("/chat/<room>", say_room)
        join("/chat/x\nERROR everything is lost" + 1000 * "!", REQUEST_METHOD="POST").ask(app)
        join("/chat/x\nERROR everything is lost" + 1000 * "!", joined=False).ask(app)
        assert len(caplog.messages) == 2
        for message in caplog.messages:
            assert "/chat/x\\nERROR everything is lost!!!" in message
            assert "\n" not in message
            assert len(message) < 400

    def test_leaves_the_connection_to_the_server(self, app, join):
        app.register("/", say_hello)
        client = join("/", REQUEST_METHOD="POST").ask(app)
        assert client.environ["test.socket"].fileno() >= 0


class TestUnderAServerThatHasAnsweredAlready:
    """Its 101 is on the wire: a refusal is a close with code 1008."""

    @pytest.mark.parametrize(
        ("options", "request_", "reason"),
        [
            ({}, {"HTTP_ORIGIN": "https://evil.example"}, b"Expected Origin to be that of a page of this host"),
            ({"authorize": lambda environ: Unauthorized()}, {}, b"not authorized"),
        ],
    )
    def test_a_refusal_is_a_close(self, app, join, caplog, options, request_, reason):
        app.register("/", say_hello, **options)
        client = join("/", **{"test.answered": True, **request_}).ask(app)
        opcode, length = client.receive(2)
        assert (opcode, client.receive(2)) == (0x88, (1008).to_bytes(2, "big"))
        assert client.receive(length - 2).startswith(reason)
        assert client.status == ""
        assert "gevent.pywsgi.WSGIHandler" in caplog.messages[-1]
        assert {record.levelname for record in caplog.records} == {"WARNING"}

    def test_a_session_begins_without_another_answer(self, app, join):
        app.register("/", say_hello)
        client = join("/", **{"test.answered": True}).ask(app)
        assert said(client) == "hello"
        assert client.status == ""

    def test_its_subprotocol_is_the_sessions(self, app, join):
        app.register("/", lambda session: session.send(str(session.subprotocol)), subprotocols=["ours"])
        offer = {"HTTP_SEC_WEBSOCKET_PROTOCOL": "ours, theirs"}
        client = join("/", **{"test.answered": True, "test.subprotocol": "theirs", **offer}).ask(app)
        assert said(client) == "theirs"

    def test_its_extensions_are_a_promise_that_cannot_be_kept(self, app, join, caplog):
        app.register("/", say_hello)
        client = join("/", **{"test.answered": True, "test.extensions": "permessage-deflate"}).ask(app)
        reason = "Expected no extensions in the handshake of a test's server, found permessage-deflate."
        assert client.receive(4 + len(reason)) == frame(0x8, (1008).to_bytes(2, "big") + reason.encode())
        assert caplog.messages[0] == f"refused a session for '/': {reason}"


class TestUnavailable:
    """The server does not give its connection away."""

    def test_is_a_plain_501_and_a_diagnosis_in_the_log(self, app, legacy, join, caplog):
        app.register("/", say_hello)
        client = join("/", joined=False).ask(app)
        assert client.status == "501 NOT IMPLEMENTED"
        assert client.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert client.body == b"This server cannot serve WebSockets. Its log says why.\n"
        assert caplog.record_tuples == [
            (
                "wsmiddleware.handshake",
                logging.WARNING,
                "no WebSocket for '/': a test's server gives nothing away",
            )
        ]
        assert legacy.calls == []

    def test_may_be_left_to_the_application(self, legacy, join, caplog):
        app = WebSocketMiddleware(legacy, on_unavailable="app")
        app.register("/", say_hello)
        client = join("/", joined=False)
        assert app(client.environ, client.start_response) is legacy.answer
        assert legacy.calls[0][0] is client.environ
        assert len(caplog.records) == 1

    def test_may_be_left_to_another_application(self, legacy, join):
        app = WebSocketMiddleware(legacy, on_unavailable=Response("use long polling", 503))
        app.register("/", say_hello)
        client = join("/", joined=False).ask(app)
        assert (client.status, client.body) == ("503 SERVICE UNAVAILABLE", b"use long polling")

    def test_does_not_matter_to_other_requests(self, app, join, caplog):
        assert join("/", joined=False).ask(app).body == b"old page"
        assert caplog.records == []


class TestUpgrading:
    """An application decides by itself."""

    @pytest.fixture
    def app(self):
        def legacy(environ, start_response):
            return app.upgrade(environ, start_response, endpoint=say_place)

        app = WebSocketMiddleware(legacy, origins=["https://good.example"])
        return app

    def test_makes_a_session_with_the_default_options(self, app, join):
        client = join("/any/path", SCRIPT_NAME="/app", HTTP_ORIGIN="https://good.example").upgrade(app)
        assert said(client) == "/app|/any/path"

    def test_answers_a_wrong_handshake(self, app, join):
        assert join("/", HTTP_ORIGIN="https://bad.example").ask(app).status == "403 Forbidden"
        plain = join("/", HTTP_UPGRADE=None).ask(app)
        assert plain.status == "426 Upgrade Required"
        assert plain.headers["Sec-WebSocket-Version"] == "13"

    def test_takes_a_class_as_well(self, app, join):
        class Hello(Endpoint):
            def on_open(self, session):
                say_hello(session)

        client = join("/")
        assert list(app.upgrade(client.environ, client.start_response, Hello)) == []
        assert client.receive(7) == frame(0x1, b"hello")

    def test_says_when_the_server_does_not_give_its_connection_away(self, app, join, caplog):
        client = join("/", joined=False)
        with pytest.raises(ConnectionUnavailable, match="a test's server gives nothing away"):
            app.upgrade(client.environ, client.start_response, say_hello)
        assert client.status == ""
        assert caplog.records == []

    def test_refuses_what_is_no_endpoint(self, app, join):
        client = join("/")
        with pytest.raises(TypeError, match="expected a function that can be called with"):
            app.upgrade(client.environ, client.start_response, say_room)
        assert client.status == ""
