"""Taking connections over from gevent-websocket's handler, which has answered already, over real sockets."""

from __future__ import annotations

import os

from gevent.pywsgi import WSGIHandler
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

from tests.support.wsgi import (
    UPGRADE,
    Echo,
    Server,
    assert_echoes,
    diagnosis_of,
    headers_of,
    open_sockets,
    plain_and_tls,
    upgrade,
    upgrade_request,
    wait_until,
    wait_until_readable,
)


def serve(application=None, *, tls: bool = False, handler_class: type[WSGIHandler] = WebSocketHandler) -> Server:
    return Server(application or Echo(), tls=tls, handler_class=handler_class)


class TestTheAnswer:
    @plain_and_tls
    def test_is_the_handler_s_and_no_other(self, tls):
        echo = Echo()
        with serve(echo, tls=tls) as server, server.connect() as client:
            assert headers_of(upgrade(client)).keys() == {"upgrade", "connection", "sec-websocket-accept"}
            assert_echoes(client)  # And nothing else came behind it.
        takeover = echo.takeovers[0]
        assert (takeover.server, takeover.answered) == ("gevent-websocket", True)
        assert server.error_log.getvalue() == ""

    def test_promises_nothing_more(self):
        echo = Echo()
        offers = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        with serve(echo) as server, server.connect() as client:
            upgrade(client, upgrade_request(more=offers))
        assert (echo.takeovers[0].promised_subprotocol, echo.takeovers[0].promised_extensions) == (None, None)

    def test_may_promise_a_subprotocol(self):
        class Application(Echo):
            def app_protocol(self, path):
                assert path == "/path"
                return "chat"

        echo = Application()
        with serve(echo) as server, server.connect() as client:
            head = upgrade(client, upgrade_request(more="Sec-WebSocket-Protocol: news, chat\r\n"))
        assert headers_of(head)["sec-websocket-protocol"] == "chat"
        assert echo.takeovers[0].promised_subprotocol == "chat"

    def test_may_promise_extensions(self):
        class DevelopmentVersion(WebSocketHandler):
            """Adds the header that gevent-websocket's own one adds, in its repository, to what was released."""

            def start_response(self, status, headers, exc_info=None):
                return super().start_response(
                    status, [*headers, ("Sec-WebSocket-Extensions", "permessage-deflate")], exc_info
                )

        echo = Echo()
        with serve(echo, handler_class=DevelopmentVersion) as server, server.connect() as client:
            head = upgrade(client, upgrade_request(more="Sec-WebSocket-Extensions: permessage-deflate\r\n"))
            assert_echoes(client)
        assert headers_of(head)["sec-websocket-extensions"] == "permessage-deflate"
        assert echo.takeovers[0].promised_extensions == "permessage-deflate"

    def test_comes_from_us_when_the_handler_has_none(self):
        # It knows only the one word in Upgrade, and passes other requests on.
        echo = Echo()
        with serve(echo) as server, server.connect() as client:
            upgrade(client, upgrade_request(upgrade="websocket, foo") + b"early")
            assert client.receive(5) == b"early"
            assert_echoes(client)
        assert (echo.takeovers[0].server, echo.takeovers[0].answered) == ("gevent.pywsgi", False)
        assert server.error_log.getvalue() == ""


class TestEarlyBytes:
    @plain_and_tls
    def test_behind_the_request_arrive(self, tls):
        with serve(tls=tls) as server, server.connect() as client:
            upgrade(client, UPGRADE + b"early")
            assert client.receive(5) == b"early"
            assert_echoes(client)

    @plain_and_tls
    def test_that_wait_in_the_kernel_before_the_take_arrive(self, tls):
        def wait(environ, start_response):
            wait_until_readable(environ["wsgi.websocket"].handler.socket.fileno())

        with serve(Echo(before_take=wait), tls=tls) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client, b"early")

    @plain_and_tls
    def test_that_wait_in_the_kernel_when_the_application_returns_arrive(self, tls):
        echo = Echo(before_return=lambda stream: wait_until_readable(stream.fd))
        with serve(echo, tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: echo.early)  # It has been taken.
            assert_echoes(client, b"early")


class TestTheConnection:
    @plain_and_tls
    def test_outlives_the_handler_which_says_no_goodbye(self, tls):
        # Otherwise a close frame would come before the echo.
        with serve(tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: len(server.greenlets) == 0)
            assert_echoes(client, os.urandom(100_000))
        assert server.error_log.getvalue() == ""

    @plain_and_tls
    def test_is_closed_with_the_stream_and_leaves_nothing(self, tls):
        with serve(tls=tls) as server:
            before = open_sockets()
            with server.connect() as client:
                upgrade(client)
                client.end()
                assert client.receive_to_the_end() == b""
            wait_until(lambda: open_sockets() == before)

    def test_is_no_longer_that_of_the_websocket(self):
        websockets: list[WebSocket] = []
        echo = Echo(before_take=lambda environ, start_response: websockets.append(environ["wsgi.websocket"]))
        with serve(echo) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client)
        assert websockets[0].closed

    @plain_and_tls
    def test_cannot_be_found_a_second_time(self, tls):
        diagnoses = []

        def application(environ, start_response):
            result = echo(environ, start_response)
            diagnoses.append(diagnosis_of(environ, start_response))
            return result

        echo = Echo()
        with serve(application, tls=tls) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client)
        assert "found that it has been taken over before, or closed" in diagnoses[0]

    def test_cannot_be_found_when_the_application_has_closed_it(self):
        diagnoses = []

        def application(environ, start_response):
            environ["wsgi.websocket"].close()
            diagnoses.append(diagnosis_of(environ, start_response))
            return []

        with serve(application) as server, server.connect() as client:
            upgrade(client)
            client.receive_to_the_end()
        assert "found that it has been taken over before, or closed" in diagnoses[0]
