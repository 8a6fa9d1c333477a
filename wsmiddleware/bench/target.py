"""Where the server is, and how to ask it for a WebSocket (RFC 6455 section 4.1)."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wsmiddleware.bench.errors import BenchError, ReplyError
from wsmiddleware.protocol.handshake import TOKEN

# The example of RFC 6455 section 1.3. One key for all connections, so that the request is made once.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

MAX_HEAD = 64 * 1024
"""Bytes that the head of an answer may have."""

_PORTS = {"ws": 80, "wss": 443}

_PROBE_TIMEOUT = 5.0
"""Seconds for each of several addresses of one name."""

_SHOWN = 200
"""Characters of an answer that an error repeats."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)(?: [^\r\n]*)?\r\n")

# RFC 9110 section 5.5.
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_REMEDIES = {
    "401": "Say who you are with a header (Authorization, Cookie).",
    "403": "Send the Origin that it wants as a header.",
    "404": "Check the path in the URL.",
    "426": "It wants another version of the protocol.",
    "429": "Use fewer connections.",
    "501": "It cannot upgrade: look into its log.",
    "503": "Use fewer connections, or raise its limit.",
}
_REMEDY = "Check that the URL is for WebSockets, and look into the server's log."


class Target(NamedTuple):
    """A URL, taken apart."""

    host: str
    port: int
    path: str
    """With the query."""
    tls: bool

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Target:
        """Take *url* apart. Raises ValueError if it is no URL of a WebSocket."""
        try:
            parts = urlsplit(url)
            default = _PORTS[parts.scheme]
            port = parts.port or default
            if not parts.hostname or parts.fragment or any(ord(c) <= 32 or ord(c) > 126 for c in url):
                raise ValueError
        except (KeyError, ValueError):
            raise ValueError(f"expected a URL like ws://host:port/path or wss://host/path, found {url!r}") from None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, port, path, parts.scheme == "wss")

    def request(self, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the request. Of *headers*, one with a name of those that are always there takes its place.

        Raises ValueError if one of them could not stand in a request.
        """
        default_port = self.port == _PORTS["wss" if self.tls else "ws"]
        fields = {
            "host": ("Host", str(self).rpartition(":")[0] if default_port else str(self)),
            "upgrade": ("Upgrade", "websocket"),
            "connection": ("Connection", "Upgrade"),
            "sec-websocket-key": ("Sec-WebSocket-Key", KEY),
            "sec-websocket-version": ("Sec-WebSocket-Version", "13"),
        }
        more = []
        for name, value in headers:
            if not TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"expected a header like 'Name: value', found {f'{name}: {value}'!r}")
            if name.lower() in fields:
                fields[name.lower()] = (name, value)
            else:
                more.append((name, value))
        lines = "".join(f"{name}: {value}\r\n" for name, value in [*fields.values(), *more])
        return f"GET {self.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def resolve(self) -> tuple[int, Any]:
        """Return the family and the address to connect to: of several, the first that answers.

        Raises BenchError if the host has none.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise BenchError(
                f"expected the host {self.host!r} to have an address, found none: {error}. Check the URL."
            ) from None
        addresses = [(int(family), address) for family, _, _, _, address in found]
        for family, address in addresses if len(addresses) > 1 else []:
            with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(_PROBE_TIMEOUT)
                probe.connect(address)
                return family, address
        return addresses[0]

    def context(self, insecure: bool) -> ssl.SSLContext | None:
        """Return what to secure connections with, None for those without TLS; *insecure* trusts any certificate."""
        if not self.tls:
            return None
        context = ssl.create_default_context()
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def answer_size(data: bytes, ended: bool = False) -> int:
    """Return how many bytes of *data* are the server's 101, 0 if more has to come. *ended* says that no more will.

    Raises ReplyError if it is something else.
    """
    end = data.find(b"\r\n\r\n")
    if not data.startswith(b"HTTP/"[: len(data)]) or (end < 0 and len(data) > MAX_HEAD):
        raise ReplyError(f"expected an answer in HTTP, found {data[:40]!r}. {_REMEDY}")
    if end < 0:
        if ended:
            raise ReplyError("expected an answer to the handshake, found the end of the connection")
        return 0
    head, body = data[: end + 2], data[end + 4 :]
    status = _STATUS.match(head)
    if status is None or status[1] != b"101":
        length = re.search(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", head, re.IGNORECASE)
        said = b""
        if length is not None and b"\r\ncontent-type: text/plain" in head.lower():
            said = body[: int(length[1])]
            if len(said) < min(int(length[1]), _SHOWN) and not ended:
                return 0
        code = status[1].decode() if status else ""
        raise ReplyError(
            f"expected the status 101, found {_show(head)}. {_REMEDIES.get(code, _REMEDY)}"
            + (f" It says: {_show(said)}" if said else "")
        )
    accept = re.search(rb"\r\nsec-websocket-accept:[ \t]*([^\r\n]*?)[ \t]*\r\n", head, re.IGNORECASE)
    if accept is None or accept[1] != ACCEPT.encode():
        found = _show(accept[1]) if accept else "none"
        raise ReplyError(f"expected Sec-WebSocket-Accept: {ACCEPT} in the 101, found {found}. {_REMEDY}")
    return end + 4


def _show(data: bytes) -> str:
    line = data.strip().splitlines()[0] if data.strip() else b""
    return ascii(line[:_SHOWN].decode("latin-1"))
