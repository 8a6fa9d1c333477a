"""What a measurement can fail with."""

from __future__ import annotations

from typing import Any

from wsmiddleware.protocol.close import Close


class BenchError(Exception):
    """Nothing could be measured. The text says what was expected, what was found, and what to do."""


class ReplyError(Exception):
    """A server has sent what it should not have: this connection has failed."""


def nobody_there(address: Any, error: OSError) -> str:
    """Return why no connection to *address* could be made."""
    where = f"{address[0]}, port {address[1]}"
    return f"expected a server at {where}, found none: {_why(error)}. Start it, or check the URL."


def broken(error: OSError) -> str:
    """Return that a connection did not last."""
    return f"expected the connection to stay open, found it broken: {_why(error)}"


def closed(close: Close) -> str:
    """Return that the server has closed a connection."""
    shown = f"{close.code} {close.reason!a}" if close.reason else str(close.code)
    return f"expected the connection to stay open, found a close frame: {shown}"


def _why(error: OSError) -> str:
    return error.strerror or str(error)
