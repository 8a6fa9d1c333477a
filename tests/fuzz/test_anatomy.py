"""Taking streams apart, without the parser under test."""

from __future__ import annotations

import zlib

import pytest

from fuzz.anatomy import dissect, inflate, is_no_text, whole_characters
from fuzz.streams import TAIL, Setting, Stream
from tests.support.wire import client_frame, frame


def parts_of(data, bits=0):
    return dissect(Stream(Setting(1000, bits), data))


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        (client_frame(1, b"a"), set()),
        (client_frame(1, b"a", rsv=4), {"reserved"}),
        (client_frame(3), {"opcode"}),
        (client_frame(0xB), {"opcode"}),
        (client_frame(9, fin=False), {"control"}),
        (client_frame(9, bytes(126)), {"control"}),
        (client_frame(0), {"order"}),
        (frame(2), {"unmasked"}),
        (bytes.fromhex("82 fe 00 05 00000000") + bytes(5), {"length"}),
        (bytes.fromhex("82 ff 80 00 00 00 00 00 00 00 00000000"), {"length"}),
    ],
)
def test_says_what_is_wrong_with_a_header(data, faults):
    assert parts_of(data)[0].faults == faults


def test_knows_which_frames_are_one_message():
    data = (
        client_frame(1, b"a", fin=False, rsv=4) + client_frame(9, b"?") + client_frame(0, b"bc") + client_frame(2, b"d")
    )
    first, ping, last, other = parts_of(data, bits=15)
    assert first.message is last.message is not other.message
    assert ping.message is None and ping.open_message is first.message
    assert first.message.payload == b"abc" and first.message.is_compressed and not other.message.is_compressed
    assert first.message.length_before(last) == 1
    assert all(part.is_whole and not part.faults for part in (first, ping, last, other))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_last_frame_may_lack_its_end(size):
    (part,) = parts_of(client_frame(2, b"abc")[:size])
    assert not part.is_whole and part.end == size
    assert part.payload == b"abc"[: max(0, size - 6)]


@pytest.mark.parametrize("takeover", [False, True])
def test_inflates_as_plainly_as_can_be(takeover):
    setting = Setting(1000, 15, takeover)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    payloads = [b"", b""]
    for index in (0, 1):
        if not takeover:
            compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        payloads[index] = (compressor.compress(b"abc" * 20) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    data = b"".join(client_frame(2, payload, rsv=4) for payload in payloads)
    messages = [part.message for part in dissect(Stream(setting, data))]
    assert inflate(setting, messages) == (b"abc" * 20, True, False)
    (cut,) = [part.message for part in dissect(Stream(setting, client_frame(2, payloads[0][:-2], rsv=4)))]
    assert inflate(setting, [cut])[1:] == (False, False)
    final = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = final.compress(b"abc") + final.flush()
    (ended,) = [part.message for part in dissect(Stream(setting, client_frame(2, payload, rsv=4)))]
    assert inflate(setting, [ended])[2] is True


@pytest.mark.parametrize(
    ("data", "wrong", "whole"),
    [
        (b"", False, 0),
        ("aé€😀".encode(), False, 10),
        (b"a\xf0\x9f", False, 1),
        (b"\xed\x9f", False, 0),
        (b"\xed\xa0", True, 0),
        (b"a\x80", True, 1),
        (b"\xc0\x80", True, 0),
    ],
)
def test_knows_what_can_be_text(data, wrong, whole):
    assert is_no_text(data) is wrong
    assert len(whole_characters(data)) == whole
