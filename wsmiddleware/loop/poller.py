"""Which descriptors are ready. Two ways with one interface: an epoll set, or a gevent watcher for each descriptor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gevent.hub import Hub

from wsmiddleware.loop.system import HAS_EPOLL, MAX_EVENTS, READABLE, WRITABLE, EpollSet


class Poller:
    """Reports ready descriptors, level-triggered: what is ready and left alone is reported again.

    Used by the loop's thread only.
    """

    __slots__ = ()

    def watch(self, fd: int, interest: int, before: int) -> None:
        """Report *fd* when it is ready for *interest* (READABLE, WRITABLE, both, or 0: not at all).

        *before* is what the last call said of it, 0 if there was none. Set it to 0 before closing the descriptor.
        """
        raise NotImplementedError

    def poll(self) -> int:
        """Look which descriptors are ready; return how many, MAX_EVENTS at most. ``fd`` and ``readiness`` tell more."""
        raise NotImplementedError

    def fd(self, index: int) -> int:
        """Return a descriptor that the last poll has found."""
        raise NotImplementedError

    def readiness(self, index: int) -> int:
        """Return what it is ready for. An error or a hang-up counts as both."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop watching."""
        raise NotImplementedError


def make_poller(hub: Hub, on_ready: Callable[[], object]) -> Poller:
    """Return the better of the two for this system. *on_ready* is called in *hub* when poll() would find something."""
    return EpollPoller(hub, on_ready) if HAS_EPOLL else WatcherPoller(hub, on_ready)


class EpollPoller(Poller):
    """All descriptors in one epoll set whose own descriptor is watched: gevent is asked once for all of them."""

    __slots__ = ("_epoll", "_watcher", "_on_ready", "_watched")

    def __init__(self, hub: Hub, on_ready: Callable[[], object]) -> None:
        self._epoll = EpollSet()
        self._watcher = hub.loop.io(self._epoll.fileno(), 1)
        self._on_ready = on_ready
        self._watched = 0

    def watch(self, fd: int, interest: int, before: int) -> None:
        if not interest:
            # Not modify(fd, 0): hang-ups are reported whatever the mask, and a busy loop would follow.
            if before:
                self._epoll.remove(fd)
                self._watched -= 1
                if not self._watched:
                    self._watcher.stop()  # so that hub.join() need not wait for us
        elif before:
            self._epoll.change(fd, interest)
        else:
            self._epoll.add(fd, interest)
            self._watched += 1
            if self._watched == 1:
                self._watcher.start(self._on_ready)

    def poll(self) -> int:
        return self._epoll.wait()

    def fd(self, index: int) -> int:
        return self._epoll.fd(index)

    def readiness(self, index: int) -> int:
        return self._epoll.readiness(index)

    def close(self) -> None:
        with suppress(ValueError):  # The hub may have been destroyed, and its watchers with it.
            self._watcher.stop()
            self._watcher.close()
        self._epoll.close()


class WatcherPoller(Poller):
    """A gevent watcher for each descriptor, for systems without epoll."""

    __slots__ = ("_loop", "_on_ready", "_watchers", "_ready", "_found")

    def __init__(self, hub: Hub, on_ready: Callable[[], object]) -> None:
        self._loop = hub.loop
        self._on_ready = on_ready
        self._watchers: dict[int, Any] = {}
        self._ready: dict[int, int] = {}
        self._found: list[tuple[int, int]] = []

    def watch(self, fd: int, interest: int, before: int) -> None:
        if before:
            watcher = self._watchers.pop(fd)
            watcher.stop()
            watcher.close()
            self._ready.pop(fd, None)
        if interest:
            watcher = self._watchers[fd] = self._loop.io(fd, interest)
            watcher.start(self._report, fd, pass_events=True)

    def poll(self) -> int:
        self._found = list(self._ready.items())[:MAX_EVENTS]
        for fd, _ in self._found:
            del self._ready[fd]
        if self._ready:
            self._loop.run_callback(self._on_ready)
        return len(self._found)

    def fd(self, index: int) -> int:
        return self._found[index][0]

    def readiness(self, index: int) -> int:
        return self._found[index][1]

    def close(self) -> None:
        for fd in list(self._watchers):
            self.watch(fd, 0, READABLE)

    def _report(self, events: int, fd: int) -> None:
        if not self._ready:
            self._loop.run_callback(self._on_ready)
        self._ready[fd] = events & (READABLE | WRITABLE)
