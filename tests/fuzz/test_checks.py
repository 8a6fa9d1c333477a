"""The rules of the guided run: the corpus keeps them, in whichever builds are here, and what breaks one is found."""

from __future__ import annotations

import pytest

from fuzz import builds, guided
from fuzz.checks import MAX_BYTE_BY_BYTE, Broken, Checks, decode, encode
from fuzz.streams import Setting, Stream, generate
from tests.support.wire import client_frame

CORPUS = guided.corpus()


@pytest.fixture(scope="module")
def checks(ours: list[builds.Build]) -> Checks:
    return Checks(ours)


def test_the_corpus_is_there_and_small():
    assert len(CORPUS) > 100
    assert sum(file.stat().st_size for file in CORPUS) < 100_000
    assert {decode(file.read_bytes()).setting.bits for file in CORPUS} == {0, 8, 9, 12, 15}


def test_the_corpus_breaks_no_rule(checks):
    for file in CORPUS:
        checks.run(file.read_bytes())


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xff", b"\xff\xff\xff\x82\x80"])
def test_any_input_stands_for_a_stream(data):
    assert decode(data).data == data[3:]


def test_a_stream_can_be_written_as_an_input():
    for seed in range(100):
        stream = generate(seed)
        read = decode(encode(stream))
        assert read.data == stream.data
        assert read.setting.takeover == stream.setting.takeover
        assert bool(read.setting.bits) == bool(stream.setting.bits)
    assert decode(encode(Stream(Setting(1000, 15, True), b"abcdef", (2,)))) == Stream(
        Setting(1000, 15, True), b"abcdef", (2, 4)
    )


PING = encode(Stream(Setting(1000), client_frame(9, b"abc") + client_frame(1, b"text")))


class Wrong:
    """A connection that does one thing wrong."""

    def __init__(self, connection, what):
        self._connection = connection
        self._what = what
        self._chunks = 0

    def __getattr__(self, name):
        return getattr(self._connection, name)

    @property
    def out(self):
        return b"" if self._what == "answers" else self._connection.out

    def receive(self, data):
        self._chunks += 1
        if self._what == "chunks" and self._chunks == MAX_BYTE_BY_BYTE // 20:
            return
        self._connection.receive(data)

    def next_event(self):
        if self._what == "raises":
            raise IndexError("from the parser")
        return self._connection.next_event()


@pytest.mark.parametrize(
    ("what", "error", "told"),
    [
        ("answers", Broken, "^expected the pong 8a03616263, found $"),
        ("chunks", Broken, "^expected the same of all builds and chunks, found in "),
        ("raises", IndexError, "^from the parser$"),
    ],
)
def test_a_broken_rule_is_found(monkeypatch, what, error, told):
    new_connection = builds.Build.new_connection
    monkeypatch.setattr(builds.Build, "new_connection", lambda *given: Wrong(new_connection(*given), what))
    with pytest.raises(error, match=told):
        Checks([builds.pure()]).run(PING)


def test_without_clang_the_guided_run_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(guided.Unable, match="needs clang, which was not found on PATH"):
        guided.run(1, keep=False)
