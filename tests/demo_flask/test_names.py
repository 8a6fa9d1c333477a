"""Names of people and rooms: what is accepted, how it is tidied, what a refusal says."""

from __future__ import annotations

import pytest

from demo_flask.names import PERSON_LIMIT, ROOM_LIMIT, person_name, room_name


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("Ada", "Ada"),
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        ("Rene\u0301", "René"),  # composed, so that two spellings of one name are one
        ("👩‍🚀", "👩‍🚀"),  # joined by U+200D, which is a format character and allowed
        ("<b>", "<b>"),  # whoever shows it escapes it
    ],
)
def test_a_name_is_tidied(given: str, tidy: str) -> None:
    assert person_name(given) == tidy
    assert room_name(given) == tidy


@pytest.mark.parametrize("given", [None, 7, ["Ada"], {"name": "Ada"}, b"Ada"])
def test_a_name_is_a_text(given: object) -> None:
    with pytest.raises(ValueError, match="Your name is not a text"):
        person_name(given)


@pytest.mark.parametrize("given", ["", " ", "\n\t\u00a0"])
def test_a_name_is_not_empty(given: str) -> None:
    with pytest.raises(ValueError, match="Your name is empty"):
        person_name(given)


def test_a_name_at_the_limit_passes_and_one_character_more_does_not() -> None:
    assert person_name("a" * PERSON_LIMIT) == "a" * PERSON_LIMIT
    assert room_name("a" * ROOM_LIMIT) == "a" * ROOM_LIMIT
    with pytest.raises(ValueError, match="Your name has 33 characters. Please use at most 32"):
        person_name("a" * (PERSON_LIMIT + 1))
    with pytest.raises(ValueError, match="The room's name has 65 characters. Please use at most 64"):
        room_name("a" * (ROOM_LIMIT + 1))


@pytest.mark.parametrize("given", ["a\x00b", "a\x1bb", "a\x7fb", "a\ud800b"])
def test_a_name_can_be_shown(given: str) -> None:
    with pytest.raises(ValueError, match="cannot be shown"):
        person_name(given)


@pytest.mark.parametrize(("given", "problem"), [("a/b", "slash"), ("a\\b", "slash"), (".", "dots"), ("..", "dots")])
def test_a_room_is_one_segment_of_a_path(given: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        room_name(given)
