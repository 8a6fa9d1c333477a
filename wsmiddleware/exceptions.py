"""What the package raises.

    WebSocketError
      +-- ConnectionClosed        the session is over, or its end has begun
      +-- ConnectionUnavailable   the server does not give its connection away
"""

from __future__ import annotations

from wsmiddleware.protocol.close import CloseEvent


class WebSocketError(Exception):
    """The base of all that this package raises for reasons of its own."""


class ConnectionClosed(WebSocketError):
    """The session is over, or its end has begun. No application error: an endpoint may let it escape."""

    def __init__(self, event: CloseEvent | None) -> None:
        """*event* says how the session ended; None if the closing handshake is still going on."""
        super().__init__("the session is closing" if event is None else f"the session is over: {event}")
        self.event = event


class ConnectionUnavailable(WebSocketError):
    """The connection cannot be taken over from the server."""

    def __init__(self, diagnosis: str) -> None:
        """*diagnosis* says which server it looks like, what was expected of it, what was found, and what to do."""
        super().__init__(diagnosis)
        self.diagnosis = diagnosis
