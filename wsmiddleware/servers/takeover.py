"""What a server gives away, and the two questions that most servers answer alike: what is behind start_response, and
what has been read of the connection already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from io import BufferedReader
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Protocol

from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.streams import Stream
from wsmiddleware.servers.diagnosis import explain

SWITCHING_PROTOCOLS = "101 Switching Protocols"

MAX_SEARCH = 256
"""Objects that ``behind`` looks at. Wrappers are a few functions with a few variables each; an application that one of
them refers to has no end."""


class Takeover(Protocol):
    """One client's connection, which is about to change hands.

    ``accept``, ``take`` and ``finish`` are called once each, in this order, during the call of the WSGI application
    and in the server's own thread and greenlet. Until ``take`` has returned, the connection is the server's: who gives
    up before, because of an error or for another reason, leaves it to the server and has nothing to clean up.
    """

    server: str
    """Whose connection it is, for logs."""

    answered: bool
    """Whether the server has sent a 101 of its own. Then it is too late for an HTTP answer of any kind."""

    promised_subprotocol: str | None
    """The Sec-WebSocket-Protocol of the server's own 101; None if it has none, and while nothing has been answered."""

    promised_extensions: str | None
    """The Sec-WebSocket-Extensions of the server's own 101, likewise. The client may use them in its first frame."""

    def accept(self, headers: list[tuple[str, str]]) -> None:
        """Send the 101 with *headers*; nothing happens if the server has answered.

        Raises OSError if the client has gone. Then return ``finish()`` and the server will clear up; if the error got
        there, it would be logged with a traceback (by pywsgi, with TLS).
        """

    def take(self) -> tuple[Stream, bytes]:
        """Return the connection, and the bytes that the client sent right behind its request.

        From here on the server neither reads, writes nor closes it. The stream is non-blocking, and without Nagle's
        delay. The environ may still refer to the server's reader: do not keep that. Raises OSError as accept does.
        """

    def finish(self) -> Iterable[bytes]:
        """Return what the WSGI application has to return. The last thing to do before it returns.

        A server may want an exception instead: let it through.
        """


def behind(start_response: object) -> Iterator[object]:
    """Yield the objects that *start_response* was made of, the nearest first.

    Middleware wraps it in functions (their closures and ``__wrapped__`` are followed), in methods and callable objects
    (their attributes are) and in partials (their arguments are). Modules and classes are not entered: what is there
    is not about this request. Even so an object may be about another one, so check it.
    """
    waiting = deque([start_response])
    seen: dict[int, object] = {}
    while waiting and len(seen) < MAX_SEARCH:
        thing = waiting.popleft()
        if id(thing) not in seen:
            seen[id(thing)] = thing  # Kept, or its id could become another's.
            yield thing
            waiting.extend(_parts(thing))


def _parts(thing: object) -> Iterator[object]:
    if isinstance(thing, MethodType):
        yield thing.__self__
        yield thing.__func__
    elif isinstance(thing, partial):
        yield thing.func
        yield from thing.args
        yield from thing.keywords.values()
    elif isinstance(thing, FunctionType):
        yield from vars(thing).values()
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # A variable that has not been set yet.
                yield cell.cell_contents
    elif not isinstance(thing, (type, ModuleType)):
        yield from _attributes(thing)


def _attributes(thing: object) -> Iterator[object]:
    with suppress(Exception):  # TypeError: it has none. Any other: it is a proxy for something that is not there now.
        yield from list(vars(thing).values())
    for kind in type(thing).__mro__:
        for member in vars(kind).values():
            if isinstance(member, MemberDescriptorType):  # Made by __slots__.
                with suppress(AttributeError):
                    yield member.__get__(thing)


def held_by(reader: BufferedReader) -> bytes:
    """Take the bytes that *reader* has read ahead. Does not wait.

    The socket below must have been detached, or must be non-blocking: peeking into an empty buffer reads from it once.
    """
    try:
        held = len(reader.peek())
    except OSError:  # Nothing was held, and the socket has nothing to give.
        return b""
    return reader.read1(held) if held else b""


def gone(server: str) -> ConnectionUnavailable:
    """Return the error for a connection of *server* that is the server's no more."""
    return ConnectionUnavailable(
        explain(
            server,
            expected="the request's connection to be the server's",
            found="that it has been taken over before, or closed",
            remedy="Upgrade a request once, and before the application returns",
        )
    )
