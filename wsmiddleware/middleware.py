"""The middleware: pass a request through, refuse it, or upgrade it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar
from weakref import WeakSet

import gevent
from gevent.monkey import get_original
from werkzeug.wrappers import Response

from wsmiddleware import servers
from wsmiddleware.endpoint import Endpoint, Function, check, is_class
from wsmiddleware.environ import Environ, pack
from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.loop.callbacks import CallbackChannel
from wsmiddleware.loop.channel import Channel
from wsmiddleware.loop.conversation import ConversationChannel
from wsmiddleware.loop.loops import Loops
from wsmiddleware.options import Options, RouteOptions, complete
from wsmiddleware.protocol.close import CloseCause, CloseCode, is_sendable, shorten
from wsmiddleware.protocol.deflate import Agreed
from wsmiddleware.protocol.forwarded import TrustedProxies
from wsmiddleware.protocol.handshake import Refused, is_upgrade, shake_hands
from wsmiddleware.routing import Match, Routes, parameters
from wsmiddleware.servers.takeover import Takeover
from wsmiddleware.session import Session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication
    from typing_extensions import Unpack

log = logging.getLogger("wsmiddleware.handshake")

AnyEndpoint = TypeVar("AnyEndpoint", bound="type[Endpoint] | Function")

MAX_SHOWN = 200
"""Characters of a path that the log shows."""

DRAIN_INTERVAL = 0.01
"""Seconds after which stop() looks again whether sessions are left."""

# In a patched process the usual one is gevent's. The thread of no loop just sleeps.
_native_sleep: Callable[[float], None] = get_original("time", "sleep")


class Route(NamedTuple):
    """What a path leads to."""

    endpoint: type[Endpoint] | Function
    options: Options


class WebSocketMiddleware:
    """A WSGI application that gives another one WebSockets.

    Upgrade requests on registered paths become sessions. Everything else reaches the wrapped application untouched.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        trusted_proxies: Sequence[str] = (),
        on_unavailable: WSGIApplication | Literal["app"] | None = None,
        max_sessions: int = 10_000,
        drain_timeout: float = 10.0,
        **defaults: Unpack[RouteOptions],
    ) -> None:
        """Wrap *app*.

        *trusted_proxies* are the addresses or networks of proxies whose X-Forwarded-* headers count; "unix" stands for
        a proxy that connects by a Unix socket.

        *on_unavailable* answers when the server does not give its connection away: a WSGI application, "app" for the
        wrapped one, or None for a plain 501 response. The log says why in any case.

        *max_sessions* are served at the same time in this process; who comes then gets a 503 response. Each costs a
        file descriptor and some memory.

        *drain_timeout* is the time in seconds that stop() waits for sessions to end.

        *defaults* are options for all routes.
        """
        if not callable(app):
            raise TypeError(f"expected a WSGI application to wrap, found {type(app).__name__}")
        if max_sessions < 1:
            raise ValueError(f"expected max_sessions to be 1 or more, found {max_sessions}")
        if on_unavailable not in (None, "app") and not callable(on_unavailable):
            raise TypeError(
                f'expected on_unavailable to be a WSGI application, "app" or None, found {on_unavailable!r}'
            )
        self.app = app
        self._proxies = TrustedProxies(trusted_proxies)
        self._on_unavailable = on_unavailable
        self._max_sessions = max_sessions
        self._drain_timeout = drain_timeout
        self._defaults = defaults
        self._default_options = complete(defaults)

        self._routes: Routes[Route] = Routes()
        self._stop_code: int | None
        self._start_empty()
        _middlewares.add(self)

    def register(self, path: str, endpoint: type[Endpoint] | Function, **options: Unpack[RouteOptions]) -> None:
        """Serve *path* with *endpoint*, a subclass of Endpoint or a function.

        *path* is a werkzeug rule ("/chat/<room>") or a servlet pattern ("/chat/*", "*.chat"), below the middleware's
        SCRIPT_NAME. *options* override the middleware's.

        Raises ValueError for a path that is registered already or is none, and for wrong options; TypeError for an
        endpoint that is none, or a function that does not take the path's parameters.
        """
        check(endpoint, parameters(path))
        self._routes.add(path, Route(endpoint, complete({**self._defaults, **options})))

    def route(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[AnyEndpoint], AnyEndpoint]:
        """Return a decorator that registers what it decorates, and returns it. As register."""

        def decorate(endpoint: AnyEndpoint) -> AnyEndpoint:
            self.register(path, endpoint, **options)
            return endpoint

        return decorate

    # Cheap first: for a request that is no upgrade, this is all.
    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_UPGRADE" not in environ or not is_upgrade(environ):
            return self.app(environ, start_response)
        match = self._routes.match(environ)
        if match is None:
            return self.app(environ, start_response)
        try:
            return self._upgrade(environ, start_response, match)
        except ConnectionUnavailable as unavailable:
            log.warning("no WebSocket for %s: %s", _path(environ), unavailable.diagnosis)
            return self._unavailable()(environ, start_response)

    def upgrade(
        self, environ: Environ, start_response: StartResponse, endpoint: type[Endpoint] | Function
    ) -> Iterable[bytes]:
        """Upgrade a request in the middle of an application, which decides by itself; return what it has to return.

        The middleware's default options hold. A handshake that is wrong is answered with its refusal. Raises
        ConnectionUnavailable if the server does not give its connection away, and TypeError for a wrong *endpoint*;
        then nothing has been answered yet.
        """
        check(endpoint, ())
        return self._upgrade(environ, start_response, _here(environ, Route(endpoint, self._default_options)))

    def stop(self, code: int = CloseCode.GOING_AWAY, timeout: float | None = None) -> None:
        """Close all sessions with *code* and wait until they have ended, *timeout* seconds at most.

        By default that is drain_timeout. New sessions are refused from now on. From any thread and greenlet, but not
        from within an endpoint: its own session would not end as long as it waits. Raises ValueError for a code that
        may not be sent.
        """
        if not is_sendable(code):
            raise ValueError(f"expected a close code that may be sent, found {code}")
        self._stop_code = code
        deadline = monotonic() + (self._drain_timeout if timeout is None else timeout)
        channels = list(self._channels)
        for channel in channels:
            channel.loop.post(channel.close, code, "", CloseCause.SERVER_SHUTDOWN)
        # No Event of gevent's: when a thread has waited for it and is gone, the next may wait for ever (gevent 26.9).
        pause = gevent.sleep if any(channel.loop.is_here() for channel in channels) else _native_sleep
        while self._channels and monotonic() < deadline:
            pause(DRAIN_INTERVAL)

    # One upgrade

    def _upgrade(
        self, environ: Environ, start_response: StartResponse, match: Match[Route]
    ) -> Iterable[bytes]:
        route = match.target
        takeover = servers.find(environ, start_response)
        accepted = shake_hands(
            environ,
            origins=route.options.origins,
            subprotocols=route.options.subprotocols,
            compression=route.options.compression,
            proxies=self._proxies,
            answered=takeover.answered,
        )
        if isinstance(accepted, Refused):
            text = accepted.body.decode().rstrip("\n")
            log.warning("refused a handshake for %s from %s: %s", _path(environ), environ.get("REMOTE_ADDR"), text)
            return self._refuse(takeover, environ, start_response, _response(accepted), text)
        if takeover.promised_extensions is not None:
            # The client may use them from its first frame on.
            extensions = takeover.promised_extensions
            text = f"Expected no extensions in the handshake of {takeover.server}, found {extensions}."
            log.warning("refused a session for %s: %s", _path(environ), text)
            return self._refuse(takeover, environ, start_response, Response(text + "\n", 501), text)
        if route.options.authorize is not None:
            answer = route.options.authorize(environ)
            if answer is not None:
                return self._refuse(takeover, environ, start_response, answer, "not authorized")
        # After the hook, which may wait, and others come in meanwhile.
        full = self._no_room()
        if full is not None:
            log.warning("refused a handshake for %s: %s", _path(environ), full)
            busy = Response(full + "\n", 503, {"Retry-After": "5"}, "text/plain")
            return self._refuse(takeover, environ, start_response, busy, full)
        endpoint = route.endpoint() if is_class(route.endpoint) else route.endpoint
        subprotocol = accepted.subprotocol or takeover.promised_subprotocol
        try:
            takeover.accept(accepted.headers)
            channel = self._open(takeover, endpoint, environ, match, subprotocol, accepted.compression)
        except OSError as gone:
            log.info("the client of %s has gone before its handshake was answered: %s", _path(environ), gone)
            return takeover.finish()
        if self._stop_code is not None:  # stop() has come while the endpoint was being made: it did not see this one.
            channel.close(self._stop_code, "", CloseCause.SERVER_SHUTDOWN)
        return takeover.finish()

    def _no_room(self) -> str | None:
        if self._stop_code is not None:
            return "Expected a running server, found one that is being stopped. Try again later."
        if len(self._channels) >= self._max_sessions:
            return f"Expected fewer than {self._max_sessions} sessions, found as many. Try again later."
        return None

    def _refuse(
        self,
        takeover: Takeover,
        environ: Environ,
        start_response: StartResponse,
        answer: WSGIApplication,
        reason: str,
    ) -> Iterable[bytes]:
        """Let *answer* answer; where the server has sent its 101 already, close the WebSocket with *reason*."""
        if not takeover.answered:
            return answer(environ, start_response)
        log.warning(
            "the refusal is a close with code 1008, because %s has answered the handshake before the application was "
            "asked. For an HTTP response use the plain handler, gevent.pywsgi.WSGIHandler",
            takeover.server,
        )
        refusal = _Refusal(reason)
        self._open(takeover, refusal, environ, _here(environ, Route(_Refusal, self._default_options)), None)
        return takeover.finish()

    def _open(
        self,
        takeover: Takeover,
        endpoint: Endpoint | Function,
        environ: Environ,
        match: Match[Route],
        subprotocol: str | None,
        compression: Agreed | None = None,
    ) -> Channel:
        """Take the connection and begin a session on it."""
        deflate = None if compression is None else compression.deflate()
        stream, early = takeover.take()
        loop, settings, context = self._loops.here(), match.target.options.settings, copy_context()
        channel: CallbackChannel | ConversationChannel
        if isinstance(endpoint, Endpoint):
            channel = CallbackChannel(loop, stream, settings, self._done, endpoint, context, deflate)
        else:
            channel = ConversationChannel(loop, stream, settings, self._done, endpoint, match.params, context, deflate)
        channel.session = Session(
            channel,
            environ=pack(environ, SCRIPT_NAME=match.script_name, PATH_INFO=match.path_info),
            params=match.params,
            subprotocol=subprotocol,
            remote_address=self._proxies.client_address(environ),
        )
        self._channels.add(channel)
        channel.start(early)
        return channel

    def _done(self, channel: Channel) -> None:
        self._channels.discard(channel)

    def _unavailable(self) -> WSGIApplication:
        if self._on_unavailable is None:
            return Response("This server cannot serve WebSockets. Its log says why.\n", 501, mimetype="text/plain")
        return self.app if self._on_unavailable == "app" else self._on_unavailable

    def _start_empty(self) -> None:
        self._loops = Loops()
        self._channels: set[Channel] = set()
        self._stop_code = None


class _Refusal(Endpoint):
    """Says no on a connection where a 101 has been sent already."""

    def __init__(self, reason: str) -> None:
        self._reason = shorten(reason)

    def on_open(self, session: Session) -> None:
        session.close(CloseCode.POLICY_VIOLATION, self._reason)


def _here(environ: Environ, route: Route) -> Match[Route]:
    """Return what matching would, of a request for *route* that has not been matched."""
    return Match(route, {}, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))


def _response(refused: Refused) -> WSGIApplication:
    def respond(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(refused.status, refused.headers)
        # A body would be taken for the beginning of the next answer (RFC 9110 section 9.3.2).
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refused.body]

    return respond


def _path(environ: Environ) -> str:
    # In quotes, for it is the client's: without line breaks, and not all of a flood.
    return ascii(f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"[:MAX_SHOWN])


_middlewares: WeakSet[WebSocketMiddleware] = WeakSet()


def _start_empty_after_fork() -> None:
    # The sessions are the parent's.
    for middleware in list(_middlewares):
        middleware._start_empty()


os.register_at_fork(after_in_child=_start_empty_after_fork)
