"""A middleware on a real server, and raw clients that talk to it: the bytes of handshakes and of frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.support.wire import client_frame, frame
from tests.support.wsgi import Client, Server
from wsmiddleware import Session, WebSocketMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

FIELDS = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""Those of a right handshake."""

PAGE = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A request for a page of the wrapped application."""

ACCESS = re.compile(r'127\.0\.0\.1 - - \[[-\d]+ [:\d]+\] "(?P<request>[^"]*)" (?P<status>\S+) (\d+|-) [\d.]+')
"""A line of pywsgi's access log."""


def pages(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An application to wrap: each path is a page that says its name."""
    body = f"page {environ['PATH_INFO']}".encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def echo(session: Session) -> None:
    """An endpoint."""
    for message in session:
        session.send(message)


def echoing(path: str = "/echo") -> WebSocketMiddleware:
    """Return the pages with an echo at *path*."""
    app = WebSocketMiddleware(pages)
    app.register(path, echo)
    return app


def handshake(
    path: str = "/echo",
    fields: Mapping[str, str | None] | None = None,
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
) -> bytes:
    """Return a handshake that is right but for what *fields* say otherwise; None takes a field away."""
    lines = [f"{name}: {value}\r\n" for name, value in {**FIELDS, **(fields or {})}.items() if value is not None]
    return f"{method} {path} {version}\r\n{''.join(lines)}\r\n".encode("latin-1")


class Talk:
    """A session, from its client's side."""

    def __init__(self, client: Client, path: str = "/echo", fields: Mapping[str, str | None] | None = None) -> None:
        """Shake hands; *client* is the session's from now on."""
        self.client = client
        client.send(handshake(path, fields))
        self.head = client.receive_head()
        if not self.head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"):
            client.close()
            raise AssertionError(f"expected a session, found {self.head!r}")

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.client.close()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.client.send(data)

    def send(self, opcode: int, payload: bytes = b"") -> None:
        """Send a frame as a client has to."""
        self.write(client_frame(opcode, payload))

    def receive(self) -> tuple[int, bytes] | None:
        """Return the first byte and the payload of the next frame; None at the end."""
        header = self.client.receive(2)
        if not header:
            return None
        length = header[1]
        if length > 125:
            length = int.from_bytes(self.client.receive(2 if length == 126 else 8), "big")
        return header[0], self.client.receive(length)

    def receive_close(self) -> tuple[int, str]:
        """Return the code and the reason of the close frame that comes next, and expect nothing behind it."""
        received = self.receive()
        assert received is not None, "expected a close frame, found the end"
        first, payload = received
        assert first == 0x80 | CLOSE, f"expected a close frame, found {received}"
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def echoes(self, text: bytes = b"hello") -> bool:
        """Say whether *text* comes back."""
        self.send(TEXT, text)
        return self.client.receive(len(text) + 2) == frame(TEXT, text)


def talk(server: Server, path: str = "/echo", fields: Mapping[str, str | None] | None = None) -> Talk:
    """Begin a session on a new connection."""
    return Talk(server.connect(), path, fields)


class Logs:
    """What a server writes from now on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._accesses = len(server.access_log.getvalue())
        self._errors = len(server.error_log.getvalue())

    @property
    def errors(self) -> str:
        return self._server.error_log.getvalue()[self._errors :]

    @property
    def accesses(self) -> list[tuple[str, str]]:
        """The request line and the status of each line in the access log, all of which must be sane."""
        found = []
        for line in self._server.access_log.getvalue()[self._accesses :].splitlines():
            match = ACCESS.fullmatch(line)
            assert match is not None, f"expected a line of an access log, found {line!r}"
            found.append((match["request"], match["status"]))
        return found
