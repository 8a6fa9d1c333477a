"""Taking connections over from gevent.pywsgi, over real sockets, plain and TLS."""

from __future__ import annotations

import os
import re
import socket
import ssl
from functools import partial, wraps
from io import BytesIO

import gevent.socket
import gevent.ssl
import pytest

from tests.support.wsgi import (
    ACCEPT,
    PATIENCE,
    UPGRADE,
    Client,
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
from wsmiddleware.loop.streams import PlainStream, TLSStream
from wsmiddleware.servers import find


def socket_of(start_response) -> gevent.socket.socket:
    return start_response.__self__.socket


class TestTheAnswer:
    @plain_and_tls
    def test_is_a_clean_101(self, tls):
        with Server(Echo(), tls=tls) as server, server.connect() as client:
            head = upgrade(client)
            assert headers_of(head).keys() == {"upgrade", "connection", "sec-websocket-accept", "date"}
            assert {name: headers_of(head)[name.lower()] for name, _ in ACCEPT} == dict(ACCEPT)
            assert_echoes(client)  # And nothing else came behind it.

    @plain_and_tls
    def test_is_one_line_in_the_access_log_and_none_in_the_error_log(self, tls):
        with Server(Echo(), tls=tls) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client)
        assert re.fullmatch(r'127\.0\.0\.1 .* "GET /path HTTP/1\.1" 101 \d+ [\d.]+\n', server.access_log.getvalue())
        assert server.error_log.getvalue() == ""

    @pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive"])
    @pytest.mark.parametrize("upgrade_to", ["websocket", "WebSocket", "websocket, foo", "foo,websocket"])
    def test_comes_however_the_client_words_its_request(self, connection, upgrade_to):
        with Server(Echo()) as server, server.connect() as client:
            upgrade(client, upgrade_request(connection=connection, upgrade=upgrade_to))
            assert_echoes(client)
        assert server.error_log.getvalue() == ""

    @plain_and_tls
    def test_that_does_not_arrive_is_an_os_error_and_leaks_nothing(self, tls):
        found, errors = [], []

        def application(environ, start_response):
            takeover = find(environ, start_response)
            found.append(takeover)
            gevent.socket.wait_read(socket_of(start_response).fileno(), timeout=PATIENCE)  # What comes is the reset.
            try:
                takeover.accept(ACCEPT)
            except OSError as error:
                errors.append(error)
            return takeover.finish()

        with Server(application, tls=tls) as server:
            before = open_sockets()
            client = server.connect()
            client.send(UPGRADE)
            wait_until(lambda: found)
            client.reset()
            wait_until(lambda: errors and open_sockets() == before)
        assert server.error_log.getvalue() == ""


class TestEarlyBytes:
    """A client should wait for the 101, but what it sends before is not lost."""

    @plain_and_tls
    def test_behind_the_request_are_returned(self, tls):
        echo = Echo()
        with Server(echo, tls=tls) as server, server.connect() as client:
            upgrade(client, UPGRADE + b"early")
            assert client.receive(5) == b"early"
            assert echo.early == [b"early"]
            assert_echoes(client)

    @plain_and_tls
    def test_are_returned_in_full_and_followed_by_the_rest(self, tls):
        # More than a TLS record, and more than the buffer of the server's reader.
        data = os.urandom(1 << 16)
        echo = Echo()
        with Server(echo, tls=tls) as server, server.connect() as client:
            upgrade(client, UPGRADE + data)
            assert client.receive(len(data)) == data
            assert 0 < len(echo.early[0]) <= len(data)

    @plain_and_tls
    def test_when_there_are_none_are_empty(self, tls):
        echo = Echo()
        with Server(echo, tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: echo.early)  # It has been taken.
            assert echo.early == [b""]
            assert_echoes(client)

    @plain_and_tls
    def test_that_wait_in_the_kernel_before_the_take_arrive(self, tls):
        echo = Echo(before_take=lambda environ, start_response: wait_until_readable(socket_of(start_response).fileno()))
        with Server(echo, tls=tls) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client, b"early")

    @plain_and_tls
    def test_that_wait_in_the_kernel_when_the_application_returns_arrive(self, tls):
        # pywsgi reads from the socket of a connection that it is done with, and throws away what it gets.
        echo = Echo(before_return=lambda stream: wait_until_readable(stream.fd))
        with Server(echo, tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: echo.early)  # It has been taken.
            assert_echoes(client, b"early")

    def test_with_an_odd_request_arrive(self):
        # pywsgi then passes a reader of the body as wsgi.input, not of the socket.
        with Server(Echo()) as server, server.connect() as client:
            upgrade(client, upgrade_request(connection="keep-alive, Upgrade", upgrade="websocket, foo") + b"early")
            assert client.receive(5) == b"early"


class TestTheConnection:
    @plain_and_tls
    def test_outlives_the_server_s_greenlet(self, tls):
        with Server(Echo(), tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: len(server.greenlets) == 0)
            assert_echoes(client, b"a")
            assert_echoes(client, b"b" * 100_000)

    def test_is_a_bare_descriptor_without_tls(self):
        streams = []
        with Server(Echo(before_return=streams.append)) as server, server.connect() as client:
            upgrade(client)
        assert [type(stream) for stream in streams] == [PlainStream]

    @pytest.mark.parametrize("context", [gevent.ssl.SSLContext, ssl.SSLContext])
    def test_works_with_a_tls_context_of_gevent_or_of_the_standard_library(self, context):
        streams = []
        echo = Echo(before_return=streams.append)
        with Server(echo, tls=True, context=context) as server, server.connect() as client:
            upgrade(client, UPGRADE + b"early")
            assert client.receive(5) == b"early"
            assert_echoes(client)
        assert [type(stream) for stream in streams] == [TLSStream]
        assert server.error_log.getvalue() == ""

    def test_may_be_of_a_unix_socket(self, tmp_path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        listener.setblocking(False)
        with Server(Echo(), listener=listener) as server, socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(tmp_path / "socket"))
            with Client(sock) as client:
                upgrade(client, UPGRADE + b"early")
                assert client.receive(5) == b"early"
                assert_echoes(client)
        assert server.error_log.getvalue() == ""

    @plain_and_tls
    def test_sends_without_delay(self, tls):
        options = []

        def note_option(stream):
            sock = gevent.socket.socket(fileno=os.dup(stream.fd))
            options.append(sock.getsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY))
            sock.close()

        with Server(Echo(before_return=note_option), tls=tls) as server, server.connect() as client:
            upgrade(client)
        assert options and options[0] != 0

    @plain_and_tls
    def test_is_closed_with_the_stream_and_leaves_nothing(self, tls):
        with Server(Echo(), tls=tls) as server:
            before = open_sockets()
            with server.connect() as client:
                upgrade(client, UPGRADE + b"early")
                assert client.receive(5) == b"early"
                client.end()
                assert client.receive_to_the_end() == b""
            wait_until(lambda: open_sockets() == before)

    @plain_and_tls
    def test_is_closed_although_the_environ_lives_on(self, tls):
        environs = []
        echo = Echo(before_take=lambda environ, start_response: environs.append(environ))
        with Server(echo, tls=tls) as server:
            before = open_sockets()
            with server.connect() as client:
                upgrade(client)
            wait_until(lambda: open_sockets() == before)
            assert environs

    @plain_and_tls
    def test_cannot_be_found_a_second_time(self, tls):
        diagnoses = []

        def application(environ, start_response):
            result = echo(environ, start_response)
            diagnoses.append(diagnosis_of(environ, start_response))
            return result

        echo = Echo()
        with Server(application, tls=tls) as server, server.connect() as client:
            upgrade(client)
            assert_echoes(client)
        assert "found that it has been taken over before, or closed" in diagnoses[0]


class TestManyConnections:
    @plain_and_tls
    def test_keep_apart(self, tls):
        with Server(Echo(), tls=tls) as server:
            clients = [server.connect() for _ in range(20)]
            for client in clients:
                upgrade(client)
            for number, client in enumerate(clients):
                assert_echoes(client, b"from %d" % number)
            for client in clients:
                client.close()
        assert server.error_log.getvalue() == ""
        assert server.access_log.getvalue().count(" 101 ") == 20


def mark(start_response, status, headers, exc_info=None):
    """What other middleware does when start_response is called."""
    return start_response(status, [*headers, ("X-Middleware", "was here")], exc_info)


# What other middleware makes of start_response. Each takes an application and returns one.


def by_a_closure(application):
    def wrapped(environ, start_response):
        return application(environ, lambda *arguments: mark(start_response, *arguments))

    return wrapped


def by_a_closure_without_a_write(application):
    def wrapped(environ, start_response):
        def start(*arguments):
            mark(start_response, *arguments)

        return application(environ, start)

    return wrapped


def by_a_closure_over_a_copy_of_the_environ(application):
    return by_a_closure(lambda environ, start_response: application(dict(environ), start_response))


def by_a_partial(application):
    return lambda environ, start_response: application(environ, partial(mark, start_response))


def by_an_object(application):
    class Start:
        def __init__(self, start_response):
            self.start_response = start_response

        def __call__(self, *arguments):
            return mark(self.start_response, *arguments)

    return lambda environ, start_response: application(environ, Start(start_response))


def by_a_method(application):
    class Middleware:
        def __init__(self, start_response):
            self.start_response = start_response

        def start(self, *arguments):
            return mark(self.start_response, *arguments)

    return lambda environ, start_response: application(environ, Middleware(start_response).start)


def by_wraps(application):
    def decorate(start_response):
        return wraps(start_response)(lambda *arguments: mark(start_response, *arguments))

    return lambda environ, start_response: application(environ, decorate(start_response))


def by_slots(application):
    class Start:
        __slots__ = ("__start_response", "unset")

        def __init__(self, start_response):
            self.__start_response = start_response

        def __call__(self, *arguments):
            return mark(self.__start_response, *arguments)

    return lambda environ, start_response: application(environ, Start(start_response))


PASSING = [
    by_a_closure,
    by_a_closure_without_a_write,
    by_a_closure_over_a_copy_of_the_environ,
    by_a_partial,
    by_an_object,
    by_a_method,
    by_slots,
    by_wraps,
]


class TestAWrappedStartResponse:
    @plain_and_tls
    @pytest.mark.parametrize("wrap", PASSING)
    def test_is_no_obstacle_and_is_used(self, wrap, tls):
        with Server(wrap(Echo()), tls=tls) as server, server.connect() as client:
            headers = headers_of(upgrade(client, UPGRADE + b"early"))
            assert headers["x-middleware"] == "was here"
            assert "content-length" not in headers
            assert client.receive(5) == b"early"
            assert_echoes(client)
        assert server.error_log.getvalue() == ""
        assert server.access_log.getvalue().count('" 101 ') == 1

    def test_is_no_obstacle_when_the_environ_has_another_body(self):
        echo = Echo()

        def middleware(environ, start_response):
            environ["wsgi.input"] = BytesIO()
            return echo(environ, start_response)

        with Server(by_a_closure(middleware)) as server, server.connect() as client:
            upgrade(client, UPGRADE + b"early")
            assert client.receive(5) == b"early"
            assert_echoes(client)

    def test_is_no_obstacle_when_the_environ_of_an_odd_request_is_a_copy(self):
        application = by_a_closure_over_a_copy_of_the_environ(Echo())
        with Server(application) as server, server.connect() as client:
            upgrade(client, upgrade_request(connection="keep-alive, Upgrade", upgrade="websocket, foo"))
            assert_echoes(client)

    def test_several_times_is_no_obstacle(self):
        application = Echo()
        for wrap in PASSING:
            application = wrap(application)
        with Server(application) as server, server.connect() as client:
            assert upgrade(client).count(b"X-Middleware: was here\r\n") == len(PASSING)
            assert_echoes(client)

    @plain_and_tls
    def test_that_keeps_the_answer_until_the_application_returns_is_passed_by(self, tls):
        class Response:
            def __init__(self, start_response):
                self.start_response = start_response
                self.arguments = ()
                self.body = []

            def start(self, *arguments):
                self.arguments = arguments
                return self.body.append

        def middleware(environ, start_response):
            response = Response(start_response)
            response.body.extend(echo(environ, response.start))
            start_response(*response.arguments)
            return response.body

        echo = Echo()
        with Server(middleware, tls=tls) as server, server.connect() as client:
            upgrade(client)
            wait_until(lambda: len(server.greenlets) == 0)
            assert_echoes(client)
        assert server.error_log.getvalue() == ""
        assert server.access_log.getvalue().count('" 101 ') == 1

    @plain_and_tls
    def test_that_does_not_lead_to_the_handler_is_diagnosed(self, tls):
        def middleware(environ, start_response):
            answer = []
            diagnoses.append(diagnosis_of(environ, lambda *arguments: answer.append(arguments)))
            start_response("501 Not Implemented", [("Content-Length", "0")])
            return []

        diagnoses = []
        with Server(middleware, tls=tls) as server, server.connect() as client:
            client.send(UPGRADE)
            assert client.receive_head().startswith(b"HTTP/1.1 501 ")
            client.send(UPGRADE)  # The connection is still the server's.
            assert client.receive_head().startswith(b"HTTP/1.1 501 ")
        assert diagnoses[0].startswith("gevent.pywsgi (SERVER_SOFTWARE 'gevent/")
        assert "found start_response is tests.servers.test_pywsgi.TestAWrappedStartResponse." in diagnoses[0]
        assert diagnoses[0].endswith("put WebSocketMiddleware around that middleware, not into it.")

    @plain_and_tls
    def test_that_leads_to_another_request_s_handler_takes_nothing_from_it(self, tls):
        class Careless:
            """Middleware with a known mistake: one object for all requests holds what belongs to one of them."""

            start_response = None

            def __call__(self, environ, start_response):
                if self.start_response is None:
                    self.start_response = start_response
                    wait_until(lambda: diagnoses)
                    return echo(environ, self.start)
                diagnoses.append(diagnosis_of(environ, self.start))
                start_response("501 Not Implemented", [("Content-Length", "0")])
                return []

            def start(self, *arguments):
                return self.start_response(*arguments)

        careless, echo, diagnoses = Careless(), Echo(), []
        with Server(careless, tls=tls) as server, server.connect() as first, server.connect() as second:
            first.send(UPGRADE)
            wait_until(lambda: careless.start_response)
            second.send(UPGRADE)
            assert second.receive_head().startswith(b"HTTP/1.1 501 ")
            assert first.receive_head().startswith(b"HTTP/1.1 101 ")
            assert_echoes(first)
        assert "expected start_response to be, or to call, the method of the" in diagnoses[0]


class TestAnAnswerBefore:
    def test_is_diagnosed(self):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "2")])(b"ok")
            diagnoses.append(diagnosis_of(environ, start_response))
            return []

        diagnoses = []
        with Server(application) as server, server.connect() as client:
            client.send(UPGRADE)
            assert client.receive_response()[1] == b"ok"
        assert "found that gevent.pywsgi.WSGIHandler has sent b'200 OK'." in diagnoses[0]
