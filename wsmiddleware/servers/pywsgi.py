"""gevent.pywsgi, plain and TLS.

Its environ names no socket. ``start_response`` is a method of the WSGIHandler that serves the connection, and in most
upgrade requests ``wsgi.input`` is the reader of the client's socket itself.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any

import gevent.ssl
from gevent.pywsgi import WSGIHandler

from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.streams import PlainStream, Stream, TLSStream
from wsmiddleware.servers.diagnosis import describe, explain
from wsmiddleware.servers.takeover import SWITCHING_PROTOCOLS, behind, held_by

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TLS_SOCKETS = (gevent.ssl.SSLSocket, ssl.SSLSocket)
"""pywsgi's own, and what an ``ssl_context`` of the standard library makes."""


class PywsgiTakeover:
    """A connection of pywsgi. See ``Takeover`` for the methods."""

    server = "gevent.pywsgi"
    answered = False
    promised_subprotocol: str | None = None
    promised_extensions: str | None = None

    def __init__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        sock: Any,
        reader: BufferedReader,
        handler: WSGIHandler | None,
    ) -> None:
        """Refer to a connection and its *reader*. *handler* may be None if it is not one over TLS.

        Raises ConnectionUnavailable if somebody else has taken it.
        """
        if sock is None or sock.fileno() < 0:
            raise ConnectionUnavailable(
                explain(
                    self.server,
                    expected="the request's connection to be the server's",
                    found="that it has been taken over before, or closed",
                    remedy="Upgrade a request once, and before the application returns",
                )
            )
        self._environ = environ
        self._start_response = start_response
        self._socket = sock
        self._reader = reader
        self._handler = handler

    def accept(self, headers: list[tuple[str, str]]) -> None:
        write = self._start_response(SWITCHING_PROTOCOLS, headers)
        handler = self._handler
        if handler is None:
            write(b"")
            return
        if handler.status is None:
            # A wrapper keeps the answer for later, when the application has returned: later than the first frame.
            handler.start_response(SWITCHING_PROTOCOLS, headers)
        # If nothing were written now, finish() would make pywsgi add "Content-Length: 0". By the handler's own method,
        # since many wrappers do not return the one that they get.
        handler.write(b"")

    def take(self) -> tuple[Stream, bytes]:
        sock, handler = self._socket, self._handler
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if handler is not None:
            handler.close_connection = True  # No further request is read.
        stream: Stream
        if isinstance(sock, TLS_SOCKETS):
            # TLS is a state in this very object. A handler without a socket neither drains nor closes it; the server
            # does close it, but that has no effect as long as a reader of it is open. (find insists on a handler here.)
            handler.socket = None  # type: ignore[union-attr]
            stream = TLSStream(sock, self._reader)
        else:
            # A duplicate would not do: on leaving, WSGIHandler.handle reads up to 16 KiB away from the socket.
            stream = PlainStream(sock.detach())
        # The environ lives as long as the session. It would keep the reader's buffer of 8 KiB.
        self._environ["wsgi.input"] = BytesIO()
        return stream, held_by(self._reader)

    def finish(self) -> Iterable[bytes]:
        return []


def find(environ: WSGIEnvironment, start_response: StartResponse) -> PywsgiTakeover | None:
    """Return the connection that the request came on, None if the server is another one.

    Raises ConnectionUnavailable if the server is pywsgi and yet does not give it away.
    """
    reader = _reader(environ.get("wsgi.input"))
    handler = _handler(environ, reader, start_response)
    if handler is not None:
        if handler.headers_sent:
            raise ConnectionUnavailable(
                explain(
                    PywsgiTakeover.server,
                    expected="a request that has not been answered",
                    found=f"that {describe(type(handler))} has sent {handler.status!r}",
                    remedy="Upgrade before anything else is answered, and serve with handler_class=WSGIHandler of "
                    "gevent.pywsgi (the default) or WebSocketHandler of gevent-websocket: others answer by themselves",
                )
            )
        return PywsgiTakeover(environ, start_response, *socket_and_reader(handler), handler)
    # In a patched process the readers of other servers are on gevent's sockets too: the name decides.
    if reader is None or not str(environ.get("SERVER_SOFTWARE")).startswith("gevent/"):
        return None
    sock = reader.raw._sock  # type: ignore[attr-defined]
    if isinstance(sock, TLS_SOCKETS):
        raise ConnectionUnavailable(
            explain(
                f"{PywsgiTakeover.server} over TLS",
                expected="its WSGIHandler behind start_response, for nobody else can let go of a TLS connection",
                found=f"start_response is {describe(start_response)}, which does not lead there",
                remedy="Put WebSocketMiddleware around the middleware that replaces start_response, not into it",
            )
        )
    return PywsgiTakeover(environ, start_response, sock, reader, None)


def socket_and_reader(handler: WSGIHandler) -> tuple[Any, Any]:
    """Return what *handler* serves, None and None when it has finished."""
    return getattr(handler, "socket", None), getattr(handler, "rfile", None)


def _reader(wsgi_input: Any) -> BufferedReader | None:
    """Return the reader of a socket that *wsgi_input* is, or that it wraps."""
    for _ in range(8):  # pywsgi.Input has an rfile, wsgiref.validate.InputWrapper an input. No more than a few.
        if isinstance(wsgi_input, BufferedReader):
            return wsgi_input if hasattr(wsgi_input.raw, "_sock") else None
        wsgi_input = getattr(wsgi_input, "rfile", None) or getattr(wsgi_input, "input", None)
    return None


def _handler(
    environ: WSGIEnvironment, reader: BufferedReader | None, start_response: StartResponse
) -> WSGIHandler | None:
    """Return the handler that *start_response* leads to, if it is this request's.

    Middleware that keeps ``start_response`` in an attribute of its own leads to any request's.
    """
    for thing in behind(start_response):
        if isinstance(thing, WSGIHandler):
            if thing.environ is environ or (reader is not None and getattr(thing, "rfile", None) is reader):
                return thing
    return None
