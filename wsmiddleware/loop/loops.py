"""The loops of one middleware: one for each gevent hub that hands connections over, made when it does so first.

None exists before, and none survives a fork: in the child it would serve the parent's connections.
"""

from __future__ import annotations

import os
from weakref import WeakSet

from gevent import get_hub
from gevent.hub import Hub

from wsmiddleware.loop.loop import Loop


class Loops:
    """Loops by hub. Each thread asks for its own."""

    def __init__(self) -> None:
        self._loops: dict[Hub, Loop] = {}
        _all.add(self)

    def here(self) -> Loop:
        """Return the loop of the current thread's hub."""
        hub = get_hub()
        loop = self._loops.get(hub)
        if loop is None:
            self._forget_ended()
            loop = self._loops[hub] = Loop(hub)
        return loop

    def drop(self) -> None:
        """Forget all loops and let go of what they watch; the connections stay as they are."""
        for loop in list(self._loops.values()):
            loop.close()
        self._loops = {}

    def _forget_ended(self) -> None:
        for hub, loop in list(self._loops.items()):
            if loop.has_ended():
                loop.close()
                del self._loops[hub]


_all: WeakSet[Loops] = WeakSet()


def _drop_after_fork() -> None:
    for loops in list(_all):
        loops.drop()


os.register_at_fork(after_in_child=_drop_after_fork)
