"""gevent.pywsgi with gevent-websocket's handler, which sends a 101 of its own before it calls the application.

What that 101 says is not ours to decide. Releases up to 0.10.1 promise a subprotocol if the server's application has a
method ``app_protocol``, and never an extension. The development version after it promises permessage-deflate, without
parameters, to every client that offers it; an application cannot prevent that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geventwebsocket.websocket import WebSocket

from wsmiddleware.loop.streams import Stream
from wsmiddleware.servers.pywsgi import PywsgiTakeover
from wsmiddleware.servers.takeover import gone

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class GeventWebSocketTakeover(PywsgiTakeover):
    """A connection of pywsgi with a WebSocket of gevent-websocket on it."""

    server = "gevent-websocket"
    answered = True

    def __init__(self, start_response: StartResponse, websocket: WebSocket) -> None:
        """Refer to the connection of *websocket*. Raises ConnectionUnavailable if it has been closed."""
        if websocket.closed:
            raise gone(self.server)
        super().__init__(start_response, websocket.handler)
        self._websocket = websocket
        self.promised_subprotocol = _sent(websocket.handler, b"sec-websocket-protocol")
        self.promised_extensions = _sent(websocket.handler, b"sec-websocket-extensions")

    def accept(self, headers: list[tuple[str, str]]) -> None:
        pass

    def take(self) -> tuple[Stream, bytes]:
        # Otherwise the handler says goodbye with a close frame when the application returns.
        self._websocket.closed = True
        return super().take()


def find(environ: WSGIEnvironment, start_response: StartResponse) -> GeventWebSocketTakeover | None:
    """Return the connection under ``environ["wsgi.websocket"]``, None if there is no such WebSocket.

    Raises ConnectionUnavailable if it is no longer the server's.
    """
    websocket = environ.get("wsgi.websocket")
    if not isinstance(websocket, WebSocket):
        return None
    return GeventWebSocketTakeover(start_response, websocket)


def _sent(handler: Any, name: bytes) -> str | None:
    """Return the value of a header of the handler's 101, None if it has no such header."""
    values = [value.decode("latin-1") for key, value in handler.response_headers if key.lower() == name]
    return ", ".join(values) or None
