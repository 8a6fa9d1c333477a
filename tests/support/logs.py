"""What a test has logged, for fixtures that look when it is over."""

from __future__ import annotations

import logging
from typing import Literal

import pytest

PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")


def logged(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """Return what has been logged at *level* and above until now, by the test and by its fixtures.

    caplog's own lists begin anew with each phase: after the test they hold nothing of it.
    """
    records = [record for phase in PHASES for record in caplog.get_records(phase)]
    return [record.getMessage() for record in records if record.levelno >= level]
