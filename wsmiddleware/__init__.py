"""WebSockets for any WSGI application: see WebSocketMiddleware."""

from wsmiddleware.endpoint import Endpoint
from wsmiddleware.exceptions import ConnectionClosed, ConnectionUnavailable, WebSocketError
from wsmiddleware.hub import Hub, Joined, Member, Message, Position
from wsmiddleware.middleware import WebSocketMiddleware
from wsmiddleware.options import RouteOptions
from wsmiddleware.protocol.close import Close, CloseCause, CloseCode, CloseEvent
from wsmiddleware.session import Session

__all__ = [
    "Close",
    "CloseCause",
    "CloseCode",
    "CloseEvent",
    "ConnectionClosed",
    "ConnectionUnavailable",
    "Endpoint",
    "Hub",
    "Joined",
    "Member",
    "Message",
    "Position",
    "RouteOptions",
    "Session",
    "WebSocketError",
    "WebSocketMiddleware",
]
