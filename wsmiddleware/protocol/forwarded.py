"""Who the client is, and which host it asked for, when proxies stand in between.

Each proxy writes down what it saw of its own peer: it appends that peer's address to X-Forwarded-For, and puts the
host that the peer asked for into X-Forwarded-Host. But anybody can send such fields, so they are read from the right,
from what the nearest proxy wrote, and only as far as each writer is trusted. What stands further left was claimed by
who is not trusted, and never counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

UNIX = "unix"
"""Stands for a peer without an address: one that came through a Unix socket."""

_ENTRY = re.compile(
    r"""
    \[ (?P<bracketed> [0-9A-Fa-f:.]+ ) \] (?: :[0-9]+ )?    # [::1] or [::1]:1234
    | (?P<v4> [0-9.]+ ) (?: :[0-9]+ )?                      # 1.2.3.4 or 1.2.3.4:567
    | (?P<v6> [0-9A-Fa-f:.]+ )                              # ::1
    """,
    re.VERBOSE,
)


class TrustedProxies:
    """The proxies whose X-Forwarded-* fields count.

    *proxies* are IP addresses ("10.0.0.1", "fd00::1"), networks ("10.0.0.0/8"), and the word "unix" for peers without
    an address, those of a Unix socket. A proxy that is named here must append to X-Forwarded-For or replace it, as
    they all do by default or by a line of configuration: one that passes on what its client sent lets the client
    choose its address.

    Raises ValueError for anything else.
    """

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        if isinstance(proxies, str):
            raise ValueError(f"expected a list of trusted proxies, found the text {proxies!r}: write [{proxies!r}]")
        names = list(proxies)
        self._unix = UNIX in names
        self._networks = [_network(name) for name in names if name != UNIX]

    def client_address(self, environ: Mapping[str, Any]) -> str:
        """Return the address of the client: REMOTE_ADDR, unless that is a trusted proxy.

        If it is, the proxy tells in X-Forwarded-For whom it got the request from; if that is a trusted proxy too, then
        so does that one, and so on. Where there is nothing more to read, or no IP address, it is the last one known.
        The result is "" for a client without an address (of a Unix socket).
        """
        return self._trace(environ)[0]

    def host(self, environ: Mapping[str, Any]) -> str:
        """Return the host that the client asked for, with the port if it named one: "example.org:8080".

        It is the Host field, or the server's own name and port if there is none (PEP 3333). If REMOTE_ADDR is a trusted
        proxy, X-Forwarded-Host precedes both. Proxies append to that as they do to X-Forwarded-For, or only the
        outermost one sets it: of several values it is the one as far from the right as there are trusted proxies, the
        first if there are fewer.
        """
        _, hops = self._trace(environ)
        if hops:
            values = environ.get("HTTP_X_FORWARDED_HOST", "").split(",")
            forwarded: str = values[-min(hops, len(values))].strip(" \t")
            if forwarded:
                return forwarded
        return environ.get("HTTP_HOST") or _server(environ)

    def _trace(self, environ: Mapping[str, Any]) -> tuple[str, int]:
        """Return the client's address, and how many trusted proxies the way to it went through."""
        address: str = environ.get("REMOTE_ADDR") or ""
        entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        hops = 0
        while self._trusts(address):
            hops += 1
            forwarded = _forwarded_address(entries.pop()) if entries else None
            if forwarded is None:
                break
            address = forwarded
        return address, hops

    def _trusts(self, address: str) -> bool:
        if not address:
            return self._unix
        if not self._networks:
            return False
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(str(name))
    except ValueError as error:
        raise ValueError(
            'expected a trusted proxy to be an IP address ("10.0.0.1"), a network ("10.0.0.0/8"), or "unix" for '
            f"peers without an address, found {name!r}: {error}"
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return _unmapped(ip_address(address))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Turn ::ffff:10.0.0.1 into 10.0.0.1: a server that listens on IPv6 sees IPv4 peers in that guise."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _forwarded_address(entry: str) -> str | None:
    """Return the address in an entry of X-Forwarded-For, in its canonical spelling; None if there is none."""
    match = _ENTRY.fullmatch(entry.strip(" \t"))
    address = match and _parse(match["bracketed"] or match["v4"] or match["v6"])
    return str(address) if address else None


def _server(environ: Mapping[str, Any]) -> str:
    name: str = environ.get("SERVER_NAME", "")
    return f"{f'[{name}]' if ':' in name else name}:{environ.get('SERVER_PORT', '')}"
