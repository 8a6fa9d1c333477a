"""Reads streams with all ends, compares what they heard, and sorts the disagreements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fuzz import known
from fuzz.builds import Build
from fuzz.ends import Make, ours, peers_for, read
from fuzz.reading import End, Reading
from fuzz.reduce import smaller
from fuzz.scene import Scene
from fuzz.streams import Stream, generate


@dataclass(frozen=True)
class Disagreement:
    """A stream of which somebody heard something else than we."""

    stream: Stream
    peer: str
    ours: Reading
    theirs: Reading
    known: known.Known | None
    """The kind that explains it."""

    def __str__(self) -> str:
        return (
            f"expected the same reading, found another by {self.peer}\n"
            f"  ours   {self.ours}\n"
            f"  theirs {self.theirs}\n"
            f"  python -m fuzz read {self.stream.options()}"
        )


@dataclass
class Tally:
    """What came of a run."""

    streams: int = 0
    agreed: int = 0
    """Streams of which all have heard the same."""
    ends: Counter[str] = field(default_factory=Counter)
    """How the streams ended, by our reading."""
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each kind of disagreement was met, by its name and the peer."""
    unexplained: list[Disagreement] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another run to this one."""
        self.streams += other.streams
        self.agreed += other.agreed
        self.ends += other.ends
        self.kinds += other.kinds
        self.unexplained += other.unexplained


class Differential:
    """Our builds against each other, and the first of them against the other libraries."""

    def __init__(self, builds: Iterable[Build]) -> None:
        self._first, *self._others = [(build.name, ours(build)) for build in builds]

    def compare(self, stream: Stream) -> tuple[Reading, list[Disagreement]]:
        """Return our reading of a stream, and who disagrees with it."""
        setting = stream.setting
        chunks = tuple(stream.chunks())
        ours = read(self._first[1], setting, chunks)
        found = []
        others = [*self._others, *peers_for(setting).items()]
        for name, make in others:
            theirs = read(make, setting, chunks)
            if theirs != ours:
                found.append(self._disagreement(stream, name, make, ours, theirs))
        return ours, found

    def _disagreement(self, stream: Stream, peer: str, make: Make, ours: Reading, theirs: Reading) -> Disagreement:
        scene = Scene(stream, ours, theirs, self._first[1], make)
        return Disagreement(stream, peer, ours, theirs, known.explanation(scene, peer))

    def reduced(self, disagreement: Disagreement) -> Disagreement:
        """Return one with the same peer, of the same kind, in a smaller stream."""

        def same(stream: Stream) -> Disagreement | None:
            _, found = self.compare(stream)
            return next((one for one in found if _kind(one) == _kind(disagreement)), None)

        stream = smaller(disagreement.stream, lambda candidate: same(candidate) is not None)
        return same(stream) or disagreement

    def run(self, seeds: Iterable[int | str]) -> Tally:
        """Compare the streams of some seeds."""
        tally = Tally()
        for seed in seeds:
            ours, disagreements = self.compare(generate(seed))
            tally.streams += 1
            tally.agreed += not disagreements
            tally.ends[_name(ours.end)] += 1
            for disagreement in disagreements:
                if disagreement.known is None:
                    tally.unexplained.append(disagreement)
                else:
                    tally.kinds[disagreement.known.name, disagreement.peer] += 1
        return tally


def _name(end: End | None) -> str:
    if end is None:
        return "still open"
    return "closed" if end.how == "closed" else f"{end.how} {end.code}"


def _kind(disagreement: Disagreement) -> tuple[object, ...]:
    ends = [None if end is None else end[:2] for end in (disagreement.ours.end, disagreement.theirs.end)]
    name = disagreement.known and disagreement.known.name
    return disagreement.peer, name, *([] if name else ends)
