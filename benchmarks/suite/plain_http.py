"""What a request that is no WebSocket pays for the middleware, in this process: no server, no socket."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from wsmiddleware import WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BATCH = 0.02
"""Seconds for which one application is called before it is the next one's turn."""


@dataclass(frozen=True)
class Overhead:
    """What one application takes for a request, in seconds."""

    name: str
    bare: float
    wrapped: float
    ratio: float
    """Wrapped to bare: the median of the ratios of neighbours, which disturbances of the machine hit alike."""


def overheads(seconds: float) -> list[Overhead]:
    """Measure a trivial application and one of Flask's, *seconds* each."""
    flask = Flask(__name__)
    flask.get("/")(lambda: "Hello\n")
    return [_overhead(name, app, seconds) for name, app in (("trivial application", hello), ("Flask", flask.wsgi_app))]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a line of text. A WSGI application."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"Hello\n"]


def _overhead(name: str, app: WSGIApplication, seconds: float) -> Overhead:
    sockets = WebSocketMiddleware(app)
    sockets.register("/echo", lambda session: None)
    bare, wrapped = _caller(app), _caller(sockets)
    count = 1
    while bare(count) < BATCH:
        count *= 2
    pairs: list[tuple[float, float]] = []
    gc.collect()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not pairs:
        pairs.append((bare(count) / count, wrapped(count) / count))
    bare_time, wrapped_time = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Overhead(name, bare_time, wrapped_time, statistics.median(b / a for a, b in pairs))


def _caller(app: WSGIApplication) -> Callable[[int], float]:
    """Return what sends so many requests to *app*, and returns how long it took."""
    headers = [("User-Agent", "benchmark"), ("Accept", "*/*"), ("Accept-Encoding", "gzip"), ("Cookie", "a=b")]
    environ = EnvironBuilder("/", headers=headers).get_environ()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        return lambda data: None

    def call(count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            answer = app(environ.copy(), start_response)
            for _ in answer:
                pass
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return time.perf_counter() - begun

    return call
