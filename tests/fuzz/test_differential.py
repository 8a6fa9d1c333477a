"""The differential, for a while; and each disagreement that is said to be explained still shows."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fuzz import builds
from fuzz.__main__ import main
from fuzz.differential import Differential
from fuzz.known import KNOWN
from fuzz.reading import End
from fuzz.streams import Frame, Setting, Stream
from tests.fuzz.examples import EXAMPLES
from tests.support.wire import client_frame

STREAMS = 1500


@pytest.fixture(scope="module")
def differential(ours: list[builds.Build]) -> Differential:
    return Differential(ours)


def test_every_disagreement_is_explained(differential):
    tally = differential.run(range(STREAMS))
    assert tally.streams == STREAMS
    assert [str(found) for found in tally.unexplained] == []
    assert len(tally.kinds) > 10
    assert {"still open", "closed", "failed 1002", "failed 1007", "failed 1009"} <= set(tally.ends)


def test_the_builds_are_two_if_one_is_compiled(ours):
    assert [build.is_compiled for build in ours] == [False, True][: len(ours)]
    assert len({build.classes.Connection for build in ours}) == len(ours)


@pytest.mark.parametrize(("name", "peer"), [(known.name, peer) for known in KNOWN for peer in known.peers])
def test_an_explained_disagreement_still_shows(differential, name, peer):
    _, found = differential.compare(EXAMPLES[name, peer])
    assert (peer, name) in [(one.peer, one.known and one.known.name) for one in found]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_an_explained_disagreement_is_in_the_documentation(known):
    row = f"| {known.name} | {', '.join(known.peers)} | {known.section} | {known.why} |"
    assert row in (builds.ROOT / "docs" / "fuzzing.md").read_text(encoding="utf-8").splitlines()


def test_no_example_is_of_something_else():
    assert set(EXAMPLES) == {(known.name, peer) for known in KNOWN for peer in known.peers}


def test_what_all_hear_alike_is_no_disagreement(differential):
    stream = Stream(Setting(100), client_frame(1, b"hello") + client_frame(9, b"?") + client_frame(8, b"\x03\xe8bye"))
    reading, found = differential.compare(stream)
    assert reading.events == (("text", "hello"), ("ping", b"?"))
    assert reading.end == End("closed", 1000, "bye")
    assert found == []


def test_what_is_not_explained_is_told_in_a_small_stream(differential, monkeypatch):
    monkeypatch.setattr("fuzz.known.KNOWN", ())
    data = client_frame(9, b"before") + client_frame(8, b"\x03\xf6 bad gateway")
    _, (found,) = differential.compare(Stream(Setting(1000), data, (3, 9)))
    assert (found.peer, found.known, found.theirs.end) == ("wsproto", None, End("failed", 1002))
    small = differential.reduced(found)
    assert small.stream == Stream(Setting(1000), Frame(8, b"\x03\xf6").encode())
    assert "python -m fuzz read --limit 1000 88820000000003f6" in str(small)


def test_the_command_fails_if_something_is_not_explained(monkeypatch):
    arguments = ["differential", "--streams", "12", "--first", "0", "--builds", "pure"]
    passed = CliRunner().invoke(main, arguments)
    assert passed.exit_code == 0, passed.output
    assert "12 streams in" in passed.output
    monkeypatch.setattr("fuzz.known.KNOWN", ())
    failed = CliRunner().invoke(main, arguments)
    assert failed.exit_code == 1
    assert "python -m fuzz read --limit " in failed.output
    assert "are not explained in fuzz/known.py" in failed.output


def test_the_command_shows_one_stream():
    shown = CliRunner().invoke(main, ["read", "--builds", "pure", "--limit", "1000", "88820000000003f6"])
    assert shown.exit_code == 0, shown.output
    assert "opcode 8 fin length 2" in shown.output
    assert "ours: [] closed 1014" in shown.output
    assert "wsproto: [] failed 1002" in shown.output
