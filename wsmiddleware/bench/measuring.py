"""The way in: measure a server."""

from __future__ import annotations

import resource

from wsmiddleware.bench.check import check_echo
from wsmiddleware.bench.errors import BenchError
from wsmiddleware.bench.load import Observer
from wsmiddleware.bench.modes import LOADS
from wsmiddleware.bench.plan import Plan
from wsmiddleware.bench.result import Result
from wsmiddleware.loop.system import HAS_EPOLL

_OTHERS = 64
"""Descriptors that a process has open besides."""


def measure(plan: Plan, observer: Observer | None = None) -> Result:
    """Do what *plan* says, and return what came of it. Blocks the thread; *observer* is told how it goes on.

    Connections that fail are counted in the result and raise nothing. Raises ValueError for a URL or headers that make
    no sense, and BenchError if nothing can be measured: no epoll, no address for the host, too few descriptors, or what
    is compressed does not come back as it was.
    """
    if not HAS_EPOLL:
        raise BenchError("expected a system with epoll, found one without. Measure from Linux.")
    allow_descriptors(plan.connections + _OTHERS)
    load = LOADS[plan.mode](plan, observer or Observer())
    if load.offer is not None:
        check_echo(load, load.offer, load.sent, plan.text, plan.patience)
    return load.run()


def allow_descriptors(count: int) -> None:
    """See to it that this process may open *count* descriptors. Raises BenchError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(
            f"expected to be allowed {count} open files, found a limit of {hard}. Use fewer connections, or raise the "
            "limit (ulimit -Hn, LimitNOFILE, limits.conf)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
