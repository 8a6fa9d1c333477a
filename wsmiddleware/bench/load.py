"""A load: opens connections, has them do something for a while, and closes them. What they do is in ``modes``.

One thread, and one epoll set for all connections.
"""

from __future__ import annotations

from time import process_time

from wsmiddleware.bench.bursts import Bursts
from wsmiddleware.bench.connection import Connection, Owner
from wsmiddleware.bench.latency import Histogram
from wsmiddleware.bench.messages import frames, messages
from wsmiddleware.bench.offer import Offer
from wsmiddleware.bench.plan import Mode, Plan
from wsmiddleware.bench.reader import FrameReader, RawReader
from wsmiddleware.bench.result import Result
from wsmiddleware.bench.target import Target
from wsmiddleware.loop.system import monotonic

OPENING = 128
"""Connections that wait for their handshake at the same time: as many as a usual listening queue holds."""

REASONS = 10
"""Different reasons of failures that are kept."""

GRACE = 1.0
"""Seconds that the server has to answer our close frames at the end."""

SETTLE = 0.5
"""Seconds between the last handshake of a fan-out and its first message."""

QUIET = 1.0
"""Seconds without a message that tell nothing yet, if there were some before: the machine may be busy elsewhere."""

_TICK = 20
"""Milliseconds after which we look at the clock if nothing happens."""

_PROGRESS = 0.2
"""Seconds between two reports of progress."""


class Observer:
    """Is told how a measurement goes on. This one does nothing with it."""

    def progress(self, opened: int, seconds: float | None) -> None:
        """So many connections are open, and *seconds* of the time are over; None as long as they are being opened."""

    def all_open(self) -> None:
        """All connections are open, as far as they could be, and none has been used yet."""


class Load(Owner):
    """Connections, and what has been counted."""

    __slots__ = (
        "histogram", "members", "messages", "over", "plan", "running", "sent",
        "_begun", "_connections", "_failed", "_failures", "_observer", "_opened", "_pending",
        "_progress_at", "_stop_at", "_unopened_since",
    )  # fmt: skip

    def __init__(self, plan: Plan, observer: Observer) -> None:
        """Raises ValueError for a URL or headers that make no sense, and BenchError for a host without an address."""
        target = Target.parse(plan.url)
        offer = None if plan.deflate is None else Offer(plan.deflate)
        request = b"" if plan.raw else target.request([*plan.headers, *([offer.header] if offer else [])])
        family, address = target.resolve()
        sent = messages(plan)
        super().__init__(
            family=family,
            address=address,
            host=target.host,
            request=request,
            context=target.context(plan.insecure),
            bursts=Bursts(frames(plan, sent), list(map(len, sent))),
            make_reader=lambda: RawReader(plan.size) if plan.raw else FrameReader(None if offer else plan.size),
            offer=offer,
        )
        self.plan = plan
        self.sent = sent
        """The messages that are sent in turns, before compression."""
        self.histogram = Histogram()
        self.messages = 0
        self.members: dict[Connection, None] = {}
        """Those that are open, in the order in which they were opened."""
        self.running = False
        """Whether it is being measured."""
        self.over = False
        """Whether there is nothing left to be measured."""
        self._observer = observer
        self._connections: dict[int, Connection] = {}  # by descriptor
        self._begun = 0  # connections
        self._pending = 0  # those that are not open yet
        self._opened = 0
        self._failed = 0
        self._failures: dict[str, int] = {}
        self._stop_at = 0.0
        self._progress_at = 0.0
        self._unopened_since = 0.0

    # What a mode does.

    def begin(self, now: float) -> None:
        """All connections are open: have them do something."""
        raise NotImplementedError

    # What connections tell.

    def opened(self, connection: Connection) -> None:
        self._pending -= 1
        self._opened += 1
        self._unopened_since = monotonic()
        self.members[connection] = None
        if self.over:
            connection.start_close()

    def ended(self, connection: Connection, reason: str | None) -> None:
        if connection in self.members:
            del self.members[connection]
        else:
            self._pending -= 1
        if reason is not None and not self.over:
            self.count_failure(reason)

    def count_failure(self, reason: str) -> None:
        """Note that a connection has failed."""
        self._failed += 1
        if reason in self._failures or len(self._failures) < REASONS:
            self._failures[reason] = self._failures.get(reason, 0) + 1

    # The way of a measurement.

    def run(self) -> Result:
        """Measure. Blocks the thread. May be called once."""
        try:
            started = self._unopened_since = monotonic()
            self._open_all()
            connected = monotonic()
            if self.members:
                self._observer.all_open()
            self._settle()
            self.payload = self.content = 0
            cpu, begun = process_time(), monotonic()
            self._measure(begun)
            seconds, cpu = monotonic() - begun, process_time() - cpu
            payload, content = self.payload, self.content
            self._close_all()
        finally:
            for connection in self._connections.values():
                connection.drop()
            self.epoll.close()
        return Result(
            mode=self.plan.mode.value,
            connections=self.plan.connections,
            opened=self._opened,
            failed=self._failed,
            failures=self._failures,
            connect_seconds=connected - started,
            seconds=seconds,
            messages=self.messages,
            rate=self.messages / seconds,
            megabytes=content / seconds / 1e6,
            compressed_to=payload / content if self.offer is not None and content else None,
            p50=self.histogram.percentile(50),
            p90=self.histogram.percentile(90),
            p99=self.histogram.percentile(99),
            client_cpu=min(1.0, cpu / seconds),
        )

    def start_connection(self) -> None:
        """Begin to open another connection."""
        # With a fan-out all get what one of them publishes.
        connection = Connection(self, 0 if self.plan.mode is Mode.FANOUT else self._begun)
        self._begun += 1
        self._pending += 1
        connection.connect()
        if connection.fd >= 0:
            self._connections[connection.fd] = connection

    def _open_all(self) -> None:
        while self._begun < self.plan.connections or self._pending:
            while self._begun < self.plan.connections and self._pending < OPENING:
                self.start_connection()
            self._turn()
            self._report(None)
            self._give_up_on_silence()

    def _settle(self) -> None:
        """A server may say yes before it has put a connection into its room."""
        until = monotonic() + (SETTLE if self.plan.mode is Mode.FANOUT and self.members else 0)
        while monotonic() < until:
            self._turn()

    def _measure(self, begun: float) -> None:
        self._stop_at = begun + self.plan.seconds
        self.running = True
        self.begin(begun)
        messages, quiet_since = 0, begun
        while not self.over:
            self._turn()
            now = monotonic()
            if self.messages != messages:
                messages, quiet_since = self.messages, now
            if now >= self._stop_at or not (self.members or self._pending):
                self.over = True
            self._report(now - begun)
        self.running = False
        quiet = now - quiet_since
        expected = self.plan.mode is not Mode.IDLE
        if expected and quiet > self.plan.seconds / 2 and (quiet > QUIET or not self.messages):
            for _ in self.members:
                self.count_failure(
                    f"expected messages to come back all the time, found none in the last {quiet:.1f} seconds. "
                    "Does this path send back what it gets?"
                )

    def _close_all(self) -> None:
        """Close what is open and what is still being opened, as a client should."""
        if self.plan.raw:
            return
        for connection in list(self.members):
            connection.start_close()
        deadline = monotonic() + GRACE
        while (self.members or self._pending) and monotonic() < deadline:
            self._turn()

    def _turn(self) -> None:
        """Serve those that are ready; wait a little if there are none."""
        for index in range(self.epoll.wait(_TICK)):
            connection = self._connections.get(self.epoll.fd(index))
            if connection is not None:
                connection.on_ready(self.epoll.readiness(index))

    def _give_up_on_silence(self) -> None:
        if self._pending and monotonic() - self._unopened_since > self.plan.patience:
            for connection in list(self._connections.values()):
                if connection not in self.members:
                    connection.end(
                        f"expected an answer to the handshake within {self.plan.patience:g} seconds, found none. "
                        "Is the server busy with something else, or its limit of connections reached?"
                    )
            self._unopened_since = monotonic()

    def _report(self, seconds: float | None) -> None:
        now = monotonic()
        if now >= self._progress_at:
            self._progress_at = now + _PROGRESS
            self._observer.progress(len(self.members), seconds)
