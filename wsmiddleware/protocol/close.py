"""How sessions end: close codes, causes, and the one event that tells all of it.

A session's end has one cause, the first thing that decided it. ENDINGS says of each cause who began, and which close
code, if any, it puts on the wire:

    a close frame came          CLIENT_LEFT with code 1001, which browsers send when the page goes; else CLIENT_CLOSED
    the peer broke a rule       PROTOCOL_ERROR, MESSAGE_TOO_BIG
    we decided                  SERVER_CLOSED, APPLICATION_ERROR, SERVER_SHUTDOWN, IDLE_TIMEOUT, SLOW_CONSUMER, ...
    the connection just ended   NETWORK_LOST, KEEPALIVE_TIMEOUT
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal, NamedTuple, TypeAlias

Initiator: TypeAlias = Literal["client", "server", "network"]


class CloseCode(IntEnum):
    """The registered close codes (RFC 6455 section 7.4.1 and IANA's registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


UNSENDABLE = frozenset({CloseCode.NO_STATUS, CloseCode.ABNORMAL, CloseCode.TLS_HANDSHAKE})
"""Registered for reports only: "MUST NOT be set as a status code in a Close control frame by an endpoint"."""

MAX_REASON = 123
"""Bytes: a control frame's payload has at most 125 (RFC 6455 section 5.5), two of which are the code."""


def is_sendable(code: int) -> bool:
    """Say whether *code* may stand in a close frame: a registered one, or one that is free for use (section 7.4.2)."""
    return 3000 <= code <= 4999 or (code in CloseCode._value2member_map_ and code not in UNSENDABLE)


def shorten(reason: str) -> str:
    """Return as much of *reason* as a close frame holds, without cutting a character in two."""
    return reason.encode()[:MAX_REASON].decode(errors="ignore")


class Close(NamedTuple):
    """A close frame: its code, 1005 if it had none, and its reason."""

    code: int
    reason: str = ""


class CloseCause(Enum):
    """Why a session ended."""

    CLIENT_CLOSED = "client_closed"
    """The client sent a close frame with any code but 1001."""

    CLIENT_LEFT = "client_left"
    """The client sent 1001, "going away": browsers do when the page is closed, reloaded or left."""

    SERVER_CLOSED = "server_closed"
    """The application called close(), or its function returned."""

    NETWORK_LOST = "network_lost"
    """The connection ended or broke without a close frame."""

    KEEPALIVE_TIMEOUT = "keepalive_timeout"
    """The client did not answer a ping in time."""

    IDLE_TIMEOUT = "idle_timeout"
    """No message for idle_timeout seconds."""

    PROTOCOL_ERROR = "protocol_error"
    """The client broke RFC 6455, or sent text that is not UTF-8."""

    MESSAGE_TOO_BIG = "message_too_big"
    """A message was longer than max_message_size."""

    SLOW_CONSUMER = "slow_consumer"
    """The client did not read what was sent to it."""

    APPLICATION_ERROR = "application_error"
    """The endpoint raised."""

    SERVER_SHUTDOWN = "server_shutdown"
    """The middleware was stopped."""

    LIFETIME_LIMIT = "lifetime_limit"
    """Ended by us just before something on the way would have done it."""


class Ending(NamedTuple):
    """What follows from a cause: who began, and the code that tells the client. None: it spoke first, or is gone."""

    initiator: Initiator
    code: CloseCode | None


ENDINGS: Mapping[CloseCause, Ending] = {
    CloseCause.CLIENT_CLOSED: Ending("client", None),
    CloseCause.CLIENT_LEFT: Ending("client", None),
    CloseCause.SERVER_CLOSED: Ending("server", CloseCode.NORMAL),
    CloseCause.NETWORK_LOST: Ending("network", None),
    CloseCause.KEEPALIVE_TIMEOUT: Ending("network", None),
    CloseCause.IDLE_TIMEOUT: Ending("server", CloseCode.GOING_AWAY),
    CloseCause.PROTOCOL_ERROR: Ending("server", CloseCode.PROTOCOL_ERROR),
    CloseCause.MESSAGE_TOO_BIG: Ending("server", CloseCode.MESSAGE_TOO_BIG),
    CloseCause.SLOW_CONSUMER: Ending("server", CloseCode.TRY_AGAIN_LATER),
    CloseCause.APPLICATION_ERROR: Ending("server", CloseCode.INTERNAL_ERROR),
    CloseCause.SERVER_SHUTDOWN: Ending("server", CloseCode.GOING_AWAY),
    CloseCause.LIFETIME_LIMIT: Ending("server", CloseCode.SERVICE_RESTART),
}
"""Every cause, and what follows from it."""


def cause_of_close(received: Close) -> CloseCause:
    """Return the cause of an end that a close frame began."""
    return CloseCause.CLIENT_LEFT if received.code == CloseCode.GOING_AWAY else CloseCause.CLIENT_CLOSED


def cause_of_failure(code: int) -> CloseCause:
    """Return the cause of an end that the peer's mistake began, which is answered with *code*."""
    return CloseCause.MESSAGE_TOO_BIG if code == CloseCode.MESSAGE_TOO_BIG else CloseCause.PROTOCOL_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseEvent:
    """How a session ended. There is exactly one for each session; it never changes."""

    cause: CloseCause
    """Why."""

    code: int
    """The code of the first close frame, whoever sent it; 1005 if it had none, 1006 if there was no close frame."""

    reason: str
    """The reason in that close frame."""

    initiator: Initiator
    """Who began the end."""

    clean: bool
    """Whether both close frames have been exchanged."""

    received: Close | None
    """The client's close frame."""

    sent: Close | None
    """The server's close frame."""

    received_first: bool | None
    """Whether the client's came first; None if there was none at all."""

    silent_in: float
    """Seconds since the last byte came from the client."""

    silent_out: float
    """Seconds since the last byte went to the client."""

    duration: float
    """Seconds since the session began."""

    error: BaseException | None = None
    """What the endpoint raised, or the system said, or the peer did wrong."""

    suspected: Literal["idle", "lifetime"] | None = None
    """With hindsight: the limit of something on the way that may have ended the connection."""

    def __str__(self) -> str:
        return f"{self.cause.value}, close code {self.code}" + (f", {self.reason!r}" if self.reason else "")


def close_event(
    cause: CloseCause,
    *,
    received: Close | None,
    sent: Close | None,
    received_first: bool | None,
    began: float,
    last_in: float,
    last_out: float,
    now: float,
    error: BaseException | None = None,
) -> CloseEvent:
    """Return the event for an end with these facts. The four times are seconds of one monotonic clock."""
    first = received if received_first else sent
    return CloseEvent(
        cause=cause,
        code=int(CloseCode.ABNORMAL if first is None else first.code),
        reason="" if first is None else first.reason,
        initiator=ENDINGS[cause].initiator,
        clean=received is not None and sent is not None,
        received=received,
        sent=sent,
        received_first=received_first,
        silent_in=now - last_in,
        silent_out=now - last_out,
        duration=now - began,
        error=error,
    )
