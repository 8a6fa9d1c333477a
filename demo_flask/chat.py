"""The chat: one endpoint, one hub. Everything the server does with a WebSocket is in this file.

Client and server exchange JSON objects in text messages. Every request gets an answer:

    client sends                                        and gets
    {"type": "hello", "name", "key"?, "since"?}         welcome
    {"type": "say", "text", "id"}                       message (everybody in the room gets it)
    {"type": "rename", "name"}                          renamed (everybody in the room gets it)
    {"type": "ping"}                                    pong
    anything else, or too early, or too long            error, with a code and a text for people

    "welcome"   person: the client's own identity; people: who is here; recovered: whether what was missed after
                "since" has been sent; history: the last messages, when it has not; position: where history ends
    "message"   id, person, name, text, time (milliseconds since 1970) and position
    "came", "went", "renamed"   id (of the session), person, name; went: cause and reason; came: back; renamed: was

A client can be sent a message twice (by the history and live, or again after a reconnect): it drops ids it has seen.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from demo_flask.names import person_name, room_name
from wsmiddleware import CloseCause, CloseEvent, Endpoint, Hub, Message, Position, Session

HISTORY = 50
"""Messages a newcomer gets to see, and a client that was away can catch up on."""

TEXT_LIMIT = 2_000
"""Characters in a message: about a page. Who has more to say can say it in two."""

MESSAGE_SIZE_LIMIT = 16 * 1024
"""Bytes in a WebSocket message: TEXT_LIMIT characters, even if JSON escapes each one, and what is around them."""

REASONS: Mapping[CloseCause, str] = {
    CloseCause.CLIENT_LEFT: "left the page",
    CloseCause.CLIENT_CLOSED: "signed off",
    CloseCause.NETWORK_LOST: "lost the connection",
    CloseCause.KEEPALIVE_TIMEOUT: "lost the connection",
    CloseCause.IDLE_TIMEOUT: "was away for too long",
    CloseCause.SLOW_CONSUMER: "could not keep up",
    CloseCause.LIFETIME_LIMIT: "has to reconnect",
    CloseCause.SERVER_CLOSED: "was disconnected by the chat",
    CloseCause.SERVER_SHUTDOWN: "was disconnected: the chat is restarting",
    CloseCause.APPLICATION_ERROR: "was disconnected by an error in the chat",
    CloseCause.PROTOCOL_ERROR: "was disconnected for breaking the protocol",
    CloseCause.MESSAGE_TOO_BIG: "was disconnected for a message that was too big",
}
"""What the others read when somebody goes."""


class Refused(Exception):
    """A request that cannot be fulfilled: *code* is for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Chat(Endpoint):
    """One person's connection to one room. The application gives it a hub, by a subclass (see create_app).

    A room of the chat is two rooms of the hub: messages, and notices of who comes and goes. Each has its own history,
    so that notices never crowd messages out.
    """

    hub: ClassVar[Hub]

    def on_open(self, session: Session) -> None:
        """Wait for a hello. Until then nobody hears of the session."""
        session.state.me = None

    def on_message(self, session: Session, message: str | bytes) -> None:
        """Do what the client asks for, or tell it why not."""
        request: dict[str, Any] = {}
        try:
            request = _parse(message)
            self._answer(session, request)
        except Refused as refusal:
            _send(session, type="error", code=refusal.code, text=str(refusal), id=_message_id(request.get("id")))

    def on_close(self, session: Session, event: CloseEvent) -> None:
        """Tell the others who went, and why: the cause of the close is what tells leaving from a lost network."""
        if session.state.me is None:
            return  # It never said hello, so nobody would know who that was.
        # The session has left its rooms by now: whoever still found it among the members will get this notice.
        self._tell_people(session, type="went", cause=event.cause.value, reason=REASONS[event.cause])

    def _answer(self, session: Session, request: dict[str, Any]) -> None:
        kind = request.get("type")
        if kind == "ping":
            _send(session, type="pong")
        elif kind == "hello":
            self._hello(session, request)
        elif kind not in ("say", "rename"):
            raise Refused("type", "The type must be one of hello, say, rename and ping.")
        elif session.state.me is None:
            raise Refused("order", "Please say hello first.")
        elif kind == "say":
            self._say(session, request)
        else:
            self._rename(session, request)

    def _hello(self, session: Session, request: dict[str, Any]) -> None:
        if session.state.me is not None:
            raise Refused("order", "You have said hello already. To change your name, send a rename.")
        room = _checked("room", room_name, session.params["room"])
        name = _checked("name", person_name, request.get("name"))
        person, since = _person(request, session), _since(request)
        session.state.messages, session.state.people = f"chat:{room}", f"people:{room}"
        # Join first, ask for the history then: what is said in between comes twice instead of not at all.
        joined = self.hub.join(session, session.state.messages, since=since)
        history = [] if joined.recovered else self.hub.history(session.state.messages, limit=HISTORY)
        session.state.me = {"id": session.id, "person": person, "name": name}  # from now on, on_close has to tell
        self.hub.join(session, session.state.people, info={"person": person, "name": name})
        _send(
            session,
            type="welcome",
            id=session.id,
            person=person,
            recovered=joined.recovered,
            people=[{"id": member.id, **member.info} for member in self.hub.members(session.state.people)],
            history=[json.loads(render(message)) for message in history],
            position=str(history[-1].position if history else joined.position),
        )
        self._tell_people(session, exclude=session, type="came", back=joined.recovered)

    def _say(self, session: Session, request: dict[str, Any]) -> None:
        text, message_id = request.get("text"), request.get("id")
        if not isinstance(text, str) or not text.strip():
            raise Refused("text", "The message is empty. Please write something first.")
        if len(text) > TEXT_LIMIT:
            raise Refused("text", f"The message has {len(text)} characters. Please use at most {TEXT_LIMIT}.")
        if not message_id or message_id != _message_id(message_id):
            raise Refused("id", "The message needs an id: 1 to 64 ASCII characters, new for each message.")
        text = text.strip().encode("utf-8", "replace").decode()  # JSON can express lone surrogates, UTF-8 cannot
        said = {"type": "message", **session.state.me, "id": message_id, "text": text, "time": int(time.time() * 1000)}
        self.hub.publish(session.state.messages, _json(said))

    def _rename(self, session: Session, request: dict[str, Any]) -> None:
        me, name = session.state.me, _checked("name", person_name, request.get("name"))
        was, me["name"] = me["name"], name
        self.hub.join(session, session.state.people, info={"person": me["person"], "name": name})  # changes the info
        self._tell_people(session, type="renamed", was=was)

    def _tell_people(self, session: Session, *, exclude: Session | None = None, **notice: Any) -> None:
        self.hub.publish(session.state.people, _json({**session.state.me, **notice}), exclude=exclude)


def render(message: Message) -> str:
    """Return what clients get for a published *message*: its JSON with the position it got. For Hub(render=...)."""
    return _json({**json.loads(message.data), "position": str(message.position)})


def _send(session: Session, **answer: Any) -> None:
    session.send(_json(answer))


def _json(value: object) -> str:
    # Not as ASCII: a message of emoji would take three times the bytes, and a history of them fill the send queue.
    return json.dumps(value, ensure_ascii=False)


def _parse(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise Refused("json", "The message is binary. Please send a JSON object as text.")
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):  # RecursionError: thousands of opening brackets
        raise Refused("json", "The message is not JSON. Please send a JSON object.") from None
    if not isinstance(request, dict):
        raise Refused("json", "The message is JSON, but not an object. Please send an object with a type.")
    return request


def _checked(code: str, check: Callable[[object], str], value: object) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise Refused(code, str(error)) from None


def _person(request: dict[str, Any], session: Session) -> str:
    """Return who this is: a digest of the secret that the browser keeps, so that nobody can pose as somebody else."""
    key = request.get("key", session.id)
    if not isinstance(key, str) or not 1 <= len(key) <= 128:
        raise Refused("key", "The key must be a text of 1 to 128 characters, or be left out.")
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _since(request: dict[str, Any]) -> Position | None:
    since = request.get("since")
    if since is None:
        return None
    try:
        return Position.parse(since)
    except ValueError:
        raise Refused("since", "This is no position in a room. Please leave it out to start anew.") from None


def _message_id(value: object) -> str | None:
    """Return *value* if it is fit for a message's id, else None."""
    return value if isinstance(value, str) and value.isascii() and 1 <= len(value) <= 64 else None
