"""Whole frames, and what close frames hold. What RFC 6455 says is in the docstrings, with the section's number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import MASK
from wsmiddleware.protocol.close import Close
from wsmiddleware.protocol.errors import FramingError, InvalidText
from wsmiddleware.protocol.frames import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    decode_close,
    encode_close,
    encode_frame,
)

wire = bytes.fromhex


class TestExamplesOfSection57:
    @pytest.mark.parametrize(
        ("encoded", "expected"),
        [
            pytest.param(
                encode_frame(TEXT, b"Hello"),
                wire("81 05 48 65 6c 6c 6f"),
                id="a single-frame unmasked text message",
            ),
            pytest.param(
                encode_frame(TEXT, b"Hello", mask=MASK),
                wire("81 85 37 fa 21 3d 7f 9f 4d 51 58"),
                id="a single-frame masked text message",
            ),
            pytest.param(
                encode_frame(TEXT, b"Hel", fin=False) + encode_frame(CONTINUATION, b"lo"),
                wire("01 03 48 65 6c 80 02 6c 6f"),
                id="a fragmented unmasked text message",
            ),
            pytest.param(
                encode_frame(PING, b"Hello"),
                wire("89 05 48 65 6c 6c 6f"),
                id="unmasked ping request",
            ),
            pytest.param(
                encode_frame(PONG, b"Hello", mask=MASK),
                wire("8a 85 37 fa 21 3d 7f 9f 4d 51 58"),
                id="masked ping response",
            ),
            pytest.param(
                encode_frame(BINARY, bytes(256)),
                wire("82 7e 01 00") + bytes(256),
                id="256 bytes binary message in a single unmasked frame",
            ),
            pytest.param(
                encode_frame(BINARY, bytes(65536)),
                wire("82 7f 00 00 00 00 00 01 00 00") + bytes(65536),
                id="64KiB binary message in a single unmasked frame",
            ),
        ],
    )
    def test_is_encoded_byte_by_byte(self, encoded, expected):
        assert encoded == expected


class TestFrame:
    @pytest.mark.parametrize("mask", [b"", MASK, bytes(4)])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_takes_any_kind_of_bytes_and_leaves_them_alone(self, kind, mask):
        payload = kind(b"Hello")
        encoded = encode_frame(TEXT, payload, mask=mask)
        assert type(encoded) is bytes
        assert encoded == encode_frame(TEXT, b"Hello", mask=mask)
        assert bytes(payload) == b"Hello"

    def test_may_be_empty(self):
        assert encode_frame(TEXT, b"") == wire("81 00")
        assert encode_frame(TEXT, b"", mask=MASK) == wire("81 80 37 fa 21 3d")


class TestEncodeClose:
    @pytest.mark.parametrize(
        ("close", "expected"),
        [
            (Close(1000), "03 e8"),
            (Close(1001, "bye"), "03 e9 62 79 65"),
            (Close(4999, "tschüß"), "13 87 74 73 63 68 c3 bc c3 9f"),
        ],
    )
    def test_is_the_code_in_network_order_and_the_reason_in_utf8(self, close, expected):
        assert encode_close(close) == wire(expected)

    def test_is_empty_without_a_code(self):
        assert encode_close(Close(1005)) == b""


class TestDecodeClose:
    @pytest.mark.parametrize(
        ("payload", "expected"),
        [
            ("", Close(1005)),
            ("03 e8", Close(1000)),
            ("03 e9 62 79 65", Close(1001, "bye")),
            ("13 87 74 73 63 68 c3 bc c3 9f", Close(4999, "tschüß")),
        ],
    )
    def test_reads_code_and_reason(self, payload, expected):
        """7.1.5: "If this Close control frame contains no status code, [it] is considered to be 1005"."""
        assert decode_close(wire(payload)) == expected

    def test_refuses_half_a_code(self):
        """5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"."""
        with pytest.raises(FramingError, match="^expected a close frame with a code .*, found one byte$"):
            decode_close(wire("03"))

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
    def test_accepts_codes_that_may_be_sent(self, code):
        assert decode_close(code.to_bytes(2, "big")) == Close(code)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
    def test_refuses_codes_that_may_not(self, code):
        """7.4.2: 1000 to 2999 "are reserved for definition by this protocol", below "are not used"."""
        with pytest.raises(FramingError, match=f"^expected a close code that may be sent, found {code}$"):
            decode_close(code.to_bytes(2, "big") + b"reason")

    @pytest.mark.parametrize("reason", ["ff", "c3", "c0 80", "ed a0 80", "f4 90 80 80", "62 79 65 ce"])
    def test_refuses_a_reason_that_is_not_utf8(self, reason):
        """5.5.1: "the body MAY contain UTF-8-encoded data"."""
        with pytest.raises(InvalidText, match="^expected a close frame's reason to be UTF-8"):
            decode_close(wire("03 e8") + wire(reason))

    @given(code=st.sampled_from([1000, 1014, 3000, 4999]), reason=st.text(max_size=30))
    def test_reads_back_what_was_encoded(self, code, reason):
        assert decode_close(encode_close(Close(code, reason))) == Close(code, reason)
