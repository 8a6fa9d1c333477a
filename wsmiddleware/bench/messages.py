"""What is sent: one message of random characters again and again, or the corpus, compressed before it is needed."""

from __future__ import annotations

import os

from wsmiddleware.bench.corpus import documents
from wsmiddleware.bench.plan import Plan
from wsmiddleware.protocol.deflate import compress_alone
from wsmiddleware.protocol.frames import BINARY, RSV1, TEXT, encode_frame


def messages(plan: Plan) -> list[bytes]:
    """Return the messages that a plan sends in turns."""
    if plan.deflate is not None:
        return documents()
    return [os.urandom((plan.size + 1) // 2).hex()[: plan.size].encode()]


def frames(plan: Plan, payloads: list[bytes]) -> list[bytes]:
    """Return *payloads* as they go over the wire."""
    if plan.raw:
        return payloads
    opcode = TEXT if plan.text else BINARY
    made = []
    for payload in payloads:
        compressed = compress_alone(payload) if plan.deflate is not None else None
        first = opcode if compressed is None else opcode | RSV1
        # Masked once, and sent again and again: to a server it makes no difference.
        made.append(encode_frame(first, payload if compressed is None else compressed, mask=os.urandom(4)))
    return made
