"""Which cases the Autobahn testsuite 25.10.1 has, and which of them run together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

GROUPS: Mapping[str, int] = MappingProxyType(
    {
        "1.1": 8, "1.2": 8, "2": 11, "3": 7, "4.1": 5, "4.2": 5, "5": 20,
        "6.1": 3, "6.2": 4, "6.3": 2, "6.4": 4, "6.5": 5, "6.6": 11, "6.7": 4, "6.8": 2, "6.9": 4, "6.10": 3,
        "6.11": 5, "6.12": 8, "6.13": 5, "6.14": 10, "6.15": 1, "6.16": 3, "6.17": 5, "6.18": 5, "6.19": 5,
        "6.20": 7, "6.21": 8, "6.22": 34, "6.23": 7,
        "7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2,
        "9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6,
        "10.1": 1,
        "12.1": 18, "12.2": 18, "12.3": 18, "12.4": 18, "12.5": 18,
        "13.1": 18, "13.2": 18, "13.3": 18, "13.4": 18, "13.5": 18, "13.6": 18, "13.7": 18,
    }
)  # fmt: skip
"""How many cases each group has; they are numbered from 1. There is nothing between, nor in 8 and 11."""

SAMPLED = 4
"""Of each group about compression, so many are in the sample."""

LARGE = ("9.1.6", "9.2.6")
"""Those of the sample that send the largest messages, 16 MB."""


@dataclass(frozen=True)
class Batch:
    """Cases that one wstest runs, one after the other."""

    name: str
    cases: tuple[str, ...]


def batches(selections: Sequence[str]) -> list[Batch]:
    """Return what is to be run for selections, which are keys of SELECTIONS. No case is in it twice."""
    if "all" in selections:
        return list(SELECTIONS["all"])
    return [batch for name, found in SELECTIONS.items() if name in selections for batch in found]


def _cases(*groups: str, most: int | None = None) -> Iterator[str]:
    """Yield all cases of groups, or the first *most* of each."""
    for group in groups:
        for number in range(1, GROUPS[group] + 1)[:most]:
            yield f"{group}.{number}"


def _parts(chapter: int) -> list[str]:
    """Return the groups of a chapter."""
    return [group for group in GROUPS if group.split(".")[0] == str(chapter)]


_ABOUT_LIMITS = _parts(9)
_ABOUT_COMPRESSION = [*_parts(12), *_parts(13)]
_QUICK = [group for group in GROUPS if group not in (*_ABOUT_LIMITS, *_ABOUT_COMPRESSION)]

_SUBSET = Batch("1-7 and 10", tuple(_cases(*_QUICK)))
_SAMPLE = Batch(
    "sample", (*_cases(*_ABOUT_LIMITS, most=1), *LARGE, *_cases(*_ABOUT_COMPRESSION, most=SAMPLED))
)  # fmt: skip

SELECTIONS: Mapping[str, tuple[Batch, ...]] = MappingProxyType(
    {
        "subset": (_SUBSET,),
        "sample": (_SAMPLE,),
        "all": (
            _SUBSET,
            Batch("9", tuple(_cases(*_ABOUT_LIMITS))),
            *(Batch(group, tuple(_cases(group))) for group in _ABOUT_COMPRESSION),
        ),
    }
)
"""What can be chosen. Those about compression are in small batches, which fill all processors until the end."""
