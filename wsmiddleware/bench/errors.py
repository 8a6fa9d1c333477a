"""What a measurement can fail with."""

from __future__ import annotations


class BenchError(Exception):
    """Nothing could be measured. The text says what was expected, what was found, and what to do."""


class ReplyError(Exception):
    """A server has sent what it should not have: this connection has failed."""
