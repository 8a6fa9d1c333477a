"""What touches every byte: masks, headers, frames into a buffer. What RFC 6455 says is in the docstrings."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.anatomy import is_no_text
from tests.support.build import load_source
from tests.support.wire import MASK, frame, xor
from wsmiddleware.protocol import wire as installed
from wsmiddleware.protocol.frames import BINARY, CLOSE, CONTINUATION, MAX_CONTROL, PING, PONG, TEXT
from wsmiddleware.protocol.wire import apply_mask, encode_header

wire = bytes.fromhex

masks = st.binary(min_size=4, max_size=4)

in_python = load_source("wsmiddleware.protocol.wire")
BUILDS = [in_python] if installed.__file__.endswith(".py") else [in_python, installed]
"""The module in Python, and the one in C that takes its place in compiled builds."""

every_build = pytest.mark.parametrize("build", BUILDS, ids=["python", "c"][: len(BUILDS)])


class TestHeader:
    @pytest.mark.parametrize(
        ("length", "expected"),
        [
            (0, "82 00"),
            (1, "82 01"),
            (125, "82 7d"),
            (126, "82 7e 00 7e"),
            (127, "82 7e 00 7f"),
            (128, "82 7e 00 80"),
            (65535, "82 7e ff ff"),
            (65536, "82 7f 00 00 00 00 00 01 00 00"),
            ((1 << 63) - 1, "82 7f 7f ff ff ff ff ff ff ff"),
        ],
    )
    def test_has_the_length_in_the_fewest_bytes(self, length, expected):
        """5.2: "in all cases, the minimal number of bytes MUST be used to encode the length"."""
        assert encode_header(BINARY, length) == wire(expected)

    @pytest.mark.parametrize(
        ("length", "expected"),
        [
            (0, "82 80 37 fa 21 3d"),
            (125, "82 fd 37 fa 21 3d"),
            (126, "82 fe 00 7e 37 fa 21 3d"),
            (65536, "82 ff 00 00 00 00 00 01 00 00 37 fa 21 3d"),
        ],
    )
    def test_ends_with_the_mask(self, length, expected):
        assert encode_header(BINARY, length, mask=MASK) == wire(expected)

    @pytest.mark.parametrize(
        ("opcode", "whole", "fragment"),
        [
            (CONTINUATION, "80", "00"),
            (TEXT, "81", "01"),
            (BINARY, "82", "02"),
        ],
    )
    def test_says_whether_the_message_ends(self, opcode, whole, fragment):
        assert encode_header(opcode, 0, fin=True) == wire(whole + "00")
        assert encode_header(opcode, 0, fin=False) == wire(fragment + "00")

    def test_of_a_control_frame(self):
        assert [encode_header(opcode, MAX_CONTROL) for opcode in (CLOSE, PING, PONG)] == [
            wire("88 7d"),
            wire("89 7d"),
            wire("8a 7d"),
        ]


class TestMask:
    def test_is_applied_from_its_first_octet(self):
        assert apply_mask(b"Hello", MASK) == wire("7f 9f 4d 51 58")

    @pytest.mark.parametrize(
        ("offset", "expected"),
        [
            (0, "01 02 04 08 01"),
            (1, "02 04 08 01 02"),
            (2, "04 08 01 02 04"),
            (3, "08 01 02 04 08"),
            (4, "01 02 04 08 01"),
            (65539, "08 01 02 04 08"),
        ],
    )
    def test_goes_on_where_the_payload_does(self, offset, expected):
        """5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-j" with "j = i MOD 4"."""
        assert apply_mask(bytes(5), wire("01 02 04 08"), offset) == wire(expected)

    @given(data=st.binary(max_size=70), mask=masks, offset=st.integers(0, (1 << 63) - 1))
    def test_is_what_the_definition_says(self, data, mask, offset):
        assert apply_mask(data, mask, offset) == xor(data, mask, offset)

    @given(data=st.binary(max_size=70), mask=masks, offset=st.integers(0, (1 << 63) - 1))
    def test_is_its_own_inverse(self, data, mask, offset):
        assert apply_mask(apply_mask(data, mask, offset), mask, offset) == data

    @given(data=st.binary(max_size=70), mask=masks, cut=st.integers(0, 70))
    def test_in_two_parts_is_the_same_as_in_one(self, data, mask, cut):
        head, tail = data[:cut], data[cut:]
        assert apply_mask(head, mask) + apply_mask(tail, mask, len(head)) == apply_mask(data, mask)

    @given(mask=masks, length=st.integers(65530, 65540))
    @settings(max_examples=5, deadline=None)
    def test_is_as_right_for_long_payloads(self, mask, length):
        data = bytes(i * 7 & 0xFF for i in range(length))
        assert apply_mask(data, mask, 3) == xor(data, mask, 3)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_takes_any_kind_of_bytes_and_leaves_them_alone(self, kind):
        data = kind(b"Hello")
        masked = apply_mask(data, MASK)
        assert type(masked) is bytes
        assert masked == wire("7f 9f 4d 51 58")
        assert bytes(data) == b"Hello"

    @pytest.mark.parametrize("length", range(10))
    def test_keeps_zeros_at_either_end(self, length):
        assert apply_mask(bytes(length), bytes(4)) == bytes(length)
        assert apply_mask(b"", MASK, length) == b""


@every_build
class TestUnmask:
    @given(data=st.binary(max_size=70), mask=masks, before=st.binary(max_size=20), after=st.binary(max_size=20))
    def test_finds_mask_and_payload_in_the_data(self, build, data, mask, before, after):
        masked = before + mask + b"..." + xor(data, mask, 0) + after
        start = len(before) + 4 + 3
        assert build.unmask(masked, len(before), start, start + len(data)) == data

    def test_is_as_right_for_long_payloads(self, build):
        data = bytes(i * 7 & 0xFF for i in range(66_000))
        assert build.unmask(MASK + data, 0, 4, 66_004) == xor(data, MASK, 0)

    @pytest.mark.parametrize("length", [500, 600, 5_000, 100_000])
    def test_leaves_earlier_payloads_alone_as_long_as_somebody_holds_them(self, build, length):
        expected = [bytes([number]) * (length + number) for number in range(40)]
        payloads = [build.unmask(MASK + xor(data, MASK, 0), 0, 4, 4 + len(data)) for data in expected]
        assert payloads == expected

    @pytest.mark.parametrize("length", [500, 600, 5_000, 100_000])
    def test_is_like_new_in_the_memory_of_an_earlier_one(self, build, length):
        for number in range(40):
            data = bytes([number]) * (length + number % 5)
            payload = build.unmask(MASK + xor(data, MASK, 0), 0, 4, 4 + len(data))
            assert payload == data
            assert hash(payload) == hash(bytes(bytearray(data)))
            del payload

    def test_leaves_the_data_alone(self, build):
        data = MASK + wire("7f 9f 4d 51 58")
        unmasked = build.unmask(data, 0, 4, 9)
        assert (unmasked, data) == (b"Hello", MASK + wire("7f 9f 4d 51 58"))


def payload_of(build, data: bytes, *, mask: bytes = MASK, sizes: tuple[int, ...] = ()) -> bytes:
    """Return what comes of *data* when it arrives in parts of the given *sizes*, and then the rest."""
    masked = xor(data, mask, 0) if mask else data
    partial = build.PartialPayload(len(data), mask)
    start = 0
    for size in (*sizes, len(data)):
        stop = min(start + size, len(data))
        assert partial.add(masked, start, stop) == stop - start
        start = stop
        assert partial.missing == len(data) - stop
    return partial.take()


EDGES = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
"""Next to each border that there is for the second byte of a character."""


@every_build
class TestTextCheck:
    def test_knows_all_characters(self, build):
        for first in range(0x80, 0x100):
            for rest in itertools.product(EDGES, EDGES):
                data = bytes((first, *rest))
                assert build.TextCheck().add(data) is not is_no_text(data), data.hex(" ")

    @given(
        text=st.text(st.sampled_from("aaaaaaaaaa\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff")),
        change=st.none() | st.tuples(st.integers(0, 100), st.integers(0, 255)),
        cuts=st.lists(st.integers(0, 100)),
    )
    def test_says_the_same_of_parts_as_pythons_decoder(self, build, text, change, cuts):
        data = bytearray(text.encode())
        if change is not None and change[0] < len(data):
            data[change[0]] = change[1]
        borders = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
        check = build.TextCheck()
        parts: list[bytes] = []
        for start, stop in itertools.pairwise(borders):
            parts.append(bytes(data[start:stop]))
            answer = check.add(parts[-1])
            assert answer is not is_no_text(b"".join(parts))
            if not answer:
                break

    @pytest.mark.parametrize("second", [0x80, 0x9F, 0xA0, 0xBF])
    def test_refuses_a_surrogate_at_its_second_byte(self, build, second):
        for parts in ([b"a\xed", bytes([second])], [bytes([0xED, second])]):
            check = build.TextCheck()
            assert [check.add(part) for part in parts][-1] is (second < 0xA0)

    def test_of_a_payload_is_of_what_came_last(self, build):
        check = build.TextCheck()
        partial = build.PartialPayload(7, MASK)
        data = xor("a€€".encode(), MASK)
        for stop in range(1, 8):
            partial.add(data, stop - 1, stop)
            assert partial.add_last_to(check, 1)
        assert partial.take() == "a€€".encode()
        assert not check.add(b"\x80")


@every_build
class TestPartialPayload:
    @given(data=st.binary(min_size=1, max_size=70), mask=st.just(b"") | masks, sizes=st.lists(st.integers(0, 20)))
    def test_is_what_came_in_parts(self, build, data, mask, sizes):
        assert payload_of(build, data, mask=mask, sizes=tuple(sizes)) == data

    def test_takes_no_more_than_belongs_to_it(self, build):
        partial = build.PartialPayload(3, b"")
        assert partial.add(b"abcdef", 1, 6) == 3
        assert (partial.missing, partial.take()) == (0, b"bcd")

    def test_of_many_megabytes_grows_as_it_comes(self, build):
        data = bytes(range(256)) * (17 * 4096)
        assert payload_of(build, data, sizes=(1, 16 * 1024 * 1024, 5)) == data

    def test_leaves_a_message_alone_as_long_as_somebody_holds_it(self, build):
        messages = [payload_of(build, bytes([number]) * 200_000) for number in range(40)]
        assert messages == [bytes([number]) * 200_000 for number in range(40)]

    def test_is_like_new_when_it_was_another_message_before(self, build):
        for number in range(40):
            length = 200_000 + number % 3 * 50_000
            message = payload_of(build, bytes([number]) * length)
            assert message == bytes([number]) * length
            assert hash(message) == hash(bytes(bytearray(message)))
            assert message + b"." == bytes([number]) * length + b"."


@pytest.fixture(params=BUILDS, ids=["python", "c"][: len(BUILDS)])
def out(request):
    """An empty OutBuffer."""
    return request.param.OutBuffer()


class TestOutBuffer:
    def test_goes_out_in_order_when_large_payloads_are_between(self, out):
        large = [bytes([number]) * 20_000 for number in range(3)]
        expected = b""
        for payload in large:
            out.append_frame(BINARY, payload)
            expected += frame(BINARY, payload)
            assert out.size() == len(expected)
            out.consume(2_000)
            expected = expected[2_000:]
            assert out.size() == len(expected)
        out.append_frame(TEXT, b"last")
        assert out == expected + frame(TEXT, b"last")

    @pytest.mark.parametrize("written", [1, 4, 5, 19_999, 20_004])
    def test_keeps_the_rest_of_a_large_payload(self, out, written):
        out.append_frame(BINARY, b"*" * 20_000)
        out.consume(written)
        assert out == frame(BINARY, b"*" * 20_000)[written:]

    @pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_appends_whole_frames(self, out, kind, length):
        out.extend(b"before")
        out.append_frame(BINARY, kind(b"*" * length))
        out.append_frame(TEXT, kind(b"Hello"))
        assert out == b"before" + frame(BINARY, b"*" * length) + wire("81 05 48 65 6c 6c 6f")

    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
    def test_appends_frames_of_any_opcode(self, out, opcode):
        out.append_frame(opcode, b"x")
        assert out == bytes([0x80 | opcode]) + b"\1x"

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(memoryview(b"\1\0\2\0").cast("H"), id="two bytes per item"),
            pytest.param(memoryview(b"\1\0\2\0").cast("B", [2, 2]), id="two dimensions"),
        ],
    )
    def test_counts_bytes_and_not_items(self, out, payload):
        """5.2: "The length of the "Payload data", in bytes"."""
        out.append_frame(BINARY, payload)
        assert out == wire("82 04 01 00 02 00")

    @pytest.mark.parametrize("payload", ["not encoded", memoryview(b"with gaps")[::2]], ids=["str", "gaps"])
    def test_has_no_half_frame_when_it_cannot(self, out, payload):
        out.extend(b"before")
        with pytest.raises((TypeError, BufferError)):
            out.append_frame(BINARY, payload)
        assert out == b"before"

    def test_is_empty_at_first_and_when_it_is_cleared(self, out):
        out.clear()
        assert (len(out), bool(out), bytes(out)) == (0, False, b"")
        out.extend(b"x" * 1000)
        out.clear()
        assert (len(out), bool(out), bytes(out)) == (0, False, b"")

    @given(data=st.data())
    def test_gives_back_in_order_what_was_put_in(self, data):
        for build in BUILDS:
            out, expected = build.OutBuffer(), b""
            for _ in range(data.draw(st.integers(0, 12))):
                if data.draw(st.booleans()):
                    piece = data.draw(st.binary(max_size=8)) * data.draw(st.sampled_from([1, 100]))
                    out.extend(piece)
                    expected += piece
                else:
                    size = data.draw(st.integers(0, len(expected)))
                    out.consume(size)
                    expected = expected[size:]
                assert (out, len(out)) == (expected, len(expected))

    def test_does_not_change_under_a_view(self, out):
        out.extend(b"before")
        with memoryview(out) as view:
            with pytest.raises(BufferError):
                out.extend(b"x" * 1000)
            assert view == b"before"
        out.extend(b" and after")
        assert out == b"before and after"
