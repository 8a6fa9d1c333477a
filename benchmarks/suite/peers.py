"""What has to be built before peers can be measured: a virtual environment, the C floor, a certificate."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
REQUIREMENTS = BENCHMARKS / "requirements.txt"


def names() -> list[str]:
    """Return the distributions that peers need."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def environment(folder: Path) -> Path:
    """Make a virtual environment with all peers in *folder*, unless it is there; return its interpreter.

    Raises subprocess.CalledProcessError if something cannot be installed.
    """
    python = folder / "bin" / "python"
    # What was installed is known by what was asked for.
    stamp = folder / ".installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers in {folder}", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


@cache
def floor(name: str, folder: Path) -> Path:
    """Compile the C server *name* into *folder*, the first time; return the program.

    Raises subprocess.CalledProcessError if it does not compile, FileNotFoundError if there is no compiler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    subprocess.run(["cc", "-O2", "-o", program, BENCHMARKS / f"{name}.c"], check=True)
    return program


@cache
def certificate(python: Path, folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key in *folder* with the trustme of an interpreter, the first time; return both files.

    Raises subprocess.CalledProcessError if it has no trustme.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "trustme", "--quiet", "--dir", folder], check=True)
    return folder / "server.pem", folder / "server.key"
