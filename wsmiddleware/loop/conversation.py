"""Blocking style: a channel that a function talks over, in a greenlet of its own, for as long as the session lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from time import monotonic

from greenlet import getcurrent, greenlet

from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.channel import Channel
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.streams import Stream
from wsmiddleware.protocol.close import CloseCode
from wsmiddleware.protocol.deflate import Deflate


class ConversationChannel(Channel):
    """A channel that is read by ``receive``."""

    __slots__ = ("_function", "_params", "_context", "_waiting", "_started", "_returned")

    def __init__(
        self,
        loop: Loop,
        stream: Stream,
        settings: Settings,
        on_done: Callable[[Channel], None],
        function: Callable[..., object],
        params: Mapping[str, object],
        context: Context,
        deflate: Deflate | None = None,
    ) -> None:
        """As Channel; calls ``function(session, **params)`` in *context*. The session ends when it returns."""
        super().__init__(loop, stream, settings, on_done, deflate)
        self._function = function
        self._params = params
        self._context = context
        self._waiting: greenlet | None = None
        self._started = False
        self._returned = False

    def attend(self) -> None:
        if not self._started:
            self._started = True
            self.loop.lend(greenlet(self._run, self.loop.hub))
        elif self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.loop.lend(waiting)
        if self._waiting is None:  # It is busy with something else.
            self.fill_inbox()

    def receive(self, timeout: float | None) -> str | bytes:
        """Return the next message; waits for it.

        Raises TimeoutError after *timeout* seconds, ConnectionClosed when the session is over and all messages have
        been received (in a forked child at once: the sessions are the parent's), and RuntimeError while another
        greenlet is in receive.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            message = self.next_message()
            if message is not None:
                return message
            if self.close_event is not None or self.loop.closed:
                raise ConnectionClosed(self.close_event)
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"expected a message within {timeout} seconds, found none")
            self._wait(left)

    def endpoint_is_done(self) -> bool:
        return self._returned

    def _wait(self, timeout: float | None) -> None:
        """Wait for a message, the end, or *timeout* seconds."""
        if self._waiting is not None:
            raise RuntimeError("expected one greenlet to receive from a session at a time, found two")
        self._waiting = getcurrent()
        timer = None
        if timeout is not None:
            timer = self.loop.hub.loop.timer(timeout)
            timer.start(self._stop_waiting)
        try:
            self.loop.wait()
        finally:
            self._waiting = None
            if timer is not None:
                timer.stop()
                timer.close()

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.switch()

    def _run(self) -> None:
        try:
            self._context.run(self._function, self.session, **self._params)
        except BaseException as error:
            self.endpoint_raised(error)
        self._returned = True
        self.close(CloseCode.NORMAL, "")
        self.done()
