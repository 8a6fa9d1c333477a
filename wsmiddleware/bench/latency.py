"""Latencies: when messages went out, and how many took how long. Both in bounded memory."""

from __future__ import annotations

from collections import deque

_LINEAR = 64
"""Up to this many microseconds, each has a bucket of its own; from there on, each power of two has half as many."""

_BUCKETS = _LINEAR * 16
"""The last one is for 18 hours and for all that took longer."""


class Histogram:
    """How many took how long. A bucket is 3 percent wide at most, and 1 microsecond at least."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0

    def add(self, seconds: float, count: int) -> None:
        """Note that *count* took *seconds* each."""
        value = int(seconds * 1e6)
        offset = 0
        while value >= _LINEAR:
            value >>= 1
            offset += _LINEAR // 2
        index = min(value + offset, _BUCKETS - 1)
        self._counts[index] += count
        self._total += count

    def percentile(self, percent: float) -> float | None:
        """Return in how many seconds *percent* of all were through, None if there were none."""
        due = self._total * percent / 100
        passed = 0
        for index, count in enumerate(self._counts):
            passed += count
            if count and passed >= due:
                return round(_middle(index) * 1e-6, 7)
        return None


def _middle(index: int) -> float:
    """Return the middle of a bucket, in microseconds."""
    if index < _LINEAR:
        return index + 0.5
    power, value = divmod(index - _LINEAR, _LINEAR // 2)
    return float((value + _LINEAR // 2 + 0.5) * 2 ** (power + 1))


class Stamps:
    """When the messages of one connection went out, oldest first. Those that went out together are one entry."""

    __slots__ = ("_time", "_count", "_later")

    def __init__(self) -> None:
        self._time = 0.0
        self._count = 0  # of the oldest entry; with one entry, as usual, the others cost nothing
        self._later: deque[tuple[float, int]] | None = None

    def add(self, now: float, count: int) -> None:
        """Note that *count* messages go out."""
        if self._count == 0:
            self._time, self._count = now, count
        else:
            if self._later is None:
                self._later = deque()
            self._later.append((now, count))

    def take(self, now: float, count: int, histogram: Histogram) -> int:
        """Note in *histogram* that *count* have come back; return how many of them had never gone out."""
        while self._count:
            if count < self._count:
                histogram.add(now - self._time, count)
                self._count -= count
                return 0
            histogram.add(now - self._time, self._count)
            count -= self._count
            self._count = 0
            if self._later:
                self._time, self._count = self._later.popleft()
            if count == 0:
                break
        return count
