"""Routes: URL patterns, and what they lead to.

A pattern is a rule of werkzeug, "/chat", "/chat/<room>" or "/page/<int:number>", or a servlet's: "/chat/*" for a path
and all below it, "/*" for everything, "*.json" for an extension. Each path leads to the most specific pattern that
matches it. Patterns are compared segment by segment from the left, and in each segment

    literal text > a parameter > "*.json" > a parameter for several segments (<path:rest>) > "/*"

A slash at the end makes no difference, unless there is a pattern with it and one without. Slashes are not merged, and
nothing is ever redirected.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter, Map, MapAdapter, Rule

T = TypeVar("T")

_EXTENSION = re.compile(r"\*(\.[\w.-]+)")

MAX_REMEMBERED = 300
"""Characters of a path that is worth remembering: many clients come by the same few."""

_NONE: Mapping[str, object] = MappingProxyType({})
"""No parameters, for all of the many sessions that have none."""

_ROOT = "/_"
"""All rules and paths are put below this one. So "/*" becomes a path and all below it, like any other pattern that ends
so; and an empty path, and one that begins with two slashes, become paths like any other."""

_REST = "__rest"
"""The parameter in whose place the "*" stands. Nobody gets to see it."""

_compiling = threading.Lock()
"""werkzeug has Python parse code for each rule. Up to 3.11.7 and 3.12.1, threads that do so at once may find a
SystemError in place of what they parsed (CPython's issue 106905)."""


@dataclass(frozen=True)
class Match(Generic[T]):
    """Where a request leads."""

    target: T

    params: Mapping[str, object]
    """The values of the pattern's parameters, converted. Empty for servlet patterns."""

    script_name: str
    path_info: str
    """For "/chat/*", what SCRIPT_NAME and PATH_INFO are for an application that is mounted at /chat. Otherwise the
    request's own."""


class Routes(Generic[T]):
    """A table of patterns. Any number of threads may match, while one adds."""

    def __init__(self) -> None:
        self._table = _Table[T]({})

    def add(self, pattern: str, target: T) -> None:
        """Have *pattern* lead to *target*.

        Raises ValueError if it is there already, and if it is no pattern.
        """
        targets = self._table.targets
        if pattern in targets:
            raise ValueError(f"expected each URL pattern once, found {pattern!r} twice: remove one, or change its path")
        _compile([pattern])  # So that what is no pattern is refused here, and not when a request comes.
        self._table = _Table({**targets, pattern: target})

    def match(self, environ: Mapping[str, Any]) -> Match[T] | None:
        """Return where a request leads, None if nowhere. Only PATH_INFO counts. Raises nothing.

        In params, bytes of the path that are not UTF-8 are replaced (U+FFFD).
        """
        table = self._table
        path: str = environ.get("PATH_INFO", "")
        script: str = environ.get("SCRIPT_NAME", "")
        # The characters of an environ stand for bytes (PEP 3333).
        text = path.encode("latin-1", "replace").decode("utf-8", "replace")
        if len(text) <= MAX_REMEMBERED:
            found = table.remembered(text)
        else:
            found = table.match(text)
        if found is None:
            return None
        pattern, params = found
        if pattern.endswith("/*"):
            # By counting slashes, since decoding may have changed the length of all else.
            mounted_at = "/".join(path.split("/")[: pattern.count("/")])
            script, path = script + mounted_at, path[len(mounted_at) :]
        return Match(table.targets[pattern], dict(params) if params else _NONE, script, path)


class _Table(Generic[T]):
    """Patterns that do not change any more: werkzeug sorts in place, under the eyes of those who are matching."""

    def __init__(self, targets: dict[str, T]) -> None:
        self.targets = targets  # by pattern
        self.remembered = lru_cache(maxsize=100)(self.match)

    def match(self, path: str) -> tuple[str, dict[str, object]] | None:
        """Return the pattern that *path* matches, and its parameters; None if there is none."""
        try:
            pattern, params = self.rules.match(_ROOT + path)
        except (NotFound, ValueError):  # ValueError: a number of too many digits, in werkzeug before 3.1.9.
            return None
        return pattern, {name: value for name, value in params.items() if name != _REST}

    @cached_property
    def rules(self) -> MapAdapter:
        # Not before it is needed: one rule takes werkzeug a quarter of a millisecond. Two threads may both come here
        # first and make the same thing twice.
        return _compile(self.targets).bind("")


def parameters(pattern: str) -> frozenset[str]:
    """Return the names of a pattern's parameters. Raises ValueError if it is no pattern."""
    (rule,) = _compile([pattern]).iter_rules()
    return frozenset(rule.arguments - {_REST})


def _compile(patterns: Iterable[str]) -> Map:
    rules = Map(
        strict_slashes=False,
        merge_slashes=False,
        redirect_defaults=False,
        converters={"_below": _BelowConverter, "_ending": _EndingConverter},
    )
    with _compiling:
        for pattern in patterns:
            try:
                rules.add(_Rule(_translate(pattern), endpoint=pattern))
            except Exception as error:  # werkzeug raises many kinds, and all mean the same.
                raise ValueError(
                    'expected a URL pattern like "/chat", "/chat/<room>", "/page/<int:number>", "/chat/*" or "*.json", '
                    f"found {pattern!r}: {error}"
                ) from error
    rules.update()
    return rules


def _translate(pattern: str) -> str:
    """Return the werkzeug rule for a pattern."""
    extension = _EXTENSION.fullmatch(pattern)
    if extension:
        return f"{_ROOT}/<_ending('{extension[1]}'):{_REST}>"
    if not pattern.startswith("/"):
        raise ValueError('it begins neither with "/" nor with "*."')
    path = pattern.removesuffix("/*")
    if "*" in path:
        raise ValueError('a "*" can only be all of the last segment')
    if path == pattern:
        return _ROOT + path
    if "<" in path:
        raise ValueError('a pattern with a "*" has no parameters: use <path:rest> instead of the "*"')
    return f"{_ROOT}{path}<_below:{_REST}>"


class _Rule(Rule):
    def get_converter(
        self, variable_name: str, converter_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> BaseConverter:
        if variable_name in self.arguments:
            raise ValueError(f"it has two parameters of the name {variable_name!r}")
        converter = super().get_converter(variable_name, converter_name, args, kwargs)
        re.compile(converter.regex)  # werkzeug would not find a bad one before a request comes.
        return converter


class _BelowConverter(BaseConverter):
    """Matches nothing, or a slash and anything."""

    regex = r"(?s:(?:/.*)?)"
    part_isolating = False


class _EndingConverter(BaseConverter):
    """Matches anything with a certain ending, the more specific the longer that is."""

    part_isolating = False

    def __init__(self, map: Map, ending: str) -> None:
        super().__init__(map)
        self.regex = rf"(?s:.*){re.escape(ending)}"
        # More than a parameter (100) and less than one for several segments (200).
        self.weight = 200 - min(len(ending), 99)
