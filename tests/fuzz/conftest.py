"""Our builds, as far as they are here."""

from __future__ import annotations

import pytest

from fuzz import builds


@pytest.fixture(scope="session")
def ours() -> list[builds.Build]:
    """Always the source, and what is installed if that is compiled."""
    installed = builds.installed()
    return [builds.pure(), installed] if installed.is_compiled else [installed]
