"""What the connections of a load do.

(Methods that are compiled to C functions cannot use super().)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wsmiddleware.bench.connection import Connection
from wsmiddleware.bench.errors import ReplyError
from wsmiddleware.bench.load import Load, Observer
from wsmiddleware.bench.plan import Mode, Plan
from wsmiddleware.loop.system import monotonic


class Echo(Load):
    """Every message that comes back is followed by another."""

    __slots__ = ()

    def begin(self, now: float) -> None:
        for connection in list(self.members):
            connection.stamps.add(now, self.plan.in_flight)
            connection.send(self.plan.in_flight)

    def replied(self, connection: Connection, count: int) -> None:
        if self.running:
            now = monotonic()
            self.messages += count
            surplus = connection.stamps.take(now, count, self.histogram)
            if surplus:
                raise ReplyError(f"expected every message to come back once, found {surplus} more")
            connection.stamps.add(now, count)
            connection.send(count)


class Fanout(Load):
    """What one connection publishes comes to all."""

    __slots__ = ("_published", "_published_at", "_publisher", "_due")

    def __init__(self, plan: Plan, observer: Observer) -> None:
        super().__init__(plan, observer)
        self._publisher: Connection | None = None
        self._published = 0  # messages
        self._published_at = 0.0
        self._due = 0  # how many are still to come, to all together

    def begin(self, now: float) -> None:
        self._publisher = next(iter(self.members), None)
        self._publish(now)

    def replied(self, connection: Connection, count: int) -> None:
        if self.running:
            if connection.replies > self._published:
                surplus = connection.replies - self._published
                raise ReplyError(f"expected every message to come once, found {surplus} more")
            self.messages += count
            self._due -= count
            if self._due == 0:
                self._next()

    def ended(self, connection: Connection, reason: str | None) -> None:
        Load.ended(self, connection, reason)
        if not self.running:
            return
        if connection is self._publisher:
            self.over = True  # Of what it has published, some may never have left.
            return
        self._due -= self._published - min(connection.replies, self._published)
        if self._due == 0:
            self._next()

    def _next(self) -> None:
        now = monotonic()
        self.histogram.add(now - self._published_at, 1)
        self._publish(now)

    def _publish(self, now: float) -> None:
        if self._publisher is not None:
            self._published_at = now
            self._published += self.plan.in_flight
            self._due = self.plan.in_flight * len(self.members)
            self._publisher.send(self.plan.in_flight)


class Idle(Load):
    """Nothing."""

    __slots__ = ()

    def begin(self, now: float) -> None:
        pass

    def replied(self, connection: Connection, count: int) -> None:
        pass


class Churn(Load):
    """Connections come, say something, and go."""

    __slots__ = ()

    def begin(self, now: float) -> None:
        for connection in list(self.members):
            connection.started = now
            connection.send(1)

    def opened(self, connection: Connection) -> None:
        Load.opened(self, connection)
        if self.running:
            connection.send(1)

    def replied(self, connection: Connection, count: int) -> None:
        connection.start_close()

    def ended(self, connection: Connection, reason: str | None) -> None:
        Load.ended(self, connection, reason)
        # Who has failed does not try again: a server that is gone would be asked without end.
        if self.running and not self.over and reason is None:
            self.messages += 1
            self.histogram.add(monotonic() - connection.started, 1)
            self.start_connection()


LOADS: Mapping[Mode, type[Load]] = MappingProxyType(
    {Mode.ECHO: Echo, Mode.FANOUT: Fanout, Mode.IDLE: Idle, Mode.CHURN: Churn}
)
"""The load for each mode."""
