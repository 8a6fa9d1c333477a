"""A connection that has agreed on compression (RFC 7692)."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wire import (
    CLIENT,
    LIMIT,
    SERVER,
    TAIL,
    ConnectionPair,
    Events,
    Side,
    assert_failed,
    assert_fails,
    frame,
    hear,
    keeps_nothing,
    pieces,
    server_end,
    squeeze,
    take,
)
from wsmiddleware.protocol.broadcast import Broadcast
from wsmiddleware.protocol.connection import SLACK, Ping
from wsmiddleware.protocol.deflate import MIN_SIZE, OWN_BITS, Deflate, compress_alone
from wsmiddleware.protocol.errors import FramingError, InvalidDeflate, InvalidText, MessageTooBig, TooManyFragments
from wsmiddleware.protocol.frames import BINARY, CONTINUATION, PING, TEXT
from wsmiddleware.protocol.states import State

HELLO = bytes.fromhex("f2 48 cd c9 c9 07 00")

both_sides = pytest.mark.parametrize("name", ["server", "client"])


def deflate(takeover: bool = True, bits: int = 15) -> Deflate:
    return Deflate(out_takeover=takeover, out_bits=bits, in_takeover=takeover, in_bits=bits)


def side(name: str, takeover: bool = True, limit: int = LIMIT) -> Side:
    """Return an end that has agreed on compression."""
    plain = {"server": SERVER, "client": CLIENT}[name]
    return plain._replace(make=lambda: plain.make(deflate=deflate(takeover), max_message_size=limit))


def expand(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + TAIL)


@both_sides
class TestWhatComes:
    def test_compressed_messages_and_others(self, name):
        end = side(name)
        stream = (
            end.peer(TEXT, HELLO, rsv=4)
            + end.peer(TEXT, b"Hello")
            + end.peer(BINARY, bytes.fromhex("f2 00 11 00 00"), rsv=4)
            + end.peer(BINARY, b"\x00", rsv=4)
        )
        expected = ["Hello", "Hello", b"Hello", b""]
        for size in (1, 3, len(stream)):
            assert hear(end.make(), *pieces(stream, size)) == expected

    def test_fragments_with_a_ping_between_them(self, name):
        """Section 6.1: the bit is on the first frame of the message only."""
        end = side(name)
        stream = (
            end.peer(TEXT, HELLO[:3], fin=False, rsv=4)
            + end.peer(PING, b"?")
            + end.peer(CONTINUATION, HELLO[3:5], fin=False)
            + end.peer(CONTINUATION, b"", fin=False)
            + end.peer(CONTINUATION, HELLO[5:])
            + end.peer(TEXT, b"plain ", fin=False)
            + end.peer(CONTINUATION, b"text")
        )
        for size in (1, len(stream)):
            assert hear(end.make(), *pieces(stream, size)) == Events([Ping(b"?"), "Hello", "plain text"])

    @pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
    def test_only_one_bit_has_a_meaning(self, name, rsv):
        assert_fails(side(name), side(name).peer(TEXT, HELLO, rsv=rsv), FramingError, f"found {rsv:03b}")

    @pytest.mark.parametrize("opcode", [0x8, 0x9, 0xA])
    def test_control_frames_are_not_compressed(self, name, opcode):
        """Section 6.1: "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames"."""
        assert_fails(side(name), side(name).peer(opcode, HELLO, rsv=4), FramingError, "found 100")

    def test_continuations_do_not_begin_to_be(self, name):
        """Section 6.1: "... and non-first fragments of a data message"."""
        end = side(name)
        for first in (0, 4):
            chunks = [end.peer(BINARY, HELLO[:3], fin=False, rsv=first), end.peer(CONTINUATION, HELLO[3:], rsv=4)]
            assert_fails(end, chunks, FramingError, "found 100")

    def test_nothing_is_without_an_agreement(self, name):
        plain = {"server": SERVER, "client": CLIENT}[name]
        assert_fails(plain, plain.peer(TEXT, HELLO, rsv=4), FramingError, "found 100")

    @pytest.mark.parametrize("takeover", [False, True])
    def test_what_does_not_decompress_is_told(self, name, takeover):
        end = side(name, takeover)
        assert_fails(end, end.peer(BINARY, b"\xff\xff\xff", rsv=4), InvalidDeflate, "to be DEFLATE")
        assert_fails(end, pieces(end.peer(BINARY, b"\xff" * 3, rsv=4), 1), InvalidDeflate, "to be DEFLATE")

    def test_text_is_checked_after_decompression(self, name):
        end = side(name)
        assert hear(end.make(), end.peer(TEXT, squeeze("Käse".encode()), rsv=4)) == ["Käse"]
        assert_fails(end, end.peer(TEXT, squeeze(b"K\xe4se"), rsv=4), InvalidText)

    def test_nonsense_is_found_before_the_message_ends(self, name):
        end = side(name)
        data = squeeze(b"K\xe4se") + TAIL
        assert_fails(end, end.peer(TEXT, data, rsv=4, fin=False), InvalidText)
        text = squeeze("Käse".encode()) + TAIL
        cut = [end.peer(TEXT, text, rsv=4, fin=False), end.peer(CONTINUATION, b"\x00")]
        assert hear(end.make(), *cut) == ["Käse"]


@both_sides
class TestLimits:
    @pytest.mark.parametrize("takeover", [False, True])
    @pytest.mark.parametrize("fragments", [1, 5])
    def test_count_what_a_message_comes_to(self, name, takeover, fragments):
        end = side(name, takeover, limit=1_000_000)
        for size in (1_000_000, 1_000_001):
            bomb = squeeze(bytes(size))
            parts = pieces(bomb, -(-len(bomb) // fragments))
            frames = [
                end.peer(CONTINUATION if at else BINARY, part, fin=at == len(parts) - 1, rsv=0 if at else 4)
                for at, part in enumerate(parts)
            ]
            if size == 1_000_000:
                assert hear(end.make(), *frames) == [bytes(size)]
            else:
                assert_fails(end, frames, MessageTooBig, "a compressed one has more")

    def test_and_what_it_claims_to_be_compressed(self, name):
        """Blocks without content would go on for ever."""
        end = side(name, limit=1000)
        empty = b"\x00\x00\x00\xff\xff"
        most = (2 * 1000 + SLACK) // 5
        whole = end.peer(BINARY, empty * most + b"\x00", rsv=4)
        assert hear(end.make(), *[whole] * 3) == [b""] * 3
        longer = end.peer(BINARY, empty * (most + 2), rsv=4)
        assert_fails(end, longer[:20], MessageTooBig, "at most 1000 bytes")
        assert_fails(
            end,
            [end.peer(BINARY, empty * most, rsv=4, fin=False), end.peer(CONTINUATION, empty * 2, fin=False)],
            MessageTooBig,
            "at most 1000 bytes",
        )

    def test_what_cannot_be_made_smaller_is_no_longer_than_allowed(self, name):
        end = side(name, limit=1000)
        message = bytes(x * x * 31 % 251 for x in range(1000))
        stored = b"\x00\xe8\x03\x17\xfc" + message + b"\x00"
        assert hear(end.make(), end.peer(BINARY, stored, rsv=4)) == [message]

    def test_empty_fragments(self, name):
        end = side(name)
        first, more = end.peer(BINARY, HELLO[:1], rsv=4, fin=False), end.peer(CONTINUATION, b"", fin=False)
        connection = end.make()
        events = hear(connection, first, more * 2000)
        assert_failed(connection, end, events, TooManyFragments, "empty fragments")

    def test_fragments_that_come_to_nothing_yet_are_none(self, name):
        """A table of codes, byte by byte, has no content."""
        end = side(name)
        message = bytes(range(256)) * 20
        data = squeeze(message)
        frames = [
            end.peer(CONTINUATION if at else BINARY, data[at : at + 1], fin=at == len(data) - 1, rsv=0 if at else 4)
            for at in range(len(data))
        ]
        assert hear(end.make(), *frames) == [message]

    def test_many_messages_leave_nothing(self, name):
        end = side(name, takeover=False)
        connection = end.make()
        for _ in range(20):
            assert hear(connection, end.peer(BINARY, squeeze(bytes(100_000)), rsv=4)) == [bytes(100_000)]
            assert keeps_nothing(connection)


class TestWhatGoes:
    def test_messages_are_compressed_and_say_so(self):
        connection = server_end(deflate=deflate())
        text = "Wie geht es Ihnen? " * 20
        connection.send_message(TEXT, text.encode())
        sent = take(connection)
        assert sent[:2] == bytes([0x80 | 0x40 | TEXT, len(sent) - 2])
        assert expand(sent[2:]).decode() == text

    def test_small_ones_and_control_frames_are_not(self):
        connection = server_end(deflate=deflate())
        connection.send_message(BINARY, bytes(MIN_SIZE - 1))
        connection.ping(bytes(100))
        connection.close(1000, "*" * 100)
        assert take(connection) == (
            frame(BINARY, bytes(MIN_SIZE - 1)) + frame(PING, bytes(100)) + frame(0x8, b"\x03\xe8" + b"*" * 100)
        )

    def test_nothing_is_compressed_when_it_cannot_be_sent(self):
        """Else it would be in our window and not in the peer's."""
        shared = deflate()
        connection = server_end(deflate=shared)
        connection.send_message(BINARY, bytes(100))
        first = take(connection)
        connection.close(1000)
        with pytest.raises(RuntimeError):
            connection.send_message(BINARY, bytes(range(100)))
        again = deflate()
        assert frame(BINARY, again.compress(bytes(100)), rsv=4) == first
        assert shared.compress(bytes(range(100))) == again.compress(bytes(range(100)))


class TestBroadcast:
    DATA = b"to all of you, " * 20

    def test_is_its_frame(self):
        broadcast = Broadcast(TEXT, self.DATA)
        assert broadcast == frame(TEXT, self.DATA)
        connection = server_end()
        connection.send_frame(broadcast)
        assert take(connection) == broadcast

    @pytest.mark.parametrize("size", [MIN_SIZE, 200, 70_000])
    def test_is_sent_compressed(self, size):
        connection = server_end(deflate=deflate(bits=OWN_BITS))
        broadcast = Broadcast(BINARY, bytes(size))
        connection.send_frame(broadcast)
        assert take(connection) == broadcast.compressed() == frame(BINARY, compress_alone(bytes(size)), rsv=4)

    def test_is_compressed_once(self, monkeypatch):
        calls = []

        def counted(payload):
            calls.append(payload)
            return compress_alone(payload)

        monkeypatch.setattr("wsmiddleware.protocol.broadcast.compress_alone", counted)
        for data in (self.DATA, bytes(range(100))):
            broadcast = Broadcast(BINARY, data)
            for _ in range(5):
                server_end(deflate=deflate()).send_frame(broadcast)
        assert calls == [self.DATA, bytes(range(100))]

    @pytest.mark.parametrize("data", [b"small", bytes(range(200))])
    def test_stays_as_it_is_when_that_is_smaller(self, data):
        connection = server_end(deflate=deflate())
        connection.send_frame(Broadcast(BINARY, data))
        assert take(connection) == frame(BINARY, data)

    def test_stays_as_it_is_for_smaller_windows(self):
        connection = server_end(deflate=deflate(bits=OWN_BITS - 1))
        connection.send_frame(Broadcast(BINARY, self.DATA))
        assert take(connection) == frame(BINARY, self.DATA)

    def test_and_messages_of_ones_own_take_turns(self):
        pair = ConnectionPair(deflates=(deflate(), deflate()))
        for number in range(4):
            pair.server.send_message(TEXT, self.DATA)
            pair.server.send_frame(Broadcast(TEXT, self.DATA + b"%d" % number))
            pair.server.send_message(TEXT, self.DATA)
            text = self.DATA.decode()
            assert pair.carry() == ([], [text, text + str(number), text])


messages = st.binary(max_size=30) | st.integers(0, 3).map(lambda n: b"the same again and again " * n)


class TestPair:
    @given(
        script=st.lists(st.tuples(st.sampled_from(["server", "client", "all"]), messages), max_size=10),
        takeover=st.booleans(),
        bits=st.integers(8, 15),
        size=st.integers(1, 200),
    )
    @settings(max_examples=75, deadline=None)
    def test_understands_each_other(self, script, takeover, bits, size):
        pair = ConnectionPair(deflates=(deflate(takeover, bits), deflate(takeover, bits)))
        said: dict[str, list[bytes]] = {"server": [], "client": []}
        heard: dict[str, list[bytes]] = {"server": [], "client": []}
        for who, message in script:
            if who == "all":
                pair.server.send_frame(Broadcast(BINARY, message))
                said["server"].append(message)
            else:
                getattr(pair, who).send_message(BINARY, message)
                said[who].append(message)
            at_server, at_client = pair.carry(size)
            heard["server"] += at_server
            heard["client"] += at_client
        assert heard == {"server": said["client"], "client": said["server"]}
        assert pair.server.state == pair.client.state == State.OPEN
