"""The Sec-WebSocket-Extensions field (RFC 6455 section 9.1), read and written."""

from __future__ import annotations

import re
from typing import NamedTuple

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""RFC 9110 section 5.6.2, as a regular expression."""

_SPACE = r"[ \t]*"
_VALUE = rf'{TOKEN}|"(?:[^"\\]|\\.)*"'
_PARAMETER = rf"{_SPACE};{_SPACE}({TOKEN})(?:{_SPACE}={_SPACE}({_VALUE}))?"
_EXTENSION = re.compile(rf"({TOKEN})((?:{_PARAMETER})*)")
_PARAMETERS = re.compile(_PARAMETER)
_SEPARATORS = re.compile(r"[ \t,]*")
_END = re.compile(rf"{_SPACE}(?:,|\Z)")
_ESCAPED = re.compile(r"\\(.)")
_TOKEN = re.compile(TOKEN)


class Extension(NamedTuple):
    """One that is offered, or agreed on."""

    name: str
    parameters: list[tuple[str, str | None]]
    """In the order of the field; a parameter without a value has None."""

    def __str__(self) -> str:
        return "; ".join(
            [self.name, *(name if value is None else f"{name}={value}" for name, value in self.parameters)]
        )


def parse(field: str) -> list[Extension]:
    """Return what a field lists, in its order. Raises ValueError if it does not follow the grammar."""
    found = []
    at = _after(_SEPARATORS, field, 0)
    while at < len(field):
        extension = _EXTENSION.match(field, at)
        if extension is None or (end := _END.match(field, extension.end())) is None:
            raise ValueError(f"expected a list of extensions, found something else at character {at}")
        parameters = [(name, _unquote(value)) for name, value in _PARAMETERS.findall(extension[2])]
        found.append(Extension(extension[1], parameters))
        at = _after(_SEPARATORS, field, end.end())
    return found


def _after(pattern: re.Pattern[str], field: str, at: int) -> int:
    """Return where *pattern*, which matches nothing too, ends."""
    match = pattern.match(field, at)
    assert match is not None
    return match.end()


def _unquote(value: str) -> str | None:
    if not value:
        return None
    if value[0] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
        # "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
        if not _TOKEN.fullmatch(value):
            raise ValueError(f"expected a token in quotes, found {value!a}")
    return value
