"""What may be a name: of a person, of a room. Pages and sockets ask here, so they agree."""

from __future__ import annotations

import unicodedata

PERSON_LIMIT = 32
"""Characters in a person's name: it has to fit in front of a message on a phone."""

ROOM_LIMIT = 64
"""Characters in a room's name: it has to fit in a heading and in a link people pass on."""


def person_name(text: object) -> str:
    """Return *text* as a person's name, with white space tidied. ValueError says what is wrong with it."""
    return _name(text, "Your name", PERSON_LIMIT)


def room_name(text: object) -> str:
    """Return *text* as a room's name, with white space tidied. ValueError says what is wrong with it.

    A room's name is one segment of a URL path, so it has no slash and is neither "." nor "..", which browsers resolve.
    """
    name = _name(text, "The room's name", ROOM_LIMIT)
    if "/" in name or "\\" in name:
        raise ValueError("The room's name contains a slash. Please use a name without one.")
    if name in (".", ".."):
        raise ValueError("The room's name consists of dots only. Please add a letter or a digit.")
    return name


def _name(text: object, what: str, limit: int) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{what} is not a text.")
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise ValueError(f"{what} is empty. Please enter at least one character.")
    if len(name) > limit:
        raise ValueError(f"{what} has {len(name)} characters. Please use at most {limit}.")
    # Control characters and lone surrogates: nobody can see or type them, and no page can show them.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError(f"{what} contains a character that cannot be shown. Please remove it.")
    return name
