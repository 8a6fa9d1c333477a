"""A client that is joined to a middleware by a pair of sockets, with no server in between.

The middleware's end travels in the environ, as a server's would, and ``find`` finds it there. All runs in one thread:
the middleware's loop goes on whenever the client waits.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gevent.socket
import pytest

from tests.support.wire import client_frame, frame
from wsmiddleware import servers
from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.streams import PlainStream
from wsmiddleware.session import Session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATIENCE = 10.0
"""Seconds after which a test gives up on something that takes milliseconds."""

HERE = "test.socket"
"""The key in the environ under which the middleware's end is."""

RETURNED = frame(0x8, b"\x03\xe8")
"""A close frame with code 1000: a function that is an endpoint has returned."""


class JoinedTakeover:
    """One end of a pair of sockets, as a server gives it away."""

    server = "a test's server"

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.answered: bool = environ.get("test.answered", False)
        self.promised_subprotocol: str | None = environ.get("test.subprotocol")
        self.promised_extensions: str | None = environ.get("test.extensions")
        self._environ = environ
        self._start_response = start_response

    def accept(self, headers: list[tuple[str, str]]) -> None:
        if not self.answered:
            self._start_response("101 Switching Protocols", headers)

    def take(self) -> tuple[PlainStream, bytes]:
        sock: socket.socket = self._environ[HERE]
        return PlainStream(sock.detach()), self._environ.get("test.early", b"")

    def finish(self) -> Iterable[bytes]:
        return []


def find(environ: WSGIEnvironment, start_response: StartResponse) -> JoinedTakeover:
    """Stands in for ``wsmiddleware.servers.find``."""
    if HERE not in environ:
        raise ConnectionUnavailable("a test's server gives nothing away")
    return JoinedTakeover(environ, start_response)


class Client:
    """The client of one request, and its end of the connection."""

    def __init__(self, path: str = "/", *, joined: bool = True, **environ: Any) -> None:
        """Make a right handshake for *path*, but for what *environ* says otherwise (None: there is no such key).

        Without *joined* the server gives no connection away.
        """
        ours, theirs = socket.socketpair()
        self.socket = gevent.socket.socket(fileno=ours.detach())
        self.socket.settimeout(PATIENCE)
        self.status = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.environ: WSGIEnvironment = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "example.org",
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "REMOTE_ADDR": "192.0.2.7",
        }
        if joined:
            self.environ[HERE] = theirs
        else:
            theirs.close()
        self.environ.update(environ)
        for key in [key for key, value in self.environ.items() if value is None]:
            del self.environ[key]

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        assert not self.status, f"expected one answer, found {status!r} after {self.status!r}"
        self.status, self.headers = status, dict(headers)
        return lambda data: None

    def ask(self, app: WSGIApplication) -> Client:
        """Send the request to *app*."""
        self.body = b"".join(app(self.environ, self.start_response))
        return self

    def upgrade(self, app: WSGIApplication) -> Client:
        """Send the request to *app* and expect a session."""
        self.ask(app)
        assert self.status == "101 Switching Protocols", f"{self.status}: {self.body!r}"
        return self

    def send(self, opcode: int, payload: bytes = b"") -> None:
        self.socket.sendall(client_frame(opcode, payload))

    def receive(self, count: int) -> bytes:
        """Return exactly *count* bytes, less only at the end."""
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                break
            data += piece
        return data

    def receive_to_the_end(self) -> bytes:
        return b"".join(iter(lambda: self.socket.recv(65536), b""))

    def close(self) -> None:
        """End the connection without a close frame. May be called twice."""
        self.socket.close()
        if HERE in self.environ:
            self.environ[HERE].close()


class Legacy:
    """A wrapped application. It remembers what it was called with, and answers with one and the same object."""

    def __init__(self) -> None:
        self.calls: list[tuple[WSGIEnvironment, StartResponse]] = []
        self.answer = [b"old page"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.calls.append((environ, start_response))
        start_response("200 OK", [])
        return self.answer


def say_hello(session: Session) -> None:
    """An endpoint."""
    session.send("hello")


def said(client: Client) -> str:
    """Return the one message that an endpoint sent before it returned."""
    opcode, length = client.receive(2)
    message = client.receive(length)
    assert opcode == 0x81
    assert client.receive(len(RETURNED)) == RETURNED
    return message.decode()


@contextmanager
def joining(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Have ``find`` asked instead of the servers, give what makes clients, and close those at the end."""
    monkeypatch.setattr(servers, "find", find)
    clients: list[Client] = []

    def join(path: str = "/", **environ: Any) -> Client:
        clients.append(Client(path, **environ))
        return clients[-1]

    yield join
    for client in clients:
        client.close()
