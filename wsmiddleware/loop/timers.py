"""Who is due when. Data only: the clock is an argument."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item")

RESOLUTION = 0.05
"""Seconds. Deadlines here are seconds long and mostly not reached; one set per slot makes dropping them cheap."""

SPARE = 64
"""Slots that may be empty before the order is made anew."""


class Timers(Generic[Item]):
    """Items in slots of time. Adding and removing cost the same however many there are."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Item]] = {}
        self._order: list[int] = []

    def add(self, item: Item, when: float) -> int:
        """Have *item* due at *when* (seconds) or up to RESOLUTION later. Returns the slot, for remove."""
        slot = int(when / RESOLUTION) + 1
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = set()
            heappush(self._order, slot)
        items.add(item)
        return slot

    def remove(self, item: Item, slot: int) -> None:
        """Take *item* out of the *slot* that add returned; nothing happens if it was due already."""
        items = self._slots.get(slot)
        if items is not None:
            items.discard(item)
            if not items:
                del self._slots[slot]
                if len(self._order) > 2 * len(self._slots) + SPARE:
                    self._order = sorted(self._slots)

    def due(self, now: float) -> list[Item]:
        """Take out all that is due at *now*, and return it."""
        found: list[Item] = []
        while self._order and self._order[0] * RESOLUTION <= now:
            found.extend(self._slots.pop(heappop(self._order), ()))
        return found

    def next(self) -> float | None:
        """Return when something may be due next, None if nothing ever is."""
        while self._order and self._order[0] not in self._slots:
            heappop(self._order)
        return self._order[0] * RESOLUTION if self._order else None
