"""A pywsgi server in a thread of its own, raw clients for it, and an application that takes its connections over."""

from __future__ import annotations

import fcntl
import functools
import gc
import os
import socket
import ssl
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from email.parser import BytesParser
from io import StringIO
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
import gevent.event
import gevent.pool
import gevent.socket
import gevent.ssl
import pytest
import trustme
from gevent.pywsgi import WSGIHandler, WSGIServer

from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.streams import Stream
from wsmiddleware.loop.system import ReadBuffer
from wsmiddleware.protocol.wire import OutBuffer
from wsmiddleware.servers import Takeover, find

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Result = TypeVar("Result")
Context = TypeVar("Context", bound=ssl.SSLContext)

PATIENCE = 10.0
"""Seconds after which a test gives up on something that takes milliseconds."""

ACCEPT = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
"""The headers of a 101: the answer to the key in ``upgrade_request``, both from RFC 6455 section 1.3."""


plain_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def wait_until(condition: Callable[[], object]) -> None:
    """Return when *condition* has become true; greenlets of this thread run meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "expected a condition to come true, it did not"
        gevent.sleep(0.001)


def in_thread(function: Callable[..., Result], *arguments: Any, **options: Any) -> Callable[[], Result]:
    """Begin to call *function* in a thread of its own; returns what waits for its result."""
    results: list[Result] = []
    thread = Thread(target=lambda: results.append(function(*arguments, **options)), daemon=True)
    thread.start()

    def result() -> Result:
        wait_until(lambda: not thread.is_alive())
        assert results, "the thread has raised"
        return results[0]

    return result


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(kind: type[Context]) -> Context:
    """Return a context of *kind*, that of ``ssl`` or of ``gevent.ssl``, for the server "localhost"."""
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Return a context for clients that trust it."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def upgrade_request(*, upgrade: str = "websocket", connection: str = "Upgrade", more: str = "") -> bytes:
    """Return a request for a WebSocket. *more* are further header lines, each with its line end."""
    return (
        "GET /path HTTP/1.1\r\nHost: localhost\r\n"
        f"Upgrade: {upgrade}\r\nConnection: {connection}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"{more}\r\n"
    ).encode("latin-1")


UPGRADE = upgrade_request()


class Server:
    """gevent's pywsgi on a free port, in a thread with a hub of its own: ``with Server(application) as server``."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        tls: bool = False,
        context: type[ssl.SSLContext] = gevent.ssl.SSLContext,
        handler_class: type[WSGIHandler] = WSGIHandler,
        listener: Any = ("127.0.0.1", 0),
    ) -> None:
        """*context* is the class of the TLS context: ``ssl.SSLContext`` for sockets of the standard library.

        *listener* is an address or a listening socket.
        """
        self.access_log = StringIO()
        self.error_log = StringIO()
        """What the server writes there, and the tracebacks of greenlets."""
        self.greenlets = gevent.pool.Pool()
        """Those that serve connections."""
        self.port = 0
        self._tls = tls
        self._context = context
        self._application = application
        self._handler_class = handler_class
        self._listener = listener
        self._started = Event()
        self._left_over = False
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._started.wait(PATIENCE), "the server did not start"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.run_callback_threadsafe(self._stop.set)
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"
        assert not self._left_over, "a greenlet is still waiting: is a client still connected?"

    def connect(self) -> Client:
        """Return a new client."""
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return Client(client_context().wrap_socket(sock, server_hostname="localhost") if self._tls else sock)

    def _run(self) -> None:
        hub = gevent.get_hub()
        hub.exception_stream = self.error_log
        self._loop = hub.loop
        self._stop = gevent.event.Event()
        options: dict[str, Any] = {"ssl_context": server_context(self._context)} if self._tls else {}
        server = WSGIServer(
            self._listener,
            self._application,
            spawn=self.greenlets,
            log=self.access_log,
            error_log=self.error_log,
            handler_class=self._handler_class,
            **options,
        )
        server.start()
        if isinstance(server.address, tuple):
            self.port = server.address[1]
        self._started.set()
        self._stop.wait()
        server.stop()
        self._left_over = not hub.join(PATIENCE)
        gc.collect()  # Sockets of gevent that are found to be garbage later could not be closed without their loop.
        hub.destroy(destroy_loop=True)


class Client:
    """The client's end of a connection, raw: ``with server.connect() as client``."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader = sock.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, count: int) -> bytes:
        """Return *count* bytes, or those until the end."""
        return self._reader.read(count)

    def end(self) -> None:
        """Say that nothing more will be sent; with TLS, wait until the server says so too."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket = self.socket.unwrap()
        self.socket.shutdown(socket.SHUT_WR)

    def receive_to_the_end(self) -> bytes:
        return self._reader.read()

    def receive_head(self) -> bytes:
        """Return an HTTP response up to the empty line, or to the end."""
        head = b""
        while (line := self._reader.readline()) not in (b"\r\n", b""):
            head += line
        return head

    def receive_response(self) -> tuple[bytes, bytes]:
        """Return the head and the body of an HTTP response with a Content-Length."""
        head = self.receive_head()
        return head, self.receive(int(headers_of(head)["content-length"]))

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def reset(self) -> None:
        """Vanish, as a client does that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def headers_of(head: bytes) -> dict[str, str]:
    """Return the headers of a response, by their names in lower case. Each may be there once."""
    parsed = BytesParser().parsebytes(head.partition(b"\r\n")[2])
    headers = {name.lower(): value for name, value in parsed.items()}
    assert len(headers) == len(parsed), f"a header is there twice: {head!r}"
    return headers


class Echo:
    """A WSGI application that takes over the connection of each request, and sends back what comes on it.

    It does so in a greenlet of its own, when the server's has returned, until the client ends its side.
    """

    def __init__(
        self,
        *,
        before_take: Callable[[WSGIEnvironment, StartResponse], object] = lambda environ, start_response: None,
        before_return: Callable[[Stream], object] = lambda stream: None,
    ) -> None:
        """*before_take* is called between accept and take, *before_return* between take and finish."""
        self.takeovers: list[Takeover] = []
        self.early: list[bytes] = []
        """What each connection's take returned besides the stream."""
        self._before_take = before_take
        self._before_return = before_return

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        takeover = find(environ, start_response)
        self.takeovers.append(takeover)
        takeover.accept(list(ACCEPT))
        self._before_take(environ, start_response)
        stream, early = takeover.take()
        self.early.append(early)
        self._before_return(stream)
        gevent.spawn(self._serve, stream, early)
        return takeover.finish()

    def _serve(self, stream: Stream, early: bytes) -> None:
        data: bytes | None = early or None
        try:
            while data != b"":
                if data is None and not stream.has_buffered():
                    gevent.socket.wait_read(stream.fd, timeout=PATIENCE)
                while data and (data := data[stream.write(out_buffer(data)) :]):
                    gevent.socket.wait_write(stream.fd, timeout=PATIENCE)
                data = read_now(stream)
            stream.end_output()
        except ConnectionError:
            pass
        finally:
            stream.close()


def out_buffer(data: bytes) -> OutBuffer:
    """Return *data* as what streams write."""
    out = OutBuffer()
    out.extend(data)
    return out


def read_now(stream: Stream) -> bytes | None:
    """Read what is there: bytes, b"" at the end, None if there is nothing."""
    buffer = ReadBuffer()
    size = stream.read(buffer)
    return None if size < 0 else buffer.data[:size]


def upgrade(client: Client, request: bytes = UPGRADE) -> bytes:
    """Send the request and return the head of the answer, which is a 101."""
    client.send(request)
    head = client.receive_head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
    return head


def assert_echoes(client: Client, data: bytes = b"hello") -> None:
    """Assert that *data* comes back, and nothing before it."""
    client.send(data)
    assert client.receive(len(data)) == data


def wait_until_readable(fd: int) -> None:
    """Return when bytes wait in the kernel to be read. In a greenlet of the server."""
    gevent.socket.wait_read(fd, timeout=PATIENCE)
    assert int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder) > 0


def diagnosis_of(environ: WSGIEnvironment, start_response: StartResponse) -> str:
    """Return why there is no connection to be found."""
    try:
        takeover = find(environ, start_response)
    except ConnectionUnavailable as unavailable:
        return unavailable.diagnosis
    raise AssertionError(f"expected no connection, found that of {takeover.server}")


def open_sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # That of listdir itself.
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return {name for name in found if name.startswith("socket:")}
