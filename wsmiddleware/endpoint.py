"""Endpoints: what the middleware hands a connection to. A class, servlet style, or a function, blocking style."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeAlias, TypeGuard

from wsmiddleware.protocol.close import CloseEvent
from wsmiddleware.session import Session

Function: TypeAlias = Callable[..., object]
"""``function(session, **params)``: the session lasts until it returns."""


class Endpoint:
    """Subclass it and override what you need. There is one instance per session.

    The methods are called one at a time, in order, in a greenlet of the thread that serves the connection. They may
    block; others go on meanwhile, as far as what they call is gevent's (or patched). Between calls an idle session has
    no greenlet and no thread, and one call can run in another greenlet than the one before. Each session has its own
    context variables (contextvars).
    """

    def on_open(self, session: Session) -> None:
        """The session has begun. What this raises goes to on_error and closes the session with code 1011."""

    def on_message(self, session: Session, message: str | bytes) -> None:
        """A message has come: str for text, bytes for binary. What this raises is treated as on_open's."""

    def on_close(self, session: Session, event: CloseEvent) -> None:
        """The session is over. Called exactly once and last, however it ended; what this raises is logged."""

    def on_error(self, session: Session, error: BaseException) -> None:
        """on_open or on_message has raised *error*, which has been logged. The session is closed after this."""


def is_class(endpoint: type[Endpoint] | Function) -> TypeGuard[type[Endpoint]]:
    """Say whether *endpoint* is servlet style."""
    return isinstance(endpoint, type) and issubclass(endpoint, Endpoint)


def check(endpoint: Any, parameters: Collection[str]) -> None:
    """Check that *endpoint* can serve a route with these *parameters*. Raises TypeError if not."""
    if isinstance(endpoint, type):
        if not issubclass(endpoint, Endpoint):
            raise TypeError(f"expected a subclass of Endpoint or a function, found the class {endpoint.__qualname__}")
        return
    if not callable(endpoint):
        raise TypeError(f"expected a subclass of Endpoint or a function, found {endpoint!r}")
    if isinstance(endpoint, Endpoint):
        raise TypeError("expected the class of an Endpoint, of which each session gets its own, found an instance")
    if inspect.iscoroutinefunction(endpoint):
        raise TypeError(
            f"expected a plain function, found the coroutine function {_name(endpoint)}: endpoints run in greenlets "
            "and may just block"
        )
    try:
        signature = inspect.signature(endpoint)
    except ValueError:  # Some callables written in C do not tell.
        return
    try:
        signature.bind(object(), **dict.fromkeys(parameters))
    except TypeError as error:
        expected = ", ".join(["session", *sorted(parameters)])
        raise TypeError(
            f"expected a function that can be called with ({expected}), as the path says, "
            f"found {_name(endpoint)}{signature}: {error}"
        ) from None


def _name(function: Function) -> str:
    return str(getattr(function, "__qualname__", function))
