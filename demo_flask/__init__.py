"""A chat: a Flask application and one WebSocket endpoint. Run it with ``python -m demo_flask``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def create_app(hub_url: str = "memory://") -> Flask:
    """Return the chat as a Flask application whose ``wsgi_app`` is wrapped by a WebSocketMiddleware.

    *hub_url* says where the rooms live; ValueError when it is none that a Hub knows. The middleware, which one stops
    before the server, is ``app.extensions["wsmiddleware"]``.
    """
    # Imported here: "python -m demo_flask" runs this file before __main__ has had a chance to patch.
    from flask import Flask

    from demo_flask.chat import HISTORY, MESSAGE_SIZE_LIMIT, Chat, render
    from demo_flask.pages import pages
    from wsmiddleware import Hub, WebSocketMiddleware

    app = Flask(__name__)
    app.register_blueprint(pages)

    sockets = WebSocketMiddleware(app.wsgi_app)
    app.wsgi_app = sockets  # type: ignore[method-assign]
    app.extensions["wsmiddleware"] = sockets

    @sockets.route("/ws/<room>", max_message_size=MESSAGE_SIZE_LIMIT, compression="shared")
    class RoomChat(Chat):
        hub = Hub(hub_url, history=HISTORY, render=render)

    return app
