"""The pages, home and room and one for wrong addresses, and the headers that all responses carry."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from demo_flask.chat import TEXT_LIMIT
from demo_flask.names import PERSON_LIMIT, ROOM_LIMIT, room_name

pages = Blueprint("pages", __name__)

HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",  # covers ws: and wss: to this host and port
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    # A room's name is all one needs to enter it: links that people post must not carry it away.
    "Referrer-Policy": "no-referrer",
}
"""On every response: the pages run their own scripts and nothing else, and talk to their own server and nobody else."""


@pages.after_app_request
def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@pages.get("/")
def home() -> str:
    """Where one picks a name and a room."""
    return _home()


@pages.get("/room")
def enter() -> WerkzeugResponse | tuple[str, int]:
    """Where the form on the home page leads: on to the room it names."""
    wanted = request.args.get("room", "")
    try:
        return redirect(url_for("pages.room", name=room_name(wanted)))
    except ValueError as error:
        return _home(room=wanted[:ROOM_LIMIT], problem=str(error)), 400


@pages.get("/room/<name>")
def room(name: str) -> str | WerkzeugResponse | tuple[str, int]:
    """A room: the page; the talking goes through the WebSocket it opens."""
    try:
        tidy = room_name(name)
    except ValueError as error:
        return _home(room=name[:ROOM_LIMIT], problem=str(error)), 404
    if tidy != name:
        return redirect(url_for("pages.room", name=tidy))
    socket = f"{request.script_root}/ws/{quote(name, safe='')}"
    return render_template("room.html", room=name, socket=socket, person_limit=PERSON_LIMIT, text_limit=TEXT_LIMIT)


@pages.app_errorhandler(404)
def missing(error: HTTPException) -> tuple[str, int]:
    """An address without a page: say so, and show the way home."""
    return render_template("missing.html"), 404


def _home(*, room: str = "", problem: str | None = None) -> str:
    return render_template("home.html", room=room, problem=problem, person_limit=PERSON_LIMIT, room_limit=ROOM_LIMIT)
