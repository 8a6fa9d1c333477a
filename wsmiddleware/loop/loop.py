"""The loop's turns.

A turn begins in the hub when descriptors are ready. Endpoints must be able to block, and nothing may block in the hub,
so the hub switches to a runner, a greenlet that takes one ready channel after the other. There are three ways back:

- It has none left. It goes to the pool, and the turn ends.
- An endpoint blocks: the runner is parked in it until that is over, and the hub takes another runner for the rest.
- It has lent the turn to a function that talks over its channel (blocking style). The function switches back to the
  runner when it waits for the next message; when it waits for anything else, control comes to the hub, which lets the
  runner go on.

What channels send during a turn leaves when their callback has returned, or, for other channels than the one in hand,
at the end of the turn: one write each, however many messages it was. Outside of a turn it leaves when the greenlet
that sent it lets the hub run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from weakref import ref

from gevent.hub import Hub
from gevent.monkey import get_original
from greenlet import getcurrent, greenlet

from wsmiddleware.loop.member import Member
from wsmiddleware.loop.poller import Poller, make_poller
from wsmiddleware.loop.system import ReadBuffer, monotonic, thread_ident, weakref_count
from wsmiddleware.loop.timers import Timers

Result = TypeVar("Result")

MAX_IDLE_RUNNERS = 16
"""Runners kept for reuse. More exist while endpoints block."""

MAX_TURN = 0.001
"""Seconds after which HTTP requests, timers and other greenlets have their turn, whatever else is ready here."""

WORTH_A_ROUND = 2
"""Descriptors that were ready at once. Looking again costs a system call; when there was one, it rarely pays."""

PATIENCE = 50e-6
"""Seconds. A client that answers at once is met sooner by looking again than by sleeping until the system wakes us."""

PATIENCE_RETURNS = 256
"""Turns after which patience is tried again when it had not paid."""

NO_THREAD = 0

UNRESPONSIVE = 10.0
"""Seconds without a sign of life, after which another thread gives a loop up."""

# In a patched process, the usual ones are about greenlets, not threads.
_allocate_lock = get_original("_thread", "allocate_lock")
_of_this_thread = get_original("_thread", "_local")()


class _Thread:
    """Kept by a thread, and only there: ends with it, and tells the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = ref(loop)

    def __del__(self) -> None:
        loop = self._loop()
        if loop is not None:
            loop.thread_ended()


class Loop:
    """Serves the channels of one gevent hub. All methods but is_here, post and call are for its thread only."""

    def __init__(self, hub: Hub, poller: Callable[[Hub, Callable[[], object]], Poller] = make_poller) -> None:
        """Begin without channels. Called in the thread of *hub*."""
        self.hub = hub
        self.now = monotonic()
        """Seconds of the monotonic clock, read at the beginning of each turn."""
        self.buffer = ReadBuffer()
        """For all reading."""

        self._thread = thread_ident()
        _of_this_thread.__dict__.setdefault("loops", []).append(_Thread(self))
        self._poller = poller(hub, self._turn)
        self._members: list[Member | None] = []  # by their descriptors

        self.closed = False
        """Whether nothing is to be done any more: nobody is called, and nothing is read or written."""

        # The turn: who is ready for what, who takes them, and the channel in hand.
        self._turning = False
        self._turn_asked = False
        self._ready: list[Member] = []  # for the next round
        self._served: list[Member] = []  # in this round; those before _next have been
        self._next = 0
        self._idle: list[greenlet] = []
        self._runner: greenlet | None = None
        self._lender: greenlet | None = None
        self._in_hand: Member | None = None
        self._patience = PATIENCE
        self._impatient_turns = 0

        # Channels with something to write.
        self._unflushed: list[Member] = []
        self._flush_asked = False

        self._timers: Timers[Member] = Timers()
        self._timer: Any = None
        self._timer_at: float | None = None

        # What other threads want, in the order of their asking.
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._beats = 0

    def close(self) -> None:
        """Do nothing any more. What greenlets were in the middle of they can finish, as far as it is no I/O."""
        self.closed = True
        self._served = []
        self._in_hand = None
        self._poller.close()
        self._stop_timer()

    # For channels

    def watch(self, member: Member, interest: int) -> None:
        """Have *member* called when its descriptor is ready for *interest*; 0 lets go of it."""
        if interest != member.interest and not self.closed:
            self._poller.watch(member.fd, interest, member.interest)
            member.interest = interest
            if member.fd >= len(self._members):
                self._members.extend([None] * (member.fd + 1 - len(self._members)))
            self._members[member.fd] = member if interest else None

    def schedule(self, member: Member, readiness: int = 0) -> None:
        """Have a runner call ``member.on_ready(readiness)`` soon."""
        self._add(member, readiness)
        self._ask_for_turn()

    def flush_soon(self, member: Member) -> None:
        """Have ``member.flush()`` called as soon as the current greenlet has had its say."""
        if member.flush_due:
            return
        member.flush_due = True
        self._unflushed.append(member)
        if not self._turning and not self._flush_asked:
            self._flush_asked = True
            self.hub.loop.run_callback(self._flush)

    def set_timer(self, member: Member, when: float | None) -> None:
        """Have ``member.on_time`` called at *when* (seconds of the monotonic clock) instead of any time set before."""
        if member.timer_slot:
            self._timers.remove(member, member.timer_slot)
            member.timer_slot = 0
        if when is not None:
            member.timer_slot = self._timers.add(member, when)
            if (self._timer_at is None or when < self._timer_at) and not self.closed:
                self._arm()

    # For greenlets that wait

    def wait(self) -> None:
        """Suspend the current greenlet until somebody switches to it."""
        lender = self._lender
        if lender is not None:
            self._lender = None
            lender.switch()
        else:
            self.hub.switch()

    def lend(self, waiting: greenlet) -> None:
        """Switch to *waiting* from the runner, which goes on when *waiting* waits again. In a runner's turn only."""
        self._lender = self._runner
        waiting.switch()

    def spawn(self, run: Callable[[], None]) -> None:
        """Have *run*, which must not raise, called soon in a greenlet of its own."""
        self.hub.loop.run_callback(greenlet(run, self.hub).switch)

    # For other threads

    def is_here(self) -> bool:
        """Say whether this is the loop's thread. From any thread."""
        return thread_ident() == self._thread

    def thread_ended(self) -> None:
        """Take note that nobody will run the loop any more. A later thread may get the same ident: it is not ours."""
        self._thread = NO_THREAD

    def has_ended(self) -> bool:
        """Say whether the loop's thread has ended."""
        return self._thread == NO_THREAD

    def post(self, action: Callable[..., object], *arguments: Any) -> None:
        """Have the loop's thread call *action*, which must neither block nor raise. From any thread; does not wait."""
        self._posted.append((action, arguments))
        self.hub.loop.run_callback_threadsafe(self.run_posted)

    def run_posted(self) -> None:
        """Do now what has been posted. For who must not overtake it."""
        while self._posted:
            action, arguments = self._posted.popleft()
            action(*arguments)

    def call(self, action: Callable[..., Result], *arguments: Any) -> Result:
        """Call *action* in a greenlet of the loop's thread and return what it returns. From any other thread.

        The thread waits. Raises what *action* raises, and RuntimeError when the loop has not run for UNRESPONSIVE
        seconds: its server may have ended, without the process.
        """
        done = _allocate_lock()
        done.acquire()
        results: list[Result] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(action(*arguments))
            except BaseException as error:
                errors.append(error)
            finally:
                done.release()

        self.post(self.spawn, run)
        beats = -1
        while not done.acquire(True, UNRESPONSIVE if beats >= 0 else 0):
            if self.has_ended() or self._beats == beats:
                raise RuntimeError(
                    f"expected the session's loop to run, found that it has not for {UNRESPONSIVE:.0f} seconds: "
                    "has its server, or its thread, ended?"
                )
            beats = self._beats
            self.post(self._beat)
        if errors:
            raise errors[0]
        return results[0]

    def _beat(self) -> None:
        self._beats += 1

    # The turn

    def _ask_for_turn(self) -> None:
        if not self._turning and not self._turn_asked:
            self._turn_asked = True
            self.hub.loop.run_callback(self._turn)

    def _turn(self) -> None:
        """One turn, in the hub."""
        self._turn_asked = False
        if self.closed:
            return
        self._turning = True
        self.now = monotonic()
        until = self.now + MAX_TURN
        try:
            count = self._poller.poll()
            self._round(count)
            # Clients that answer while others are served are not made to wait until gevent has been around.
            while count and self.now < until and not self.closed:
                count = self._look_again(count)
                self._round(count)
        finally:  # Ctrl-C may come in the middle.
            self._runner = None
            self._turning = False
        if self._ready and not self.closed:
            self._ask_for_turn()

    def _look_again(self, before: int) -> int:
        """Return how many descriptors are ready, after a look that found *before*. May take PATIENCE, if that pays."""
        poller = self._poller
        if self._ready:  # There is something to do anyway.
            count = poller.poll()
            self.now = monotonic()
            return count
        if not self._patience:
            self._impatient_turns += 1
            if self._impatient_turns < PATIENCE_RETURNS:
                count = poller.poll() if before >= WORTH_A_ROUND else 0
                self.now = monotonic()
                return count
            self._impatient_turns = 0
            self._patience = PATIENCE
        until = monotonic() + self._patience
        while True:
            count = poller.poll()
            self.now = monotonic()
            if count:
                self._patience = min(PATIENCE, self._patience + PATIENCE / 4)
                return count
            if self.now >= until:
                self._patience = self._patience / 2 if self._patience > PATIENCE / 8 else 0.0
                return 0

    def _round(self, count: int) -> None:
        """Serve the *count* descriptors that the poller has found, and who was scheduled."""
        poller = self._poller
        for i in range(count):
            member = self._members[poller.fd(i)]
            if member is not None:
                self._add(member, poller.readiness(i))
        # What is scheduled from now on has to wait for the next round.
        self._served, self._ready = self._ready, self._served
        self._next = 0
        while self._next < len(self._served):
            self._runner = self._idle.pop() if self._idle else greenlet(self._run, self.hub)
            self._runner.switch()
            while self._lender is not None:
                lender, self._lender = self._lender, None
                lender.switch()
            if self._in_hand is not None:  # The runner is parked in an endpoint. What that has sent leaves first.
                parked, self._in_hand = self._in_hand, None
                parked.flush_due = False
                parked.on_parked()
        self._served.clear()
        self._flush()

    def _add(self, member: Member, readiness: int) -> None:
        member.readiness |= readiness
        if not member.scheduled:
            member.scheduled = True
            self._ready.append(member)

    def _run(self) -> None:
        """A runner's life."""
        me = getcurrent()
        references = weakref_count(me)  # those of a tracer or a profiler
        while True:
            while self._next < len(self._served) and self._runner is me:
                member = self._served[self._next]
                self._next += 1
                readiness, member.readiness = member.readiness, 0
                member.scheduled = False
                self._in_hand = member
                member.flush_due = True
                member.on_ready(readiness)
                if self._in_hand is member and self._runner is me:
                    self._in_hand = None
                    member.flush_due = False
                member.flush()
                del member  # It may be over; an idle runner must not keep it.
                if weakref_count(me) > references:
                    # An endpoint has set greenlet-locals. They must not be seen by the next one.
                    return
            if len(self._idle) >= MAX_IDLE_RUNNERS:
                return
            self._idle.append(me)
            self.hub.switch()

    def _flush(self) -> None:
        self._flush_asked = False
        if self.closed:
            return
        unflushed, self._unflushed = self._unflushed, []
        for member in unflushed:
            member.flush_due = False
            member.flush()

    # Timers

    def _arm(self) -> None:
        self._stop_timer()
        self._timer_at = self._timers.next()
        if self._timer_at is not None:
            self._timer = self.hub.loop.timer(max(0.0, self._timer_at - monotonic()), ref=False)
            self._timer.start(self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            with suppress(ValueError):  # The hub may have been destroyed, and its watchers with it.
                self._timer.stop()
                self._timer.close()
            self._timer = None

    def _on_timer(self) -> None:
        now = monotonic()
        due = self._timers.due(now)
        self._arm()
        for member in due:
            member.timer_slot = 0
            member.on_time(now)
