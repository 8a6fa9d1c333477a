"""The chat's protocol, without a network: sessions that note what they are sent, around a real hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from demo_flask.chat import HISTORY, REASONS, TEXT_LIMIT, Chat, render
from wsmiddleware import CloseCause, CloseEvent, Hub, Session


class NotedSession:
    """What the chat and the hub use of a session; what is sent is noted in *received*."""

    close_event = None

    def __init__(self, id: str, room: str) -> None:
        self.id = id
        self.params = {"room": room}
        self.state = SimpleNamespace()
        self.received: list[dict[str, Any]] = []
        self.end_callbacks: list[Callable[[], None]] = []

    def send(self, message: str) -> None:
        self.received.append(json.loads(message))

    def offer(self, frame: bytes) -> None:
        # Unmasked and shorter than 64 KiB (RFC 6455 section 5.2).
        self.received.append(json.loads(frame[4:] if frame[1] == 126 else frame[2:]))

    def add_end_callback(self, callback: Callable[[], None]) -> None:
        self.end_callbacks.append(callback)


class Person:
    """A client: an endpoint and the session that belongs to it."""

    def __init__(self, chat: type[Chat], number: int, room: str) -> None:
        noted = NotedSession(f"session-{number}", room)
        self.session = cast(Session, noted)
        self.received = noted.received
        self._end_callbacks = noted.end_callbacks
        self._chat = chat()
        self._chat.on_open(self.session)

    def sends(self, **request: Any) -> list[dict[str, Any]]:
        return self.sends_raw(json.dumps(request))

    def sends_raw(self, message: str | bytes) -> list[dict[str, Any]]:
        """Return what came back, and forget what came before."""
        self.received.clear()
        self._chat.on_message(self.session, message)
        return list(self.received)

    def says(self, text: str, id: str = "1") -> list[dict[str, Any]]:
        return self.sends(type="say", text=text, id=id)

    def goes(self, cause: CloseCause) -> None:
        for callback in self._end_callbacks:
            callback()
        self._chat.on_close(self.session, cast(CloseEvent, SimpleNamespace(cause=cause)))


Arrive = Callable[..., Person]


@pytest.fixture
def arrive() -> Arrive:
    """Return a function: a client connects, and says hello if it is given a name."""
    people: list[Person] = []

    class TestedChat(Chat):
        hub = Hub("memory://", history=HISTORY, render=render)

    def arrive(name: str | None = None, room: str = "tea", **hello: Any) -> Person:
        person = Person(TestedChat, len(people), room)
        people.append(person)
        if name is not None:
            person.sends(type="hello", name=name, **hello)
        return person

    return arrive


def error(answers: list[dict[str, Any]]) -> tuple[str, str]:
    """Return code and text of the one answer, which is an error."""
    (answer,) = answers
    assert answer["type"] == "error"
    return answer["code"], answer["text"]


# Coming in


def test_hello_is_answered_with_who_is_here_and_what_was_said(arrive: Arrive) -> None:
    ada = arrive("Ada")
    ada.says("Anybody in?")
    bob = arrive("Bob")
    (welcome,) = bob.received
    assert welcome["type"] == "welcome"
    assert {person["name"] for person in welcome["people"]} == {"Ada", "Bob"}
    assert [message["text"] for message in welcome["history"]] == ["Anybody in?"]
    assert welcome["position"] == welcome["history"][-1]["position"]
    assert welcome["recovered"] is False


def test_a_newcomer_gets_the_last_fifty_messages_and_notices_take_none_of_their_places(arrive: Arrive) -> None:
    ada = arrive("Ada")
    for number in range(60):
        ada.says(f"message {number}", id=str(number))
        arrive("Passer-by").goes(CloseCause.CLIENT_LEFT)
    (welcome,) = arrive("Bob").received
    assert [message["text"] for message in welcome["history"]] == [f"message {number}" for number in range(10, 60)]


def test_the_others_read_who_came_and_the_newcomer_does_not(arrive: Arrive) -> None:
    ada = arrive("Ada")
    ada.received.clear()
    bob = arrive("  Bob ")
    (came,) = ada.received
    assert (came["type"], came["name"], came["id"], came["back"]) == ("came", "Bob", bob.session.id, False)
    assert [answer["type"] for answer in bob.received] == ["welcome"]


def test_rooms_know_nothing_of_each_other(arrive: Arrive) -> None:
    ada, bob = arrive("Ada", room="tea"), arrive("Bob", room="coffee")
    ada.received.clear()
    bob.says("No sugar, please.")
    assert ada.received == []


def test_one_key_is_one_person_and_nobody_gets_to_see_it(arrive: Arrive) -> None:
    here, there, other = arrive("Ada", key="secret"), arrive("Ada", key="secret"), arrive("Ada", key="other")
    persons = [person.received[0]["person"] for person in (here, there, other)]
    assert persons[0] == persons[1] != persons[2]
    assert "secret" not in json.dumps([here.received, there.received, other.received])


def test_a_second_hello_is_refused(arrive: Arrive) -> None:
    assert error(arrive("Ada").sends(type="hello", name="Ada"))[0] == "order"


@pytest.mark.parametrize("name", [None, 7, [], "", "   ", "x" * 33, "a\x00b"])
def test_a_hello_with_a_bad_name_is_refused_and_may_be_tried_again(arrive: Arrive, name: object) -> None:
    client = arrive()
    code, text = error(client.sends(type="hello", name=name))
    assert (code, text.startswith("Your name")) == ("name", True)
    assert client.sends(type="hello", name="Ada")[0]["type"] == "welcome"


@pytest.mark.parametrize("key", [7, "", "x" * 129, None])
def test_a_bad_key_is_refused(arrive: Arrive, key: object) -> None:
    assert error(arrive().sends(type="hello", name="Ada", key=key))[0] == "key"


@pytest.mark.parametrize("room", ["x" * 65, "a\x00b", " "])
def test_a_room_that_cannot_exist_is_refused(arrive: Arrive, room: str) -> None:
    client = arrive(room=room)
    assert error(client.sends(type="hello", name="Ada"))[0] == "room"
    client.goes(CloseCause.CLIENT_LEFT)


# Talking


def test_what_one_says_comes_to_all_with_a_position(arrive: Arrive) -> None:
    ada, bob = arrive("Ada"), arrive("Bob")
    bob.received.clear()
    (own,) = ada.says("<b>Hello</b>\nBob 🙂", id="abc")
    assert bob.received == [own]
    assert (own["type"], own["name"], own["text"], own["id"]) == ("message", "Ada", "<b>Hello</b>\nBob 🙂", "abc")
    assert isinstance(own["time"], int)
    assert own["position"]


def test_nobody_can_speak_before_hello(arrive: Arrive) -> None:
    assert error(arrive().says("Hello?"))[0] == "order"


def test_a_text_at_the_limit_passes_and_one_character_more_does_not(arrive: Arrive) -> None:
    ada = arrive("Ada")
    assert ada.says("x" * TEXT_LIMIT)[0]["type"] == "message"
    code, text = error(ada.says("x" * (TEXT_LIMIT + 1)))
    assert (code, text) == ("text", "The message has 2001 characters. Please use at most 2000.")


@pytest.mark.parametrize("text", [None, 7, [], {}, "", " \n "])
def test_a_message_without_text_is_refused_with_its_id(arrive: Arrive, text: object) -> None:
    (answer,) = arrive("Ada").sends(type="say", text=text, id="abc")
    assert (answer["type"], answer["code"], answer["id"]) == ("error", "text", "abc")


@pytest.mark.parametrize("id", [None, 7, [], "", "x" * 65, "ä"])
def test_a_message_without_id_is_refused(arrive: Arrive, id: object) -> None:
    assert error(arrive("Ada").sends(type="say", text="Hello", id=id))[0] == "id"


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        "",
        "hello",
        "{",
        "[" * 16_000,
        '{"a":' * 3_000,
        "1" * 16_000,
        "[]",
        "null",
        "7",
        '"hello"',
        "NaN",
    ],
)
def test_what_is_no_json_object_is_refused(arrive: Arrive, message: str | bytes) -> None:
    assert error(arrive("Ada").sends_raw(message))[0] == "json"


@pytest.mark.parametrize("kind", [None, 7, [], {}, "", "shout", "welcome"])
def test_an_unknown_type_is_refused(arrive: Arrive, kind: object) -> None:
    assert error(arrive("Ada").sends(type=kind))[0] == "type"


def test_lone_surrogates_do_not_break_the_chat(arrive: Arrive) -> None:
    ada = arrive("Ada")
    assert ada.sends_raw('{"type": "say", "text": "\\ud800!", "id": "1"}')[0]["text"] == "?!"
    assert error(ada.sends_raw('{"type": "say", "text": "Hello", "id": "\\ud800"}'))[0] == "id"
    assert arrive().sends_raw('{"type": "hello", "name": "Bob", "key": "\\ud800"}')[0]["type"] == "welcome"


def test_a_ping_is_answered_even_before_hello(arrive: Arrive) -> None:
    assert arrive().sends(type="ping") == [{"type": "pong"}]


# Renaming


def test_a_new_name_is_told_to_all_and_used_from_then_on(arrive: Arrive) -> None:
    ada, bob = arrive("Ada"), arrive("Bob")
    bob.received.clear()
    (own,) = ada.sends(type="rename", name="Countess")
    assert bob.received == [own]
    assert (own["type"], own["was"], own["name"], own["id"]) == ("renamed", "Ada", "Countess", ada.session.id)
    assert ada.says("Hello")[0]["name"] == "Countess"
    assert {person["name"] for person in arrive("Carl").received[0]["people"]} == {"Countess", "Bob", "Carl"}


def test_a_bad_new_name_is_refused_and_the_old_one_stays(arrive: Arrive) -> None:
    ada = arrive("Ada")
    assert error(ada.sends(type="rename", name=""))[0] == "name"
    assert ada.says("Hello")[0]["name"] == "Ada"


# Coming back


def test_after_a_reconnect_one_gets_what_was_missed_and_no_more(arrive: Arrive) -> None:
    ada, bob = arrive("Ada"), arrive("Bob")
    ada.says("seen")
    position = bob.received[-1]["position"]
    bob.goes(CloseCause.NETWORK_LOST)
    ada.says("missed 1")
    ada.says("missed 2")
    again = arrive("Bob", since=position)
    (welcome,) = (message for message in again.received if message["type"] == "welcome")
    missed = [message["text"] for message in again.received if message["type"] == "message"]
    assert (welcome["recovered"], welcome["history"], missed) == (True, [], ["missed 1", "missed 2"])


def test_the_others_read_that_one_is_back(arrive: Arrive) -> None:
    ada, bob = arrive("Ada"), arrive("Bob")
    position = bob.received[0]["position"]
    bob.goes(CloseCause.NETWORK_LOST)
    ada.received.clear()
    arrive("Bob", since=position)
    assert [(notice["type"], notice["back"]) for notice in ada.received] == [("came", True)]


def test_who_has_missed_too_much_gets_the_history_instead(arrive: Arrive) -> None:
    ada = arrive("Ada")
    position = ada.received[0]["position"]
    for number in range(60):
        ada.says(f"message {number}", id=str(number))
    (welcome,) = arrive("Bob", since=position).received
    assert (welcome["recovered"], len(welcome["history"])) == (False, HISTORY)


def test_a_position_from_another_life_of_the_chat_gets_the_history(arrive: Arrive) -> None:
    arrive("Ada").says("Hello")
    (welcome,) = arrive("Bob", since="another:7").received
    assert (welcome["recovered"], len(welcome["history"])) == (False, 1)


@pytest.mark.parametrize("since", [7, [], "", "nonsense", "a:b", ":", "a:-1", "x" * 200])
def test_what_is_no_position_is_refused(arrive: Arrive, since: object) -> None:
    assert error(arrive().sends(type="hello", name="Ada", since=since))[0] == "since"


# Going


def test_every_cause_has_a_reason_that_people_understand() -> None:
    assert set(REASONS) == set(CloseCause)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (CloseCause.CLIENT_LEFT, "left the page"),
        (CloseCause.CLIENT_CLOSED, "signed off"),
        (CloseCause.NETWORK_LOST, "lost the connection"),
        (CloseCause.KEEPALIVE_TIMEOUT, "lost the connection"),
    ],
)
def test_the_others_read_who_went_and_why(arrive: Arrive, cause: CloseCause, reason: str) -> None:
    ada, bob = arrive("Ada"), arrive("Bob")
    ada.received.clear()
    bob.goes(cause)
    (went,) = ada.received
    assert (went["type"], went["name"], went["cause"], went["reason"]) == ("went", "Bob", cause.value, reason)
    assert [person["name"] for person in arrive("Carl").received[0]["people"]] == ["Ada", "Carl"]


def test_who_never_said_hello_goes_unnoticed(arrive: Arrive) -> None:
    ada = arrive("Ada")
    ada.received.clear()
    arrive().goes(CloseCause.CLIENT_LEFT)
    assert ada.received == []
