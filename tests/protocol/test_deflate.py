import json
import random
import zlib

import pytest

from tests.support.wire import TAIL, squeeze
from wsmiddleware.protocol.close import CloseCode
from wsmiddleware.protocol.deflate import (
    MAX_FINAL_BLOCKS,
    MIN_SIZE,
    OWN_BITS,
    Agreed,
    Deflate,
    Mode,
    agree,
    compress_alone,
)
from wsmiddleware.protocol.errors import InvalidDeflate, MessageTooBig
from wsmiddleware.protocol.extensions import parse

HELLO = bytes.fromhex("f2 48 cd c9 c9 07 00")
"""Section 7.2.3.1."""


def answer(field: str, mode: Mode = "dedicated") -> str | None:
    agreed = agree(parse(field), mode)
    return None if agreed is None else str(agreed.extension)


def ends(out_takeover: bool = True, in_takeover: bool = True, bits: int = OWN_BITS) -> tuple[Deflate, Deflate]:
    """Return the two ends of a connection."""
    return (
        Deflate(out_takeover=out_takeover, out_bits=bits, in_takeover=in_takeover, in_bits=15),
        Deflate(out_takeover=in_takeover, out_bits=15, in_takeover=out_takeover, in_bits=bits),
    )


def end(takeover: bool = False, bits: int = 15) -> Deflate:
    return ends(in_takeover=takeover, bits=bits)[0]


def inflate(deflate: Deflate, *pieces: bytes, limit: int = 1_000_000) -> bytes:
    found = bytearray()
    for number, piece in enumerate(pieces, 1):
        found += deflate.decompress(piece, number == len(pieces), limit - len(found), found)
    return bytes(found)


def inflate_strictly(compressed: bytes, bits: int) -> bytes:
    """Return the message. Byte by byte: within what it makes at once, zlib allows any distance."""
    decompressor = zlib.decompressobj(-bits)
    found, rest = bytearray(), compressed + TAIL
    while piece := decompressor.decompress(rest, 1):
        found += piece
        rest = decompressor.unconsumed_tail
    return bytes(found)


def far_apart(distance: int) -> bytes:
    """Return a message that says the same twice, *distance* bytes apart and with nothing alike between."""
    said = bytes(range(64))
    return said + random.Random(7).randbytes(distance - len(said)) + said


class TestAgree:
    @pytest.mark.parametrize("field", ["", "foo", "permessage-bzip2", "Permessage-Deflate", "x-webkit-deflate-frame"])
    def test_speaks_nothing_else(self, field):
        assert answer(field) is None

    @pytest.mark.parametrize(
        ("offer", "dedicated"),
        [
            ("", ""),
            ("server_no_context_takeover", "server_no_context_takeover"),
            ("client_no_context_takeover", "client_no_context_takeover"),
            (
                "client_no_context_takeover; server_no_context_takeover",
                "server_no_context_takeover; client_no_context_takeover",
            ),
            ("client_max_window_bits", "client_max_window_bits=12"),
            ("client_max_window_bits=15", "client_max_window_bits=12"),
            ("client_max_window_bits=10", "client_max_window_bits=10"),
            ("client_max_window_bits=8", "client_max_window_bits=8"),
            ("server_max_window_bits=15", "server_max_window_bits=12"),
            ("server_max_window_bits=9", "server_max_window_bits=9"),
            ("server_max_window_bits=8", "server_max_window_bits=8"),
            ('server_max_window_bits="10"', "server_max_window_bits=10"),
        ],
    )
    def test_answers_what_was_asked(self, offer, dedicated):
        """The answer says what it has to, and never client_max_window_bits unless the offer did (section 7.1.2.2)."""
        field = "; ".join(filter(None, ["permessage-deflate", offer]))
        assert answer(field) == "; ".join(filter(None, ["permessage-deflate", dedicated]))

    @pytest.mark.parametrize(
        ("offer", "rest"),
        [
            ("", ""),
            ("server_no_context_takeover", ""),
            ("client_max_window_bits", ""),
            ("client_max_window_bits=9", "; client_max_window_bits=9"),
            ("server_max_window_bits=10", "; server_max_window_bits=10"),
        ],
    )
    def test_shared_contexts_take_nothing_over(self, offer, rest):
        field = "; ".join(filter(None, ["permessage-deflate", offer]))
        expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        assert answer(field, "shared") == expected + rest

    @pytest.mark.parametrize(
        "parameter",
        [
            "unknown",
            "unknown=1",
            "Server_No_Context_Takeover",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=-9",
            "server_max_window_bits=1e1",
            "server_max_window_bits=100000000000000000000",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=012",
            "client_max_window_bits; client_max_window_bits",
            "server_no_context_takeover; server_no_context_takeover",
            "server_max_window_bits=10; server_max_window_bits=10",
        ],
    )
    def test_declines_wrong_offers_and_takes_the_next(self, parameter):
        wrong = f"permessage-deflate; {parameter}"
        assert answer(wrong) is None
        assert answer(f"{wrong}, foo, permessage-deflate; server_max_window_bits=9, permessage-deflate") == (
            "permessage-deflate; server_max_window_bits=9"
        )

    def test_says_what_both_ends_do(self):
        agreed = agree(parse("permessage-deflate; client_no_context_takeover; client_max_window_bits=9"), "dedicated")
        assert agreed == Agreed(True, False, OWN_BITS, 9, agreed.extension)
        assert inflate(agreed.deflate(), HELLO) == b"Hello"

    def test_a_client_that_has_a_smaller_window_keeps_to_it(self):
        first, far = far_apart(2000), far_apart(2000)[:64]
        compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
        messages = [
            (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
            for data in (first[:-64], far)
        ]
        for bits in (9, 12):
            deflate = agree(parse(f"permessage-deflate; client_max_window_bits={bits}"), "dedicated").deflate()
            assert inflate(deflate, messages[0]) == first[:-64]
            if bits == 12:
                assert inflate(deflate, messages[1]) == far
                continue
            with pytest.raises(InvalidDeflate):
                inflate(deflate, messages[1])

    def test_a_client_that_has_not_said_so_may_use_the_largest_window(self):
        far = bytes(range(256)) * 64
        deflate = agree(parse("permessage-deflate"), "dedicated").deflate()
        message = far + b"*" * 16_000 + far
        assert inflate(deflate, squeeze(message)) == message


class TestDecompress:
    @pytest.mark.parametrize("takeover", [False, True])
    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param("f2 48 cd c9 c9 07 00", id="one block (7.2.3.1)"),
            pytest.param("00 05 00 fa ff 48 65 6c 6c 6f 00", id="no compression (7.2.3.3)"),
            pytest.param("f3 48 cd c9 c9 07 00 00", id="a final block (7.2.3.4)"),
            pytest.param("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", id="two blocks (7.2.3.5)"),
            pytest.param("f3 48 cd c9 c9 07 00", id="a final block, and nothing more"),
        ],
    )
    def test_the_examples_of_the_specification(self, payload, takeover):
        payload = bytes.fromhex(payload)
        deflate = end(takeover)
        for _ in range(2):
            assert inflate(deflate, payload) == b"Hello"
            assert inflate(deflate, *(payload[at : at + 1] for at in range(len(payload)))) == b"Hello"
            assert inflate(deflate, payload, b"") == b"Hello"

    def test_the_example_of_context_takeover(self):
        """Section 7.2.3.2."""
        deflate = end(takeover=True)
        assert inflate(deflate, HELLO) == b"Hello"
        assert inflate(deflate, bytes.fromhex("f2 00 11 00 00")) == b"Hello"
        with pytest.raises(InvalidDeflate):
            inflate(end(), bytes.fromhex("f2 00 11 00 00"))

    def test_an_empty_message(self):
        """Section 7.2.3.6."""
        assert inflate(end(), b"\x00") == b""

    def test_what_stands_behind_a_final_block_may_refer_to_it(self):
        text = b"abcdefghijklmnopqrstuvwxyz" * 4
        first = squeeze(text, mode=zlib.Z_FINISH)
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=text)
        second = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert len(second) < 12
        assert inflate(end(), first + second.removesuffix(TAIL)) == text * 2
        assert inflate(end(), first, second.removesuffix(TAIL)) == text * 2

    @pytest.mark.parametrize("takeover", [False, True])
    def test_final_blocks_without_end_are_refused(self, takeover):
        """Each would cost a new context, and a look at all that is behind it."""
        one = squeeze(b"", mode=zlib.Z_FINISH)
        deflate = end(takeover)
        for _ in range(2):
            assert inflate(deflate, one * MAX_FINAL_BLOCKS + b"\x00") == b""
            assert inflate(deflate, *[one] * MAX_FINAL_BLOCKS, b"\x00") == b""
        for pieces in ([one * 100_000], [one] * (MAX_FINAL_BLOCKS + 1) + [b"\x00"]):
            with pytest.raises(InvalidDeflate, match=f"at most {MAX_FINAL_BLOCKS} final blocks in a message, found"):
                inflate(end(takeover), *pieces)

    @pytest.mark.parametrize("takeover", [False, True])
    def test_empty_pieces_are_nothing(self, takeover):
        deflate = end(takeover)
        final = squeeze(b"Hello", mode=zlib.Z_FINISH)
        nothing = squeeze(b"", mode=zlib.Z_FINISH)
        for pieces in ([HELLO, b"", b""], [b"", HELLO], [final, b"", b""], [b"", final, b"", b"\x00"]):
            assert inflate(deflate, *pieces) == b"Hello"
        assert inflate(deflate, nothing, b"") == b""
        assert inflate(deflate, HELLO) == b"Hello"

    def test_the_limit_counts_behind_a_final_block(self):
        bombs = squeeze(bytes(600), mode=zlib.Z_FINISH) + squeeze(bytes(600))
        assert inflate(end(), bombs, limit=1200) == bytes(1200)
        with pytest.raises(MessageTooBig, match="^expected a message of at most 1199 bytes, found that a compressed"):
            inflate(end(), bombs, limit=1199)

    def test_with_takeover_a_cut_message_is_found_by_the_next_one(self):
        """It would take a copy of the context to find it earlier."""
        deflate = end(takeover=True)
        assert inflate(deflate, HELLO[:-2]) != b"Hello"
        with pytest.raises(InvalidDeflate):
            inflate(deflate, squeeze(bytes(100)) * 20)

    @pytest.mark.parametrize("takeover", [False, True])
    @pytest.mark.parametrize("data", [b"\xff" * 10, b"Hello, World!", bytes.fromhex("00 05 00 fb ff 48")])
    def test_nonsense_is_refused(self, data, takeover):
        with pytest.raises(InvalidDeflate, match="^expected a compressed message to be DEFLATE, found ") as raised:
            inflate(end(takeover), data)
        assert raised.value.code == CloseCode.INVALID_DATA

    def test_a_block_that_lacks_some_of_its_bytes_is_refused(self):
        stored = bytes.fromhex("00 50 00 af ff") + bytes(80)
        assert inflate(end(), stored + b"\x00") == bytes(80)
        with pytest.raises(InvalidDeflate, match="^expected a compressed message to end with a whole block, found"):
            inflate(end(), stored[:40])

    def test_a_block_that_is_cut_at_the_limit_is_refused_for_being_cut(self):
        """What is put behind the payload is not taken for content that would be too much."""
        stored = bytes.fromhex("00 50 00 af ff") + bytes(80)
        for limit in (70, 71, 75):
            with pytest.raises(InvalidDeflate, match="^expected a compressed message to end with a whole block, found"):
                inflate(end(), stored[:75], limit=limit)
        with pytest.raises(MessageTooBig):
            inflate(end(), stored[:75], limit=69)
        for limit in (0, 78, 79):
            with pytest.raises(MessageTooBig):
                inflate(end(), stored + b"\x00", limit=limit)

    @pytest.mark.parametrize("missing", [1, 2, 3, 5, 6, 7, 8, 9, 10])
    def test_a_final_block_that_is_cut_is_refused(self, missing):
        """Whatever has to be put behind a message to see its end is no content (4 bytes are, by section 7.2.2)."""
        stored = bytes.fromhex("01 14 00 eb ff") + bytes(20)
        assert inflate(end(), stored + b"\x00") == bytes(20)
        with pytest.raises(InvalidDeflate):
            inflate(end(), stored[:-missing])

    @pytest.mark.parametrize("missing", range(1, 7))
    def test_a_block_that_is_cut_is_refused(self, missing):
        with pytest.raises(InvalidDeflate):
            inflate(end(), HELLO[:-missing])

    def test_a_reference_beyond_the_agreed_window_is_refused(self):
        """Within one message it does no harm, and is not noticed."""
        first, second = bytes(range(256)) * 2, b"*" * 600
        far = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=first + second)
        compressed = far.compress(first) + far.flush(zlib.Z_SYNC_FLUSH)
        for bits in (9, 15):
            _, other = ends(bits=bits)
            assert inflate(other, squeeze(first, bits=9)) == first
            assert inflate(other, squeeze(second, bits=9)) == second
            if bits == 15:
                assert inflate(other, compressed.removesuffix(TAIL)) == first
                continue
            with pytest.raises(InvalidDeflate):
                inflate(other, compressed.removesuffix(TAIL))

    @pytest.mark.parametrize("takeover", [False, True])
    @pytest.mark.parametrize("pieces", [1, 7, 1000])
    def test_the_limit_counts_while_inflating(self, takeover, pieces):
        bomb = squeeze(bytes(1_000_000))
        size = -(-len(bomb) // pieces)
        parts = [bomb[at : at + size] for at in range(0, len(bomb), size)]
        assert inflate(end(takeover), *parts, limit=1_000_000) == bytes(1_000_000)
        with pytest.raises(MessageTooBig, match="^expected a message of at most 999999 bytes, found that a"):
            inflate(end(takeover), *parts, limit=999_999)

    def test_no_more_than_the_limit_is_ever_made(self, monkeypatch):
        """A bomb of 100 MB stops at the limit."""
        made = []

        class Counting:
            def __init__(self, *arguments):
                self.inner = inner(*arguments)

            def decompress(self, data, limit):
                made.append(self.inner.decompress(data, limit))
                return made[-1]

            def __getattr__(self, name):
                return getattr(self.inner, name)

        inner = zlib.decompressobj
        bomb = squeeze(bytes(100_000_000))
        monkeypatch.setattr(zlib, "decompressobj", Counting)
        with pytest.raises(MessageTooBig):
            inflate(end(), bomb, limit=1000)
        assert sum(map(len, made)) == 1001


class TestCompress:
    MESSAGES = tuple(
        json.dumps({"user": n, "name": f"user{n}", "text": "Hello, how are you today? Fine, thanks."}).encode()
        for n in range(50)
    )

    @pytest.mark.parametrize("bits", range(8, 16))
    @pytest.mark.parametrize("takeover", [False, True])
    def test_the_other_end_reads_it(self, takeover, bits):
        one, other = ends(out_takeover=takeover, bits=bits)
        for message in (*self.MESSAGES, b"".join(self.MESSAGES), bytes(100_000)):
            compressed = one.compress(message)
            assert len(compressed) < len(message)
            assert inflate(other, compressed) == message

    def test_takeover_makes_similar_messages_smaller(self):
        taking, _ = ends()
        fresh, _ = ends(out_takeover=False)
        with_context, without = (sum(len(end.compress(m)) for m in self.MESSAGES) for end in (taking, fresh))
        assert with_context < without / 2

    @pytest.mark.parametrize("takeover", [False, True])
    @pytest.mark.parametrize("bits", range(8, 13))
    def test_it_refers_to_nothing_that_is_out_of_the_window(self, bits, takeover):
        """zlib has no compressor for 256 bytes."""
        one, _ = ends(out_takeover=takeover, bits=bits)
        message = b"".join(far_apart(distance) for distance in (100, 300, 600, 1200, 2400, 4800)) * 2 + bytes(6000)
        compressed = one.compress(message)
        assert inflate_strictly(compressed, bits) == message
        if bits > 8:
            with pytest.raises(zlib.error, match="too far back"):
                inflate_strictly(squeeze(message), bits)

    @pytest.mark.parametrize("takeover", [False, True])
    def test_small_messages_stay_as_they_are(self, takeover):
        one, _ = ends(out_takeover=takeover)
        assert one.compress(b"*" * (MIN_SIZE - 1)) is None
        assert one.compress(b"*" * MIN_SIZE) is not None

    def test_what_does_not_shrink_stays_as_it_is(self):
        one, _ = ends(out_takeover=False)
        assert one.compress(bytes(range(200))) is None
        assert compress_alone(bytes(range(200))) is None

    def test_with_takeover_it_does_not(self):
        """It is in our window then, and so it has to get into the peer's."""
        one, other = ends()
        message = bytes(range(200))
        compressed = one.compress(message)
        assert len(compressed) > len(message)
        assert inflate(other, compressed) == message
        assert len(one.compress(message)) < 20

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @pytest.mark.parametrize("takeover", [False, True])
    def test_takes_whatever_can_be_sent(self, takeover, kind):
        one, other = ends(out_takeover=takeover)
        assert inflate(other, one.compress(kind(self.MESSAGES[0] * 3))) == self.MESSAGES[0] * 3


class TestForeign:
    def test_what_comes_after_it_refers_to_nothing_before(self):
        one, other = ends()
        message = TestCompress.MESSAGES[0]
        assert inflate(other, one.compress(message)) == message
        assert one.reads_foreign()
        one.sent_foreign()
        assert inflate(other, compress_alone(b"foreign" * 20)) == b"foreign" * 20
        assert inflate(other, one.compress(message)) == message

    def test_not_for_a_smaller_window(self):
        one, _ = ends(bits=OWN_BITS - 1)
        assert not one.reads_foreign()
        assert one.reads_foreign(OWN_BITS - 1)
