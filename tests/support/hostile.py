"""Streams of bytes for hypothesis: what peers send that keep to the rules, and what peers send that do not."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.wire import MASK, Events, frame
from wsmiddleware.protocol.close import Close
from wsmiddleware.protocol.connection import Ping, Pong
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

masks = st.binary(min_size=4, max_size=4)
close_codes = st.sampled_from([1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
closes = st.builds(Close, close_codes, st.text(max_size=30)) | st.just(Close(1005))
control_data = st.binary(max_size=125)


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


HOSTILE_LIMIT = 64
"""The size of message up to which an end goes here, so that many are too big."""

MOSTLY_VALID_TEXT = st.text(max_size=20).map(str.encode) | st.binary(max_size=100)


@st.composite
def mutated(draw, streams):
    """One of *streams* after some accidents: bytes changed, lost, put in or sent twice."""
    stream = draw(streams)
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(stream)))
        size = draw(st.integers(0, 4))
        middle = draw(st.binary(max_size=4) | st.just(stream[position : position + size] * 2))
        stream = stream[:position] + middle + stream[position + size :]
    return stream


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
