"""The offer of permessage-deflate (RFC 7692 section 7) that a load makes, and the answer that it has to get.

It leaves the server little to choose, so that servers can be compared: windows of 4 KB both ways, and whether a message
may refer to those before it. The client's never do: so each can be compressed once, and sent whenever its turn comes.
"""

from __future__ import annotations

import re

from wsmiddleware.bench.errors import ReplyError
from wsmiddleware.protocol import extensions
from wsmiddleware.protocol.deflate import LEAST_BITS, MAX_BITS, NAME, OWN_BITS, Deflate
from wsmiddleware.protocol.deflate import Mode as Contexts
from wsmiddleware.protocol.extensions import Extension

_FIELD = re.compile(rb"\r\nsec-websocket-extensions:([^\r\n]*)", re.IGNORECASE)

_BITS = {str(bits) for bits in range(LEAST_BITS, OWN_BITS + 1)}


class Offer:
    """One offer. Nothing changes it."""

    __slots__ = ("extension", "takeover")

    def __init__(self, contexts: Contexts) -> None:
        """The server's messages may refer to those before if its *contexts* are "dedicated", not if "shared"."""
        self.takeover = contexts == "dedicated"
        self.extension = Extension(
            NAME,
            [
                *([] if self.takeover else [("server_no_context_takeover", None)]),
                ("client_no_context_takeover", None),
                ("server_max_window_bits", str(OWN_BITS)),
                ("client_max_window_bits", str(OWN_BITS)),
            ],
        )

    @property
    def header(self) -> tuple[str, str]:
        """The field of the request."""
        return "Sec-WebSocket-Extensions", str(self.extension)

    def expect_accepted(self, answer: bytes) -> None:
        """Raise ReplyError unless the 101 *answer* agrees to it, and to windows that our messages fit into."""
        found = b", ".join(map(bytes.strip, _FIELD.findall(answer))).decode("latin-1")
        try:
            accepted = extensions.parse(found)
        except ValueError:
            accepted = []
        if len(accepted) != 1 or not self._is_answered_by(accepted[0]):
            raise ReplyError(
                f"expected Sec-WebSocket-Extensions to agree to {str(self.extension)!r}, found "
                f"{ascii(found) if found else 'none'}. Switch compression on for this path, with such contexts."
            )

    def deflate(self) -> Deflate:
        """Return the client's end of a connection."""
        return Deflate(out_takeover=False, out_bits=OWN_BITS, in_takeover=self.takeover, in_bits=MAX_BITS)

    def _is_answered_by(self, accepted: Extension) -> bool:
        parameters = dict(accepted.parameters)
        return (
            accepted.name == NAME
            and (self.takeover or "server_no_context_takeover" in parameters)
            and parameters.get("server_max_window_bits") in _BITS
            and parameters.get("client_max_window_bits", str(OWN_BITS)) == str(OWN_BITS)
        )
