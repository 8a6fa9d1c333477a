"""The environ of a session's handshake, packed: most sessions never look at theirs, and there may be very many.

A dict with its header names and values takes two kilobytes. Packed, the names are shared by all requests that have
the same ones, and so are the values that clients have in common, like those of a browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeAlias

Environ: TypeAlias = dict[str, Any]

PackedEnviron: TypeAlias = tuple[Any, ...]
"""The names, as a tuple, and then the values in the same order."""

OF_THE_CONNECTION = frozenset({"wsgi.input", "wsgi.websocket"})
"""What is not kept: it would hold the server's objects for as long as the session lasts."""

OF_ONE_CLIENT = frozenset(
    {"HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_SEC_WEBSOCKET_KEY", "QUERY_STRING", "REMOTE_PORT"}
)
"""Values that hardly two requests have in common. Some are secrets, and must not outlive the session."""

MAX_SHARED = 1_000
"""Names and values that are remembered in order to be shared, before all are forgotten and it begins anew."""

MAX_SHARED_LENGTH = 300
"""Characters of a value that is worth remembering."""

_shared: dict[Any, Any] = {}


def pack(environ: Mapping[str, Any], **changes: str) -> PackedEnviron:
    """Return *environ* with *changes* in it, without what belongs to the server's connection. From any thread."""
    if len(_shared) > MAX_SHARED:
        _shared.clear()
    share = _shared.setdefault
    kept = {**environ, **changes}
    for name in OF_THE_CONNECTION:
        kept.pop(name, None)
    names = tuple(kept)
    values = [
        share(value, value)
        if type(value) is str and len(value) <= MAX_SHARED_LENGTH and name not in OF_ONE_CLIENT
        else value
        for name, value in kept.items()
    ]
    return share(names, names), *values


def unpack(packed: PackedEnviron) -> Environ:
    """Return what was packed, with an empty body to read."""
    environ: Environ = dict(zip(packed[0], packed[1:], strict=True))
    environ["wsgi.input"] = BytesIO()
    return environ
