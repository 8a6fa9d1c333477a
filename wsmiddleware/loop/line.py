"""The stream of one connection on the loop, and the bytes that go out on it: the base of channels.

``flush`` is the only place that writes. What the system does not take at once is a backlog: the descriptor is then
watched for writing, too, and who sends has to wait when it is too long.
"""

from __future__ import annotations

from contextlib import suppress

from gevent.hub import Waiter

from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.member import Member
from wsmiddleware.loop.streams import Stream
from wsmiddleware.loop.system import READABLE, WRITABLE, monotonic
from wsmiddleware.protocol.wire import OutBuffer


class Line(Member):
    """A stream, and what is to go out on it. All methods are for the loop's thread only."""

    __slots__ = (
        "loop",
        "_stream",
        "_out",
        "_send_queue",
        "_paused",
        "_backlog",
        "_senders",
        "_ending",
        "_output_ended",
        "_last_out",
    )

    def __init__(self, loop: Loop, stream: Stream, out: OutBuffer, send_queue: int) -> None:
        """Own *stream* from now on, and write to it what is put into *out*, which is full with *send_queue* bytes."""
        super().__init__(stream.fd)
        self.loop = loop
        self._stream = stream
        self._out = out
        self._send_queue = send_queue
        self._paused = False  # whether nothing is read
        self._backlog = False
        self._senders: list[Waiter[None]] | None = None  # as long as none has had to wait
        self._ending = False  # whether nothing more will be put into out
        self._output_ended = False
        self._last_out = monotonic()

    @property
    def buffered(self) -> int:
        """Bytes that wait to be written."""
        return self._out.size()

    def flush(self) -> None:
        """Write as much as the system takes."""
        out = self._out
        waiting = out.size()
        if waiting and self.fd >= 0 and not self.loop.closed:
            try:
                written = self._stream.write(out)
            except OSError as error:
                self.cannot_write(error)
                return
            if written:
                out.consume(written)
                waiting -= written
                self._last_out = monotonic()
            if waiting or self._backlog:
                self._set_backlog(waiting > 0)
        if self._senders and waiting < self._send_queue:
            self._wake_senders()
        if self._ending and not waiting:
            self._end_output()

    # For subclasses

    def cannot_write(self, error: OSError) -> None:
        """The stream has broken, as writing to it has shown."""
        raise NotImplementedError

    def drained(self) -> None:
        """A backlog is gone."""
        raise NotImplementedError

    def _set_backlog(self, backlog: bool) -> None:
        if self._backlog and not backlog:
            self.drained()
        self._backlog = backlog
        self._set_interest()

    def _set_interest(self) -> None:
        if self.fd >= 0:
            self.loop.watch(self, (0 if self._paused else READABLE) | (WRITABLE if self._backlog else 0))

    def _wait_to_send(self) -> None:
        """Wait for _wake_senders: there is room, or the end has begun."""
        waiter: Waiter[None] = Waiter(self.loop.hub)
        if self._senders is None:
            self._senders = []
        self._senders.append(waiter)
        try:
            waiter.get()
        finally:
            if self._senders and waiter in self._senders:  # Not woken: stopped by somebody, a Timeout perhaps.
                self._senders.remove(waiter)

    def _wake_senders(self) -> None:
        senders, self._senders = self._senders, None
        for sender in senders or ():
            self.loop.hub.loop.run_callback(sender.switch, None)

    def _write_last(self) -> None:
        """Write what still goes: the client may have ended its own side only, and be reading."""
        out = self._out
        if out.size() and self.fd >= 0 and not self.loop.closed:
            with suppress(OSError):
                out.consume(self._stream.write(out))

    def _end_output(self) -> None:
        if not self._output_ended and self.fd >= 0:
            self._output_ended = True
            self._stream.end_output()

    def _close_stream(self) -> None:
        """Give the descriptor back. For who has one."""
        self.loop.watch(self, 0)
        self.loop.set_timer(self, None)
        self._end_output()  # Closing alone tells the client nothing while a forked child has the descriptor, too.
        self._stream.close()
        self.fd = -1
        self._out.clear()
