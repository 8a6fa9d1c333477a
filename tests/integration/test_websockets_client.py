"""A client written by others: the library ``websockets``, over real sockets, plain and TLS."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.support.logs import logged
from tests.support.talk import Logs, echo, pages
from tests.support.wsgi import PATIENCE, Server, client_context, wait_until
from wsmiddleware import CloseCause, CloseEvent, Endpoint, WebSocketMiddleware

MIB = 1024 * 1024


class Echo(Endpoint):
    """Echoes, closes if it is told to, and remembers how its sessions ended."""

    events: list[CloseEvent] = []

    def on_open(self, session):
        self.number = 0

    def on_message(self, session, message):
        self.number += 1
        if message == "close":
            session.send("closing")
            session.close(4000, "as you wish")
        elif message == "ping":
            session.ping(b"measure")
        elif message == "latency":
            session.send(str(session.latency))
        elif message == "count":
            session.send(str(self.number))
        else:
            session.send(message)

    def on_close(self, session, event):
        self.events.append(event)


@pytest.fixture(params=[False, True], ids=["plain", "tls"], scope="module")
def server(request) -> Iterator[Server]:
    app = WebSocketMiddleware(pages, max_message_size=32 * MIB)
    app.register("/servlet", Echo)
    app.register("/blocking", echo)
    app.register("/chat/<room>", lambda session, room: session.send(f"{room}, {session.subprotocol}"))
    app.register("/spoken", lambda session: session.send(str(session.subprotocol)), subprotocols=["b", "a"])
    with Server(app, tls=request.param) as server:
        server.tls = request.param  # type: ignore[attr-defined]
        server.app = app  # type: ignore[attr-defined]
        yield server


@pytest.fixture(autouse=True)
def _quiet(server, caplog) -> Iterator[None]:
    """Nothing here is worth a complaint."""
    Echo.events.clear()
    logs = Logs(server)
    yield
    wait_until(lambda: not server.app._channels)
    assert logs.errors == ""
    assert logged(caplog) == []
    assert {status for _, status in logs.accesses} == {"101"}


def dial(server: Server, path: str, **options: Any) -> Any:
    """As ``connect``. The socket is made here, so that no proxy of the environment comes in between."""
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    if server.tls:  # type: ignore[attr-defined]
        context = client_context()
        # This client reads in one thread and writes in another. For OpenSSL that is not safe while the tickets of
        # TLS 1.3 come, right after the handshake: now and then a request is lost, whoever the server is.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        options.update(ssl=context, server_hostname="localhost")
    options = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "max_size": None, **options}
    scheme = "wss" if "ssl" in options else "ws"
    return connect(f"{scheme}://localhost:{server.port}{path}", sock=sock, **options)


def end_of_last() -> CloseEvent:
    wait_until(lambda: Echo.events)
    return Echo.events[-1]


def assert_answered(server: Server, client: Any, code: int) -> None:
    """Assert that the client's close has been answered with *code*."""
    # Over TLS, older releases of the client miss the answer now and then, whoever the server is (13.1 does): one thread
    # changes the socket's timeout while another one reads from it.
    if not server.tls:  # type: ignore[attr-defined]
        assert client.protocol.close_code == code


@pytest.fixture(params=["/servlet", "/blocking"])
def path(request) -> str:
    return request.param


class TestMessages:
    @pytest.mark.parametrize("message", ["text", "", "ünïcödé 😀", b"binary \x00\xff", b""])
    def test_come_back_as_they_were(self, server, path, message):
        with dial(server, path) as client:
            client.send(message)
            assert client.recv(PATIENCE) == message

    def test_come_back_whole_from_fragments(self, server, path):
        with dial(server, path) as client:
            client.send(iter(["frag", "", "mént", "s"]))
            client.send(iter([b"bin", b"ary"]))
            assert [client.recv(PATIENCE), client.recv(PATIENCE)] == ["fragménts", b"binary"]

    @pytest.mark.parametrize("size", [125, 126, 65535, 65536, MIB, 16 * MIB + 1])
    def test_may_be_big(self, server, path, size):
        message = os.urandom(min(size, MIB)) * (size // MIB + 1)
        with dial(server, path) as client:
            client.send(message[:size])
            assert client.recv(PATIENCE) == message[:size]

    def test_keep_their_order(self, server, path):
        messages = [str(number) * (number % 50) for number in range(1000)]
        with dial(server, path) as client:
            for message in messages:
                client.send(message)
            assert [client.recv(PATIENCE) for _ in messages] == messages

    def test_of_one_connection_reach_one_instance(self, server):
        with dial(server, "/servlet") as one, dial(server, "/servlet") as two:
            for client, count in ((one, "1"), (two, "1"), (one, "2"), (one, "3"), (two, "2")):
                client.send("count")
                assert client.recv(PATIENCE) == count

    def test_of_fifty_clients_at_a_time(self, server, path):
        with ExitStack() as stack:
            clients = [stack.enter_context(dial(server, path)) for _ in range(50)]
            for turn in range(3):
                for number, client in enumerate(clients):
                    client.send(f"{turn} of {number}")
                for number, client in reversed(list(enumerate(clients))):
                    assert client.recv(PATIENCE) == f"{turn} of {number}"


class TestPing:
    def test_of_the_client_is_answered(self, server, path):
        with dial(server, path) as client:
            assert client.ping(b"are you there?").wait(PATIENCE)
            assert client.ping().wait(PATIENCE)

    def test_of_the_server_is_answered(self, server):
        with dial(server, "/servlet") as client:
            client.send("ping")
            for _ in range(1000):
                client.send("latency")
                if (latency := client.recv(PATIENCE)) != "None":
                    break
            assert 0 < float(latency) < PATIENCE


class TestClose:
    @pytest.mark.parametrize(
        ("code", "cause"), [(1000, CloseCause.CLIENT_CLOSED), (1001, CloseCause.CLIENT_LEFT), (4321, None)]
    )
    def test_by_the_client(self, server, code, cause):
        with dial(server, "/servlet") as client:
            client.close(code, "bye")
            assert_answered(server, client, code)
        event = end_of_last()
        assert (event.code, event.reason, event.clean) == (code, "bye", True)
        assert event.cause is (cause or CloseCause.CLIENT_CLOSED)

    def test_by_the_client_ends_a_function_in_order(self, server):
        with dial(server, "/blocking") as client:
            client.close(4000)
            assert_answered(server, client, 4000)
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)

    def test_by_the_server(self, server):
        with dial(server, "/servlet") as client:
            client.send("close")
            assert client.recv(PATIENCE) == "closing"
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as you wish")
        event = end_of_last()
        assert (event.cause, event.code, event.clean) == (CloseCause.SERVER_CLOSED, 4000, True)

    def test_by_the_return_of_a_function(self, server):
        with dial(server, "/chat/lobby") as client:
            assert client.recv(PATIENCE) == "lobby, None"
            with pytest.raises(ConnectionClosedOK) as closed:
                client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000

    def test_by_nobody_is_a_lost_network(self, server):
        with dial(server, "/servlet") as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
            client.socket.shutdown(socket.SHUT_RDWR)
            event = end_of_last()
        assert (event.cause, event.code) == (CloseCause.NETWORK_LOST, 1006)

    def test_that_comes_while_the_server_is_sending_loses_no_message(self, server, path):
        with dial(server, path) as client:
            for number in range(100):
                client.send(str(number))
            assert [client.recv(PATIENCE) for _ in range(100)] == list(map(str, range(100)))
            client.close()
            assert_answered(server, client, 1000)


class TestHandshake:
    @pytest.mark.parametrize(
        ("offered", "spoken"), [(["a", "b"], "b"), (["a"], "a"), (["x", "a"], "a"), (["x"], None), (None, None)]
    )
    def test_agrees_on_the_subprotocol_that_the_server_prefers(self, server, offered, spoken):
        names = [Subprotocol(name) for name in offered] if offered else None
        with dial(server, "/spoken", subprotocols=names) as client:
            assert client.subprotocol == spoken
            assert client.recv(PATIENCE) == str(spoken)

    def test_agrees_on_no_compression(self, server, path):
        with dial(server, path) as client:
            assert client.protocol.extensions == []
            client.send("x" * 1000)
            assert client.recv(PATIENCE) == "x" * 1000

    def test_hands_the_paths_parameters_on(self, server):
        with dial(server, "/chat/caf%C3%A9%20noir") as client:
            assert client.recv(PATIENCE) == "café noir, None"

    def test_is_for_pages_of_the_same_host(self, server, path):
        scheme = "https" if server.tls else "http"
        with dial(server, path, origin=Origin(f"{scheme}://localhost:{server.port}")) as client:
            client.send("welcome")
            assert client.recv(PATIENCE) == "welcome"


class TestRefusal:
    @pytest.fixture(autouse=True)
    def _quiet(self) -> None:
        """Refusals are logged."""

    def test_of_a_foreign_page(self, server, path):
        with pytest.raises(InvalidStatus) as refusal, dial(server, path, origin=Origin("https://evil.example")):
            pass
        response = refusal.value.response
        assert response.status_code == 403
        assert b"found 'https://evil.example'" in response.body

    def test_of_a_path_that_is_none_is_the_applications_page(self, server):
        with pytest.raises(InvalidStatus) as refusal, dial(server, "/elsewhere"):
            pass
        response = refusal.value.response
        assert (response.status_code, response.body) == (200, b"page /elsewhere")
