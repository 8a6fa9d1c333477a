"""The disagreements that are explained: why ours is right, or why either may be.

Each is as narrow as it can be said in a line or two. "RFC" alone is RFC 6455. differential.py counts how often each is
met; one that is not met any more should go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fuzz.anatomy import ends_in_half_a_surrogate, is_no_text, whole_characters
from fuzz.scene import Scene
from fuzz.streams import CLOSE
from wsmiddleware.protocol.connection import MAX_EMPTY_FRAGMENTS

BOTH = ("websockets", "wsproto")


class Known(NamedTuple):
    """A kind of disagreement."""

    name: str
    peers: tuple[str, ...]
    """With whom we disagree in this way."""
    section: str
    """Where the RFC's text is."""
    why: str
    explains: Callable[[Scene], bool]
    """Says whether a disagreement is of this kind."""


def explanation(scene: Scene, peer: str) -> Known | None:
    """Return the first kind that a disagreement is of; None: it is not explained."""
    return next((known for known in KNOWN if peer in known.peers and known.explains(scene)), None)


# What we fail, and they see later or not at all.


def _header_is_wrong(*faults: str) -> Callable[[Scene], bool]:
    """We fail a header at once; they read more of the frame first, and may find something else wrong on the way."""

    def explains(scene: Scene) -> bool:
        part = scene.ours.failed_first(1002)
        return (
            part is not None
            and not part.faults.isdisjoint(faults)
            and (scene.theirs.end is None or scene.both_in_one)
            and scene.ours.events == scene.theirs.events
        )

    return explains


def _length_has_spare_bytes(scene: Scene) -> bool:
    part = scene.ours.failed_first(1002)
    return part is not None and "length" in part.faults


def _claims_too_much(scene: Scene) -> bool:
    part = scene.ours.failed_first(1009)
    return part is not None and scene.is_too_long(part)


def _text_is_wrong_already(scene: Scene) -> bool:
    part = scene.ours.failed_first(1007)
    return part is not None and scene.is_text(part) and is_no_text(scene.content(part))


def _half_a_surrogate(scene: Scene) -> bool:
    part = scene.ours.failed_first(1007)
    if part is None or not scene.is_text(part):
        return False
    assert part.message is not None and scene.ours.at is not None
    content = scene.content(part)
    if not part.message.is_compressed:
        content = content[: len(content) - (part.end - scene.ours.at)]
    return ends_in_half_a_surrogate(content)


def _too_many_empty(scene: Scene) -> bool:
    part = scene.ours.failed_first(1008)
    if part is None or part.message is None:
        return False
    return sum(not other.length for other in part.message.parts) > MAX_EMPTY_FRAGMENTS


def _is_cut(scene: Scene) -> bool:
    part = scene.ours.failed_first(1007)
    if part is None or not part.is_compressed or (scene.theirs.code is not None and scene.both_in_one):
        return False
    return not scene.stream.setting.takeover and not scene.inflated(part, whole=True)[1]


def _does_not_inflate(scene: Scene) -> bool:
    part = scene.ours.part
    if part is None or not part.is_compressed:
        return False
    if scene.ours.code != 1007 or scene.theirs.code not in (1002, 1009) or not scene.both_in_one:
        return False
    return not scene.inflated(part, whole=True)[1]


# What they fail, and we don't.


def _control_counts(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1009)
    return part is not None and part.is_control


def _compressed_size_counts(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1009)
    return part is not None and part.is_compressed and part.length > scene.left_for(part)


def _end_is_content(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1009)
    return part is not None and part.is_compressed and part.fin and not scene.inflated(part)[1]


def _told_before_the_mask(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1009)
    if part is None or scene.ours.end is not None:
        return False
    return part is scene.parts[-1] and scene.is_too_long(part) and not part.payload


def _closed_amid_a_message(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1002)
    return part is not None and part.opcode == CLOSE and part.open_message is not None and not part.faults


def _close_is_wrong_twice(scene: Scene) -> bool:
    part = scene.ours.part
    if scene.ours.code != 1002 or scene.theirs.code != 1007 or not scene.both_in_one or part is None:
        return False
    return part.opcode == CLOSE and is_no_text(part.payload[2:] + b"!")


def _code_1014(scene: Scene) -> bool:
    part = scene.theirs.part
    return scene.theirs.code == 1002 and part is not None and part.opcode == CLOSE and part.payload[:2] == b"\x03\xf6"


def _inflated_as_it_comes(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1007, 1009)
    return part is not None and part.is_compressed and (scene.ours.end is None or scene.both_in_one)


def _reaches_beyond_window(scene: Scene) -> bool:
    part = scene.theirs.failed_first(1007)
    return part is not None and part.is_compressed and scene.reaches_beyond_window(part)


# What they lose or make up.


def _control_amid_compressed(scene: Scene) -> bool:
    return any(
        part.is_control and part.open_message is not None and part.open_message.is_compressed
        for part in scene.parts
        if part.start < scene.first_end
    )


def _has_final_block(scene: Scene) -> bool:
    return any(scene.inflated(message.parts[0], whole=True)[2] for message in scene.compressed_before(scene.first_end))


def _half_a_character_too_much(scene: Scene) -> bool:
    part = scene.ours.failed_first(1009)
    if part is None or not scene.is_text(part):
        return False
    content = scene.content(part)
    limit = scene.stream.setting.limit
    return limit - 3 <= len(whole_characters(content)) <= limit < len(content)


def _comes_to_too_much(scene: Scene) -> bool:
    part = scene.ours.failed_first(1009)
    return part is not None and part.is_compressed and len(scene.content(part)) > scene.stream.setting.limit


KNOWN: tuple[Known, ...] = (
    Known(
        "a header is judged when its frame is whole",
        ("websockets",),
        "5.2, 5.4, 5.5, 7.1.7",
        "Reserved bits, control frames that are long or fragmented, and the order of fragments are broken rules as "
        "soon as the header says so. The RFC does not say when in a frame to fail; we do not wait for a payload that "
        "nobody will read. Whatever else is wrong with the frame is then not looked at.",
        _header_is_wrong("reserved", "control", "order", "opcode", "unmasked"),
    ),
    Known(
        "the order of fragments is judged after some payload",
        ("wsproto",),
        "5.4, 7.1.7",
        "As above. wsproto reads the length before the reserved bits and the mask, and decompresses before it asks "
        "whether a new message may begin.",
        _header_is_wrong("reserved", "order", "unmasked"),
    ),
    Known(
        "a length in more bytes than it needs",
        ("websockets",),
        "5.2",
        '"the minimal number of bytes MUST be used to encode the length", and of eight bytes "the most significant bit '
        'MUST be 0". websockets does not look; where that comes to too much it says 1009.',
        _length_has_spare_bytes,
    ),
    Known(
        "a header claims too much",
        ("wsproto",),
        "10.4, 7.4.1",
        "We answer 1009 to the length in the header, and do not wait for what would be thrown away. Limits are each "
        "implementation's own. wsproto has none, so its user can only count what has come.",
        _claims_too_much,
    ),
    Known(
        "text is checked at the end of the message",
        ("websockets",),
        "8.1, 5.6",
        '"the whole message MUST contain valid UTF-8". Neither section says when to fail; we do as soon as what has '
        "come cannot become UTF-8 any more.",
        _text_is_wrong_already,
    ),
    Known(
        "half a surrogate",
        ("wsproto",),
        "8.1; RFC 3629 3",
        '"The definition of UTF-8 prohibits encoding character numbers between U+D800 and U+DFFF". ED with A0 to BF '
        "behind "
        "it can be nothing else; wsproto waits for the third byte, as CPython does.",
        _half_a_surrogate,
    ),
    Known(
        "more than 1,000 empty fragments",
        BOTH,
        "5.4, 7.4.1",
        "The RFC allows any number of fragments, and any endpoint to refuse with 1008 what violates its policy. Ours "
        "is "
        "that nobody needs so many.",
        _too_many_empty,
    ),
    Known(
        "a compressed message without its end",
        BOTH,
        "RFC 7692 7.2.1, 7.2.2",
        "With 00 00 FF FF behind it the payload has to be whole DEFLATE blocks. We fail one that is not, where there "
        "is "
        "no context takeover that could bring the rest; they take what has come for the message.",
        _is_cut,
    ),
    Known(
        "which code tells that data is not DEFLATE",
        ("websockets",),
        "7.4.1; RFC 7692 7.2.2",
        "No RFC names the code. We say 1007, data that is not what its type says; websockets says 1002, "
        "or 1009 when it takes the 00 00 FF FF for content.",
        _does_not_inflate,
    ),
    Known(
        "a control frame is measured with the message around it",
        ("websockets",),
        "5.5, 10.4",
        "Limits are of frames and of messages put together; a control frame is none of the message's fragments, and "
        "has "
        "its own limit of 125 bytes. websockets lets it have what is left for the message.",
        _control_counts,
    ),
    Known(
        "the limit holds for what is still compressed",
        ("websockets",),
        "10.4; RFC 7692 7.2.2",
        "Our limit is of messages, which may be larger while compressed (by 00 00 FF FF, and for random data). "
        "websockets holds it against the frames, too. Either is allowed.",
        _compressed_size_counts,
    ),
    Known(
        "what is put behind a compressed message is read as content",
        ("websockets",),
        "RFC 7692 7.2.2",
        "The RFC has a receiver append 00 00 FF FF and decompress, and both do; of a message that was cut it may make "
        "content. If the message is of 2 KB or more, websockets reads the four bytes apart and says 1009.",
        _end_is_content,
    ),
    Known(
        "too much is told before the mask has come",
        ("websockets",),
        "10.4",
        "We read a header whole. The stream ends between the length and the end of the mask.",
        _told_before_the_mask,
    ),
    Known(
        "a close frame between two fragments",
        ("websockets",),
        "5.4",
        '"Control frames (see Section 5.5) MAY be injected in the middle of a fragmented message." A close frame is '
        "one.",
        _closed_amid_a_message,
    ),
    Known(
        "a close frame with a wrong code and a wrong reason",
        ("websockets",),
        "7.4.1, 5.5.1",
        "We look at the code first and answer 1002, websockets at the reason and answers 1007.",
        _close_is_wrong_twice,
    ),
    Known(
        "close code 1014",
        ("wsproto",),
        "7.4.2, 11.7",
        "IANA has registered it (bad gateway). wsproto does not know it.",
        _code_1014,
    ),
    Known(
        "a control frame between compressed fragments",
        ("wsproto",),
        "5.4; RFC 7692 6.1",
        "The bit on the first frame holds for the message, whatever comes between its fragments. wsproto forgets it "
        "at a "
        "control frame, and takes the other fragments for plain.",
        _control_amid_compressed,
    ),
    Known(
        "data behind a final block",
        BOTH,
        "RFC 7692 7.2.3.4",
        "A message may hold blocks with BFINAL set, and others may follow. They ignore what is behind one, for the "
        "whole "
        "connection if there is context takeover.",
        _has_final_block,
    ),
    Known(
        "a reference beyond the window, within one frame",
        ("wsproto",),
        "RFC 7692 7.1.2.2",
        "The client may not make one; no RFC has the server look for it. zlib finds it if the data comes in pieces, as "
        "wsproto hands it on; we and websockets decompress a frame at once, and there it does no harm.",
        _reaches_beyond_window,
    ),
    Known(
        "compressed data is read as it comes",
        ("wsproto",),
        "5.4, 7.1.7",
        "We decompress a frame when it is whole. Who does it sooner finds sooner what is wrong, and perhaps something "
        "else first.",
        _inflated_as_it_comes,
    ),
    Known(
        "half a character too much",
        ("wsproto",),
        "10.4",
        "wsproto's user gets text by whole characters, and cannot count the bytes of one that is not whole yet.",
        _half_a_character_too_much,
    ),
    Known(
        "a compressed frame that comes to too much",
        ("websockets",),
        "10.4",
        "websockets stops zlib at the limit and asks whether there is input that zlib has not read; zlib may have read "
        "all of it and hold the rest back. When 0 bytes are left, zlib takes that for no limit at all. So it accepts "
        "more than its limit, or finds it later.",
        _comes_to_too_much,
    ),
)
