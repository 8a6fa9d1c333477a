"""What holds for every stream of bytes, however the network cuts it, and for every way that an application may act."""

import codecs
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wire import (
    CLIENT,
    CUT_SHORT,
    MASK,
    SERVER,
    ConnectionPair,
    Events,
    assert_failed,
    client_frame,
    frame,
    hear,
    kept_by,
    pieces,
    take,
)
from wsmiddleware.protocol.close import Close
from wsmiddleware.protocol.connection import Failed, Ping, Pong, State
from wsmiddleware.protocol.errors import InvalidText
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

masks = st.binary(min_size=4, max_size=4)
close_codes = st.sampled_from([1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
closes = st.builds(Close, close_codes, st.text(max_size=30)) | st.just(Close(1005))
control_data = st.binary(max_size=125)
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


def close_payload(close):
    return b"" if close.code == 1005 else close.code.to_bytes(2, "big") + close.reason.encode()


@st.composite
def controls(draw):
    """A ping or a pong: the frame's opcode, payload and FIN, and the event."""
    data = draw(control_data)
    return draw(st.sampled_from([((PING, data, True), Ping(data)), ((PONG, data, True), Pong(data))]))


@st.composite
def conversations(draw):
    """What a peer that keeps to the rules may send, as frames, and the events that it means."""
    frames, events = [], []
    for message in draw(st.lists(st.text(max_size=40) | st.binary(max_size=300) | controls(), max_size=6)):
        if isinstance(message, tuple):
            frames.append(message[0])
            events.append(message[1])
            continue
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        for position in sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4))):
            # Each cut takes from what is left, so that fragments may be empty and characters may be cut in two.
            frames.append((opcode, payload[:position], False))
            opcode, payload = CONTINUATION, payload[position:]
            for control, event in draw(st.lists(controls(), max_size=2)):
                frames.append(control)
                events.append(event)
        frames.append((opcode, payload, True))
        events.append(message)
    close = draw(st.none() | closes)
    if close is not None:
        frames.append((CLOSE, close_payload(close), True))
        events.append(close)
    return frames, Events(events)


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


HOSTILE_LIMIT = 64
"""The size of message up to which an end goes here, so that many are too big."""

MOSTLY_VALID_TEXT = st.text(max_size=20).map(str.encode) | st.binary(max_size=100)


@st.composite
def hostile_frames(draw, masked):
    """Frames that may break any rule, and often enough keep most of them, so that what comes behind is looked at."""
    opcode = draw(st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]) | st.integers(0, 15))
    payload = draw(MOSTLY_VALID_TEXT | closes.map(close_payload) | st.binary(min_size=124, max_size=130))
    fin = draw(st.booleans())
    rsv = draw(st.sampled_from([0] * 9) | st.integers(0, 7))
    rebel = draw(st.integers(0, 19)) == 19
    return frame(opcode, payload, fin=fin, rsv=rsv, mask=b"" if masked is rebel else draw(masks))


def empty_promises(masked):
    """Headers of frames whose payload never comes."""
    lengths = st.sampled_from([127, 1 << 16, (1 << 63) - 100, (1 << 63) - 1]) | st.integers(0, (1 << 64) - 1)
    firsts = st.sampled_from([0x00, 0x01, 0x02, 0x80, 0x81, 0x82])
    return st.builds(
        lambda first, length: bytes([first, masked << 7 | 127]) + length.to_bytes(8, "big") + MASK * masked,
        firsts,
        lengths,
    )


def hostile_streams(masked):
    part = hostile_frames(masked) | st.binary(max_size=20)
    return st.builds(
        lambda parts, promise: b"".join(parts) + promise,
        st.lists(part, max_size=8),
        st.just(b"") | empty_promises(masked),
    )


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
    st.tuples(ends, st.just("send_text"), st.text(max_size=40)),
    st.tuples(ends, st.just("send_binary"), st.binary(max_size=40) | st.integers(120, 130).map(bytes)),
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
            getattr(connection, verb)(argument.encode() if verb == "send_text" else argument)
            said[who].append({"ping": Ping, "pong": Pong}.get(verb, lambda message: message)(argument))

        for one, other in [("server", "client"), ("client", "server")]:
            sent = getattr(pair, one).sent
            assert heard[other] == said[one] + ([] if sent is None else [sent])
            assert getattr(pair, other).received == sent
        assert pair.server.state == pair.client.state
        assert pair.server.state in {State.OPEN, State.CLOSED}
        assert not pair.server.out and not pair.client.out
