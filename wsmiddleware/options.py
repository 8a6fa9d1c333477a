"""The options of a route, as they are given, and as they are used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict

from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.deflate import MODES, Mode
from wsmiddleware.protocol.origin import Origins

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Authorize: TypeAlias = "Callable[[dict[str, Any]], WSGIApplication | None]"


class RouteOptions(TypedDict, total=False):
    """What can be said of a route, or, as defaults, of all routes of a middleware."""

    origins: Sequence[str] | Literal["*"] | None
    """Which pages may connect: those named, all, or (None) those of the host that the request is for."""

    authorize: Authorize | None
    """Called with the environ before the handshake is answered. None: go on; a WSGI application: it answers instead."""

    subprotocols: Sequence[str]
    """Those that the endpoint speaks, the preferred one first."""

    compression: Mode | None
    """How messages are compressed for clients that offer permessage-deflate, as all browsers do. "shared": each by
    itself, with no memory for idle sessions. "dedicated": with reference to those before, which makes similar ones much
    smaller, and costs each session some 50 KB. None: not at all."""

    max_message_size: int
    """Bytes, after decompression."""

    receive_queue: int
    """Messages that wait for a busy endpoint; then the client has to wait."""

    send_queue: int
    """Bytes that wait for a slow client; then send waits, and a hub closes the session."""

    idle_timeout: float | None
    """Seconds without a message."""

    close_timeout: float
    """Seconds that the client has to answer a close."""


class Options(NamedTuple):
    """All options of a route, checked and completed."""

    origins: Origins
    authorize: Authorize | None
    subprotocols: tuple[str, ...]
    compression: Mode | None
    settings: Settings


MOST = 1 << 40
"""Of bytes and messages. Nothing is without limit; and twice as much has to be a number in C, too."""

_NUMBERS = ("max_message_size", "receive_queue", "send_queue")
_SECONDS = ("idle_timeout", "close_timeout")
_OTHERS = ("origins", "authorize", "subprotocols", "compression")


def complete(given: RouteOptions) -> Options:
    """Return *given* with defaults for the rest.

    Raises TypeError for an option that does not exist or has a value of a wrong type, ValueError for a wrong value.
    """
    unknown = sorted(set(given) - {*_NUMBERS, *_SECONDS, *_OTHERS})
    if unknown:
        raise TypeError(
            f"expected options among {', '.join(sorted((*_NUMBERS, *_SECONDS, *_OTHERS)))}, found {', '.join(unknown)}"
        )
    settings: dict[str, Any] = {}
    for name in _NUMBERS:
        if name in given:
            settings[name] = _number(name, given[name])  # type: ignore[literal-required]
    for name in _SECONDS:
        if name in given:
            settings[name] = _seconds(name, given[name])  # type: ignore[literal-required]
    if settings.get("close_timeout", 0) is None:
        raise TypeError("expected close_timeout to be a number of seconds, found None")
    authorize = given.get("authorize")
    if authorize is not None and not callable(authorize):
        raise TypeError(f"expected authorize to be a function, found {type(authorize).__name__}")
    subprotocols = given.get("subprotocols", ())
    if isinstance(subprotocols, str):
        raise TypeError(f"expected subprotocols to be a list of names, found the str {subprotocols!r}")
    subprotocols = tuple(subprotocols)
    if not all(isinstance(name, str) for name in subprotocols):
        raise TypeError(f"expected subprotocols to be a list of names, found {subprotocols!r}")
    compression = given.get("compression")
    if compression is not None and compression not in MODES:
        raise ValueError(f'expected compression to be "shared", "dedicated" or None, found {compression!r}')
    return Options(Origins(given.get("origins")), authorize, subprotocols, compression, Settings(**settings))


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be an int, found {type(value).__name__}")
    if value < 1:
        raise ValueError(f"expected {name} to be 1 or more, found {value}")
    if value > MOST:
        raise ValueError(f"expected {name} to be at most {MOST}, found {value}")
    return value


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be a number of seconds, found {type(value).__name__}")
    if not 0 < value < math.inf:
        raise ValueError(f"expected {name} to be more than 0 seconds, and a finite number, found {value}")
    return value
