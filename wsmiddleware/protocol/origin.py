"""Which pages may connect: the Origin of a handshake (RFC 6454) against what a route allows.

A browser lets any page open a WebSocket to any host, and sends that host's cookies along. The Origin field, which no
page can forge, is all that tells one's own pages from others (RFC 6455 section 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

MAX_REMEMBERED = 300
"""Characters of an origin: a host's name has 253 at most."""

_DEFAULT_PORTS: dict[str | None, int] = {"http": 80, "https": 443}

_PLACE = re.compile(
    r"""
    (?: (?P<scheme> [a-z][a-z0-9+.-]* ) :// )?
    (?P<host> [a-z0-9._~-]+ | \[[0-9a-f:.]+\] )
    (?: : (?P<port> [1-9][0-9]{0,4} ) )?
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)


class Origins:
    """The pages that a route's *origins* option allows to connect.

    None stands for those of the host that the request is for, whatever their scheme: behind a proxy that ends TLS it
    is not the server's. "*" stands for all. A sequence names them one by one: exact origins ("https://example.org",
    "https://example.org:8443"), or hosts for any scheme ("example.org", "example.org:8080"). A host without a port
    means the default port of the scheme that the page came by. An empty sequence allows no page at all.

    Raises ValueError for anything else.
    """

    def __init__(self, allowed: Sequence[str] | Literal["*"] | None = None) -> None:
        self._any = allowed == "*"
        if isinstance(allowed, str) and not self._any:
            raise ValueError(f'expected origins to be None, "*" or a list, found {allowed!r}: write [{allowed!r}]')
        self.named = None if allowed is None or self._any else tuple(allowed)  # as they were given
        self._rules = [_parse_entry(entry) for entry in self.named or ()]

    def allow(self, origin: str | None, host: str) -> bool:
        """Say whether a page may connect.

        *origin* is the request's Origin field. None, no such field, is allowed: that is no browser. What is no origin
        is not, nor is "null", the origin of a page that has none (in a sandbox, from a file); "*" allows even those.
        *host* is the host that the request is for, with its port unless that is the default one.
        """
        if origin is None or self._any:
            return True
        found = _parse(origin)
        if found is None or found.scheme is None:
            return False
        if self.named is not None:
            return any(rule.covers(found) for rule in self._rules)
        own = _parse(host)
        return own is not None and own.covers(found)


class _Place(NamedTuple):
    """An origin, or without a scheme an authority, as it stands in the Host field."""

    scheme: str | None
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> _Place | None:
        match = _PLACE.fullmatch(text)
        if match is None:
            return None
        scheme, host, port = match.groups()
        return cls(scheme.lower() if scheme else None, host.lower(), int(port) if port else None)

    def covers(self, origin: _Place) -> bool:
        default_port = _DEFAULT_PORTS.get(origin.scheme)
        return (
            self.scheme in (None, origin.scheme)
            and self.host == origin.host
            and (self.port or default_port) == (origin.port or default_port)
        )


_remembered = lru_cache(maxsize=100)(_Place.parse)


def _parse(text: str) -> _Place | None:
    # Most requests name the same few. What is longer than any host's name may be is not remembered.
    return _remembered(text) if len(text) <= MAX_REMEMBERED else _Place.parse(text)


def _parse_entry(entry: str) -> _Place:
    place = _Place.parse(entry) if isinstance(entry, str) and entry != "null" else None
    if place is None:
        raise ValueError(
            'expected each of origins to be scheme://host[:port] ("https://example.org") or host[:port] '
            f'("example.org", for any scheme), found {entry!r}. There are no paths (not even a slash) and no '
            'wildcards in it, international names are spelled xn--…, and only origins="*" allows the origin null'
        )
    return place
