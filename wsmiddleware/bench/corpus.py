"""Messages worth compressing: JSON as chats, directories, markets and event streams send it.

The same each time, so that figures can be compared. Names repeat and values do not, as in life: ids, times and amounts
are random, and prose is drawn from a vocabulary in which a few words are frequent and most are rare.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

DOCUMENTS = 128

_SEED = 7692

_SYLLABLES = (
    "an ar ba be ca ce co da de di en er es fa ga ge ha he in is ka la le li lo ma me mi mo na ne ni no or pa pe po "
    "ra re ri ro sa se si so ta te ti to un va ve vi wa ze"
).split()

_CITIES = ("Berlin", "Kraków", "Lisboa", "Malmö", "Nairobi", "Osaka", "Québec", "Tbilisi", "Zürich")
_TAGS = ("admin", "beta", "billing", "guest", "mobile", "on-call", "owner", "partner", "readonly", "trial")
_KINDS = ("click", "focus", "navigate", "purchase", "resize", "scroll", "search", "view")
_SYMBOLS = ("ADS", "AIR", "ALV", "BAS", "BMW", "DTE", "EOAN", "HEN3", "IFX", "MRK", "MUV2", "RWE", "SAP", "SIE", "VOW3")
_STATES = ("active", "invited", "suspended")


def documents() -> list[bytes]:
    """Return the messages, in UTF-8: 60 bytes to 8 KB each, half of them below 300, in no order."""
    source = _Source()
    made = [_MAKERS[number % len(_MAKERS)](source, number // len(_MAKERS)) for number in range(DOCUMENTS)]
    source.random.shuffle(made)
    return [json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() for document in made]


class _Source:
    """Where values come from."""

    def __init__(self) -> None:
        self.random = Random(_SEED)
        self._words = ["".join(self.random.choices(_SYLLABLES, k=self.random.randint(1, 4))) for _ in range(2000)]
        # As in prose, the n-th most frequent word has an n-th of the first one's frequency.
        self._weights = [1 / rank for rank in range(1, len(self._words) + 1)]

    def identity(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def time(self) -> str:
        second, millisecond = divmod(self.random.randrange(86_400_000), 1000)
        return f"2026-03-{self.random.randint(1, 28):02}T{_clock(second)}.{millisecond:03}Z"

    def amount(self, most: int) -> float:
        return self.random.randrange(100, most * 100) / 100

    def words(self, count: int) -> str:
        return " ".join(self.random.choices(self._words, self._weights, k=count))

    def name(self) -> str:
        return f"{self.random.choice(self._words)} {self.random.choice(self._words)}".title()


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _chat(source: _Source, number: int) -> Any:
    return {
        "type": "message",
        "id": source.identity(),
        "room": f"room-{source.random.randint(1, 40)}",
        "from": {"id": source.identity(), "name": source.name()},
        "at": source.time(),
        "text": source.words(3 + 2 * number).capitalize() + ".",
    }


def _tick(source: _Source, number: int) -> Any:
    bid = source.amount(900)
    return {
        "s": source.random.choice(_SYMBOLS),
        "b": bid,
        "a": round(bid + 0.02, 2),
        "v": source.random.randrange(10**6),
        "t": source.random.randrange(10**12, 2 * 10**12),
    }


def _user(source: _Source, number: int) -> Any:
    name = source.name()
    return {
        "id": source.identity(),
        "name": name,
        "email": f"{name.lower().replace(' ', '.')}@example.org",
        "city": source.random.choice(_CITIES),
        "state": source.random.choice(_STATES),
        "tags": source.random.sample(_TAGS, k=source.random.randint(0, 4)),
        "created": source.time(),
        "seen": source.time(),
        "balance": source.amount(5000),
        "settings": {"theme": source.random.choice(["dark", "light"]), "digest": source.random.random() < 0.5},
    }


def _event(source: _Source, number: int) -> Any:
    return {
        "event": source.random.choice(_KINDS),
        "session": source.identity(),
        "at": source.time(),
        "path": "/" + source.words(2).replace(" ", "/"),
        "position": [source.random.randrange(1920), source.random.randrange(1080)],
        "properties": {source.random.choice(_KINDS): source.words(2), "duration": source.amount(60)},
    }


def _quotes(source: _Source, number: int) -> Any:
    return {"type": "quotes", "at": source.time(), "quotes": [_tick(source, 0) for _ in range(4 + 3 * number)]}


def _page(source: _Source, number: int) -> Any:
    return {
        "type": "users",
        "page": source.random.randint(1, 90),
        "total": source.random.randint(900, 9000),
        "items": [_user(source, 0) for _ in range(1 + 2 * number)],
    }


_MAKERS: tuple[Callable[[_Source, int], Any], ...] = (_chat, _tick, _user, _event, _chat, _quotes, _event, _page)
