"""What a loop serves: the base of channels."""

from __future__ import annotations


class Member:
    """What the loop knows of a channel. All methods are for the loop's thread, and none raises."""

    __slots__ = ("fd", "interest", "readiness", "scheduled", "flush_due", "timer_slot")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """Its descriptor, -1 when that is closed."""
        self.interest = 0
        """What the poller watches for."""
        self.readiness = 0
        """What has been reported since on_ready was called."""
        self.scheduled = False
        """Whether on_ready is going to be called."""
        self.flush_due = False
        """Whether somebody is going to call flush: the loop, or the runner that has the channel in hand."""
        self.timer_slot = 0
        """Its place among the timers, 0 if it has none."""

    def on_ready(self, readiness: int) -> None:
        """Do what there is to do, in a runner."""
        raise NotImplementedError

    def work(self) -> None:
        """Call the user's code, as far as something is due. May be parked in it."""
        raise NotImplementedError

    def on_time(self, now: float) -> None:
        """The time of set_timer has come. In the hub: must not block."""
        raise NotImplementedError

    def on_parked(self) -> None:
        """The runner that has it in hand is parked in its endpoint. In the hub, as on_time."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what is to go out. Must not block."""
        raise NotImplementedError
