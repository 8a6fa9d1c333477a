"""What holds for every stream of bytes, however the network cuts it, and for every way that an application may act."""

import codecs
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import (
    HOSTILE_LIMIT,
    close_payload,
    closes,
    control_data,
    conversations,
    hostile_streams,
    masks,
)
from tests.support.wire import (
    CLIENT,
    CUT_SHORT,
    MASK,
    SERVER,
    ConnectionPair,
    Events,
    assert_failed,
    client_frame,
    hear,
    kept_by,
    pieces,
    take,
)
from wsmiddleware.protocol.close import Close
from wsmiddleware.protocol.connection import Failed, Ping, Pong
from wsmiddleware.protocol.errors import InvalidText
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, TEXT
from wsmiddleware.protocol.states import State

chunk_sizes = st.lists(st.integers(1, 20) | st.integers(1, 1000), min_size=1, max_size=8)

both_sides = pytest.mark.parametrize("side", [SERVER, CLIENT], ids=["server", "client"])


def cut(data, sizes):
    """Cut *data* into chunks of these sizes, over and over."""
    chunks, sizes = [], cycle(sizes)
    while data:
        size = next(sizes)
        chunks.append(data[:size])
        data = data[size:]
    return chunks


class TestWhatKeepsToTheRules:
    @both_sides
    @given(conversation=conversations(), mask=masks, sizes=chunk_sizes)
    @settings(max_examples=50, deadline=None)
    def test_is_understood_however_it_is_cut(self, side, conversation, mask, sizes):
        frames, events = conversation
        form = {"mask": mask} if side is SERVER else {}
        stream = b"".join(side.peer(opcode, payload, fin=fin, **form) for opcode, payload, fin in frames)
        for chunks in ([stream], cut(stream, sizes), pieces(stream, 1)):
            assert hear(side.make(), *chunks) == events


def meaning(events):
    """Events as values that can be compared: errors are equal if they say the same."""
    return [
        (type(event), (type(event.error), str(event.error)) if isinstance(event, Failed) else event) for event in events
    ]


class TestAnyBytes:
    @both_sides
    @given(data=st.data(), sizes=chunk_sizes)
    @settings(max_examples=75, deadline=None)
    def test_are_events_or_a_failure_and_mean_the_same_however_they_are_cut(self, side, data, sizes):
        stream = data.draw(hostile_streams(masked=side is SERVER))
        results = []
        for chunks in ([stream], cut(stream, sizes), pieces(stream, 1)):
            connection, events = side.make(max_message_size=HOSTILE_LIMIT), Events()
            for chunk in chunks:
                events += hear(connection, chunk)
                assert kept_by(connection) <= HOSTILE_LIMIT + len(chunk) + CUT_SHORT
            self.check(side, connection, events)
            results.append(meaning(events))
        assert results[0] == results[1] == results[2]

    def check(self, side, connection, events):
        """Assert that the end is in order, if there is one, and that it fits the events."""
        before, last = events, None
        if events and isinstance(events[-1], (Close, Failed)):
            *before, last = events
        assert all(isinstance(event, (str, bytes, Ping, Pong)) for event in before)
        assert all(len(event) <= HOSTILE_LIMIT for event in before if isinstance(event, bytes))
        if last is None:
            assert (connection.state, connection.sent, take(connection)) == (State.OPEN, None, b"")
        elif isinstance(last, Close):
            assert (connection.state, connection.received) == (State.CLOSED, last)
            assert take(connection) == side.own(CLOSE, close_payload(Close(last.code)))
        else:
            assert last.error.code in {1002, 1007, 1008, 1009}
            assert_failed(connection, side, Events([last]), type(last.error), "")

    @given(stream=st.binary(max_size=200), sizes=chunk_sizes, end=st.integers(0, 200))
    @settings(deadline=None)
    def test_and_an_end_at_any_of_them_leave_nothing(self, stream, sizes, end):
        server = SERVER.make(max_message_size=HOSTILE_LIMIT)
        hear(server, *cut(stream[:end], sizes))
        server.receive_eof()
        assert hear(server, stream[end:]) == []
        assert server.state in {State.CLOSED, State.FAILED, State.LOST}


def fails_at(encoded):
    """Return how many bytes CPython's decoder takes to see that this is not UTF-8, None if it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for count in range(1, len(encoded) + 1):
        try:
            decoder.decode(encoded[count - 1 : count], final=count == len(encoded))
        except UnicodeDecodeError:
            return count
    return None


odd_bytes = st.sampled_from(sorted({*range(0x7E, 0xC4), *range(0xDE, 0xE2), 0xEC, 0xED, 0xEE, *range(0xEF, 0x100)}))
nearly_utf8 = st.lists(st.text(max_size=5).map(str.encode) | st.lists(odd_bytes, max_size=4).map(bytes)).map(b"".join)


class TestTextThatIsNotUtf8:
    @both_sides
    @given(
        encoded=nearly_utf8.filter(lambda encoded: fails_at(encoded) is not None),
        cuts=st.lists(st.integers(0, 60), max_size=3),
    )
    @settings(deadline=None)
    def test_fails_no_later_than_cpython_can_tell(self, side, encoded, cuts):
        connection, heard, opcode = side.make(), 0, TEXT
        positions = [*sorted(position for position in cuts if position < len(encoded)), len(encoded)]
        for start, end in zip([0, *positions], positions, strict=False):
            fragment = encoded[start:end]
            stream = side.peer(opcode, fragment, fin=end == len(encoded))
            header = len(stream) - len(fragment)
            assert hear(connection, stream[:header]) == []
            for byte in pieces(stream[header:], 1):
                heard += 1
                events = hear(connection, byte)
                if events:
                    assert_failed(connection, side, events, InvalidText, "to be UTF-8")
                    assert heard <= fails_at(encoded)
                    return
            opcode = CONTINUATION
        pytest.fail("did not fail at all")

    @given(text=st.text(min_size=1), more=st.integers(1, 9))
    @settings(deadline=None)
    def test_is_not_what_may_still_become_text(self, text, more):
        """The beginning of a valid text, cut in the middle of a character, is no reason to fail."""
        encoded = text.encode()
        stream = client_frame(TEXT, encoded + b"*" * more, mask=MASK)
        server = SERVER.make()
        assert hear(server, *pieces(stream[:-more], 1)) == []
        assert hear(server, stream[-more:]) == [text + "*" * more]


ends = st.sampled_from(["server", "client"])
actions = st.one_of(
    st.tuples(ends, st.just("send"), st.text(max_size=40)),
    st.tuples(ends, st.just("send"), st.binary(max_size=40) | st.integers(120, 130).map(bytes)),
    st.tuples(ends, st.just("ping"), control_data),
    st.tuples(ends, st.just("pong"), control_data),
    st.tuples(ends, st.just("close"), closes),
    st.tuples(st.just("wire"), st.just("carry"), st.integers(1, 50)),
)


class TestPair:
    @given(script=st.lists(actions, max_size=12))
    @settings(max_examples=75, deadline=None)
    def test_understands_each_other(self, script):
        """Each end hears all that the other has sent, in order, its close frame last; and then both know the same."""
        pair = ConnectionPair()
        said = {"server": Events(), "client": Events()}
        heard = {"server": Events(), "client": Events()}

        def carry(size):
            for name, events in zip(("server", "client"), pair.carry(size), strict=True):
                heard[name] += events

        for who, verb, argument in [*script, ("wire", "carry", 1000)]:
            if who == "wire":
                carry(argument)
                continue
            connection = getattr(pair, who)
            if connection.state != State.OPEN:
                continue
            if verb == "close":
                connection.close(*argument)
                continue
            if verb == "send":
                text = isinstance(argument, str)
                connection.send_message(TEXT if text else BINARY, argument.encode() if text else argument)
            else:
                getattr(connection, verb)(argument)
            said[who].append({"ping": Ping, "pong": Pong}.get(verb, lambda message: message)(argument))

        for one, other in [("server", "client"), ("client", "server")]:
            sent = getattr(pair, one).sent
            assert heard[other] == said[one] + ([] if sent is None else [sent])
            assert getattr(pair, other).received == sent
        assert pair.server.state == pair.client.state
        assert pair.server.state in {State.OPEN, State.CLOSED}
        assert not pair.server.out and not pair.client.out
