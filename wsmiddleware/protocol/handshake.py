"""The opening handshake, the server's side (RFC 6455 section 4.2), as a function of the request.

Nothing is sent here. What is Refused is a whole HTTP response. What is Accepted are the header fields of the 101;
sending it is up to who can take the connection over.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wsmiddleware.protocol import extensions
from wsmiddleware.protocol.deflate import Agreed, Mode, agree
from wsmiddleware.protocol.forwarded import TrustedProxies
from wsmiddleware.protocol.origin import Origins

_VERSION = "13"

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
"""Base64 of 16 bytes. Two keys, which a server joins with a comma, do not match."""

_HTTP = re.compile(r"HTTP/1\.[1-9]")

TOKEN = re.compile(extensions.TOKEN)
"""RFC 9110 section 5.6.2."""

_DRAFT_FIELDS = {
    "HTTP_SEC_WEBSOCKET_KEY1": "Sec-WebSocket-Key1, as in the drafts hixie-76 and hybi-00",
    "HTTP_WEBSOCKET_PROTOCOL": "WebSocket-Protocol, as in the draft hixie-75",
}
"""What gives the drafts of 2010 away, which had no version field yet."""

_MAX_SHOWN = 200
"""Characters of a field that a refusal repeats: enough to recognise it, and a log line of bounded length."""

_PROXY_HINT = "A proxy takes this field away unless it is told to pass on both Upgrade and Connection."
_ORIGINS_HINT = "To allow it, name it in the option origins."
_NULL_HINT = 'It stands for any page that hides where it comes from; only origins="*" allows it.'


class Accepted(NamedTuple):
    """The handshake is right."""

    headers: list[tuple[str, str]]
    """The header fields of the 101. None at all if the server has sent its own."""

    subprotocol: str | None
    """The one to speak, None if the client offers none that is spoken here."""

    compression: Agreed | None = None
    """What is compressed and how; None if nothing is."""


class Refused(NamedTuple):
    """The handshake is wrong, and this is the response. All its header fields are end-to-end, as PEP 3333 demands."""

    status: str
    """Like "403 Forbidden"."""

    headers: list[tuple[str, str]]

    body: bytes
    """Text, one line: what was expected, what was found, and what to do. Safe to send and safe to log."""


def is_upgrade(environ: Mapping[str, Any]) -> bool:
    """Say whether a request asks for a WebSocket, however wrong the rest of it may be."""
    return "websocket" in _tokens(environ, "HTTP_UPGRADE")


def shake_hands(
    environ: Mapping[str, Any],
    *,
    origins: Origins,
    subprotocols: Sequence[str],
    proxies: TrustedProxies,
    compression: Mode | None = None,
    answered: bool = False,
) -> Accepted | Refused:
    """Judge a client's handshake. Raises nothing, whatever a client sends.

    *origins* says which pages may connect, and *proxies* which host the request is for. *subprotocols* are those
    spoken here, the preferred one first. *compression* says how messages are compressed for clients that offer it.

    *answered* says that the server has sent its own 101 already. Then it is too late to choose a subprotocol and to
    compress, and all else is judged as ever: that server may have let pass what is wrong.
    """
    # The items of section 4.2.1, the version before those that depend on it.
    method = environ.get("REQUEST_METHOD", "")
    if method != "GET":
        return _refuse("405 Method Not Allowed", f"Expected the method GET, found {_show(method)}.", ("Allow", "GET"))

    http = environ.get("SERVER_PROTOCOL", "")
    if not _HTTP.fullmatch(http):
        return _refuse(
            "400 Bad Request",
            f"Expected HTTP/1.1, found {_show(http)}: HTTP/1.0 and HTTP/2 have no Upgrade. Connect with HTTP/1.1, and "
            "tell a proxy in between to do so too (nginx: proxy_http_version 1.1).",
        )

    if not environ.get("HTTP_HOST"):
        return _refuse("400 Bad Request", "Expected a Host, found none. Use a client that speaks HTTP/1.1.")

    if environ.get("CONTENT_LENGTH", "") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        # Whoever is asked for the connection cannot tell the body from frames that came early.
        return _refuse("400 Bad Request", "Expected a handshake without a body, found one. Send no Content-Length.")

    if not is_upgrade(environ):
        return _refuse_upgrade(
            f"Expected Upgrade: websocket, found {_field(environ, 'HTTP_UPGRADE')}. This URL is for WebSockets "
            f"(ws://, wss://). {_PROXY_HINT}"
        )

    if "upgrade" not in _tokens(environ, "HTTP_CONNECTION"):
        return _refuse(
            "400 Bad Request",
            f"Expected Connection: Upgrade, found {_field(environ, 'HTTP_CONNECTION')}. {_PROXY_HINT}",
        )

    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != _VERSION:
        found = [_field(environ, "HTTP_SEC_WEBSOCKET_VERSION")]
        found += [draft for field, draft in _DRAFT_FIELDS.items() if field in environ]
        return _refuse_upgrade(
            f"Expected Sec-WebSocket-Version: {_VERSION}, found {', and '.join(found)}. Use a client that speaks "
            "RFC 6455: its drafts are not spoken here."
        )

    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    if not _KEY.fullmatch(key):
        return _refuse(
            "400 Bad Request",
            "Expected one Sec-WebSocket-Key, 16 random bytes in base64, found "
            f"{_field(environ, 'HTTP_SEC_WEBSOCKET_KEY')}. Use a client that speaks RFC 6455.",
        )

    offered = _list(environ, "HTTP_SEC_WEBSOCKET_PROTOCOL")
    if not all(map(TOKEN.fullmatch, offered)):
        return _refuse(
            "400 Bad Request",
            "Expected Sec-WebSocket-Protocol to be a list of names, found "
            f"{_field(environ, 'HTTP_SEC_WEBSOCKET_PROTOCOL')}. Name subprotocols with letters, digits, '.' and '-', "
            "and put commas between them.",
        )

    try:
        offers = extensions.parse(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", ""))
    except ValueError:
        # RFC 6455 section 9.1: whoever receives what the grammar does not allow "MUST immediately _Fail the WebSocket
        # Connection_".
        return _refuse(
            "400 Bad Request",
            "Expected Sec-WebSocket-Extensions to be a list of extensions with parameters, found "
            f"{_field(environ, 'HTTP_SEC_WEBSOCKET_EXTENSIONS')}. Write it like: permessage-deflate; "
            "client_max_window_bits.",
        )

    host = proxies.host(environ)
    if not origins.allow(environ.get("HTTP_ORIGIN"), host):
        if origins.named is None:
            expected = f"that of a page of this host, {_show(host)}"
            remedy = f"{_ORIGINS_HINT} Behind a proxy that changes Host, name that in trusted_proxies."
        else:
            expected, remedy = f"one of {_show(', '.join(origins.named))}", _ORIGINS_HINT
        if environ["HTTP_ORIGIN"] == "null":
            remedy = _NULL_HINT
        return _refuse(
            "403 Forbidden", f"Expected Origin to be {expected}, found {_field(environ, 'HTTP_ORIGIN')}. {remedy}"
        )

    if answered:
        return Accepted([], None)
    # Section 4.2.2. A server may go on without a subprotocol; browsers then end what they asked one for by themselves.
    subprotocol = next((name for name in subprotocols if name in offered), None)
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", _accept(key))]
    if subprotocol is not None:
        headers.append(("Sec-WebSocket-Protocol", subprotocol))
    agreed = None if compression is None else agree(offers, compression)
    if agreed is not None:
        headers.append(("Sec-WebSocket-Extensions", str(agreed.extension)))
    return Accepted(headers, subprotocol, agreed)


def _accept(key: str) -> str:
    # Section 4.2.2: "concatenating /key/ [...] with the string [GUID], taking the SHA-1 hash of this concatenated value
    # to obtain a 20-byte value and base64-encoding [...] this 20-byte hash".
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def _refuse_upgrade(text: str) -> Refused:
    # Section 4.2.2: "an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version| header
    # field indicating the version(s) the server is capable of understanding". RFC 9110 wants an Upgrade field as well,
    # but that is hop-by-hop: PEP 3333 leaves it to the server.
    return _refuse("426 Upgrade Required", text, ("Sec-WebSocket-Version", _VERSION))


def _refuse(status: str, text: str, *headers: tuple[str, str]) -> Refused:
    body = f"{text}\n".encode()
    content = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    return Refused(status, [*content, *headers], body)


def _strip(element: str) -> str:
    return element.strip(" \t")


def _list(environ: Mapping[str, Any], field: str) -> list[str]:
    """Return the elements of a field. Empty ones are none (RFC 9110 section 5.6.1.2)."""
    value: str = environ.get(field, "")
    if not value:
        return []
    return [element for element in map(_strip, value.split(",")) if element]


def _tokens(environ: Mapping[str, Any], field: str) -> list[str]:
    return [element.lower() for element in _list(environ, field)]


def _field(environ: Mapping[str, Any], field: str) -> str:
    return _show(environ[field]) if field in environ else "none"


def _show(value: str) -> str:
    """Return *value* in quotes, in ASCII without control characters, and not all of a flood."""
    shown = ascii(value[:_MAX_SHOWN])
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 3]}..."
