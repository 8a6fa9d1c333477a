"""What a route decides about its sessions."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """What a route decides about its sessions."""

    max_message_size: int = 1024 * 1024
    """Bytes. What browsers' applications send fits; who wants more says so."""

    receive_queue: int = 16
    """Messages that wait for a busy endpoint."""

    send_queue: int = 1024 * 1024
    """Bytes that wait for a slow client: some seconds of a slow phone's network."""

    idle_timeout: float | None = None
    """Seconds without a message in either direction."""

    close_timeout: float = 5.0
    """Seconds that the client has to answer a close, and then to end the connection."""
