"""Programs that run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TIMEOUT = 20
"""Seconds after which a program is given up that takes one or two."""

BEGINNING = f"""
import sys
sys.path.append({str(ROOT)!r})  # last, as in tests/conftest.py
"""


def run(program: str, *arguments: str, folder: Path) -> str:
    """Run *program* in *folder*; return what it has printed. It must succeed, and have nothing to complain about."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGINNING + program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            printed, complaints = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, complaints = process.communicate()
            raise AssertionError(f"the program hangs: {printed}{complaints}") from None
    assert (process.returncode, complaints) == (0, ""), printed + complaints
    return printed
