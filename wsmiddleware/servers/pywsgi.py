"""gevent.pywsgi, plain and TLS.

Its environ names no socket, but ``start_response`` is a method of the WSGIHandler that serves the connection. (In most
upgrade requests ``wsgi.input`` is the reader of the client's socket. That is not enough: only the handler can let go of
a TLS connection, and only the handler tells whether the 101 has gone out or some middleware keeps it.)
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import gevent.ssl
from gevent.pywsgi import WSGIHandler

from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.streams import PlainStream, Stream, TLSStream
from wsmiddleware.servers.diagnosis import describe, explain
from wsmiddleware.servers.takeover import SWITCHING_PROTOCOLS, behind, gone, held_by

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

    def __init__(self, start_response: StartResponse, handler: WSGIHandler) -> None:
        """Refer to the connection that *handler* serves. Raises ConnectionUnavailable if it serves none any more."""
        sock: Any = getattr(handler, "socket", None)  # There is no such attribute when it has finished.
        if sock is None or sock.fileno() < 0:
            raise gone(self.server)
        self._start_response = start_response
        self._handler = handler
        self._socket = sock

    def accept(self, headers: list[tuple[str, str]]) -> None:
        handler = self._handler
        self._start_response(SWITCHING_PROTOCOLS, headers)
        if handler.status is None:
            # A wrapper keeps the answer until the application has returned: then it would be too late.
            handler.start_response(SWITCHING_PROTOCOLS, headers)
        # Sent now, or finish() would make pywsgi add "Content-Length: 0". And by the handler's own method, for not
        # every wrapper returns the write that it gets.
        handler.write(b"")

    def take(self) -> tuple[Stream, bytes]:
        sock, handler = self._socket, self._handler
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = handler.rfile
        handler.close_connection = True  # It reads no further request.
        stream: Stream
        if isinstance(sock, TLS_SOCKETS):
            # The state of TLS is in this very object. A handler without a socket neither drains nor closes it. The
            # server does close it, but as long as a reader of it is open, that has no effect.
            handler.socket = None  # type: ignore[assignment]
            stream = TLSStream(sock, reader)
        else:
            # A duplicate would not do: in the end, WSGIHandler.handle reads up to 16 KiB away from its socket.
            stream = PlainStream(sock.detach())
        return stream, held_by(reader)

    def finish(self) -> Iterable[bytes]:
        return []


def find(environ: WSGIEnvironment, start_response: StartResponse) -> PywsgiTakeover | None:
    """Return the connection that the request came on, None if *start_response* does not lead to a handler of pywsgi.

    Raises ConnectionUnavailable if the connection is no longer the server's, or the request has been answered.
    """
    for thing in behind(start_response):
        if isinstance(thing, WSGIHandler) and _serves(thing, environ):
            takeover = PywsgiTakeover(start_response, thing)
            if thing.headers_sent:
                raise ConnectionUnavailable(
                    explain(
                        takeover.server,
                        expected="a request that has not been answered",
                        found=f"that {describe(thing)} has sent {thing.status!r}",
                        remedy="Upgrade before anything else is answered, and serve with gevent.pywsgi.WSGIHandler or "
                        "geventwebsocket.handler.WebSocketHandler: other handlers answer by themselves",
                    )
                )
            return takeover
    return None


def _serves(handler: WSGIHandler, environ: WSGIEnvironment) -> bool:
    """Say whether the handler is this request's, though it be with a copy of the environ.

    Middleware that keeps start_response in an object which serves all requests leads to any request's handler.
    """
    if handler.environ is environ:
        return True
    body = environ.get("wsgi.input")
    return body is not None and (body is handler.wsgi_input or body is getattr(handler, "rfile", None))
