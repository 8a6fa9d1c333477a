"""Servlet style: a channel that calls an endpoint's methods. An idle one has no greenlet.

One call at a time, in order: on_open, on_message for each message, on_close. While a call is blocking, what comes goes
to the inbox; the runner that is parked in it takes it from there when the call returns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

from gevent import GreenletExit

from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.channel import Channel, log
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.streams import Stream
from wsmiddleware.loop.system import run_in
from wsmiddleware.protocol.close import CloseEvent
from wsmiddleware.protocol.deflate import Deflate


class Callbacks(Protocol):
    """What is called. *session* is whatever the channel was given for it."""

    def on_open(self, session: Any) -> None: ...

    def on_message(self, session: Any, message: str | bytes) -> None: ...

    def on_close(self, session: Any, event: CloseEvent) -> None: ...

    def on_error(self, session: Any, error: BaseException) -> None: ...


class CallbackChannel(Channel):
    """A channel whose endpoint is called when something happens."""

    __slots__ = ("_callbacks", "_on_message", "_context", "_busy", "_opened", "_told")

    def __init__(
        self,
        loop: Loop,
        stream: Stream,
        settings: Settings,
        on_done: Callable[[Channel], None],
        callbacks: Callbacks,
        context: Context,
        deflate: Deflate | None = None,
    ) -> None:
        """As Channel; calls *callbacks* in *context*, so that no session sees another's context variables."""
        super().__init__(loop, stream, settings, on_done, deflate)
        self._callbacks = callbacks
        self._on_message = callbacks.on_message
        self._context = context
        self._busy = False
        self._opened = False
        self._told = False

    def attend(self) -> None:
        if self._busy:
            self.fill_inbox()
            return
        self._busy = True
        try:
            run_in(self._context, self)
        finally:
            self._busy = False
        if self._backlog:
            self.fill_inbox()
        self.done()

    def receive(self, timeout: float | None) -> str | bytes:
        """Raises RuntimeError: messages go to on_message."""
        raise RuntimeError(
            "expected receive() in a function that is an endpoint, found it with an Endpoint: "
            "its messages go to on_message"
        )

    def tell_error(self, error: BaseException) -> None:
        if self._told:
            return  # on_close is the last call, also if it raises.
        try:
            self._callbacks.on_error(self.session, error)
        except (ConnectionClosed, GreenletExit):
            pass  # An orderly end, which is coming anyway.
        except BaseException as another:
            log.exception("on_error of %s raised", self.session)
            self.pass_on(another)

    def endpoint_is_done(self) -> bool:
        return self._told and not self._busy

    def work(self) -> None:
        """Make all calls that are due. May be parked in each of them."""
        if not self._opened:
            self._opened = True
            self._call(self._callbacks.on_open)
        session = self.session
        on_message = self._on_message
        while not self._backlog or self.close_event is not None:
            message = self.next_message()
            if message is None:
                break
            try:
                on_message(session, message)
            except BaseException as error:
                self.endpoint_raised(error)
        if self.close_event is not None and not self._told:
            self._told = True
            self._call(self._callbacks.on_close, self.close_event)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(self.session, *arguments)
        except BaseException as error:
            self.endpoint_raised(error)
