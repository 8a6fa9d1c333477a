"""The guided run: libFuzzer, by atheris, on a build with AddressSanitizer that tells which code is reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from fuzz.builds import FOLDER, ROOT, make

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that together reach what is known to be reachable. Kept in git."""

FOUND = FOLDER / "found"
"""Inputs of this machine's runs that reached something new, until ``--keep`` puts the best into CORPUS."""

BROKEN = FOLDER / "broken"
"""Inputs that broke a rule."""

MAX_SIZE = 400
"""Bytes of an input."""

_FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,fuzzer-no-link"
# Python frees little at its end; and each bytes object is to be memory of its own, with nothing readable behind it.
_ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "PYTHONMALLOC": "malloc"}


class Unable(Exception):
    """Something is missing on this machine."""


class Broken(Exception):
    """An input broke a rule, or memory."""


def corpus() -> list[Path]:
    """Return the files of the corpus."""
    return sorted(CORPUS.iterdir())


def run(seconds: int, keep: bool) -> None:
    """Fuzz for some *seconds*; then, with *keep*, renew the corpus. Raises Unable and Broken."""
    sanitizer = _sanitizer()
    folder = make("sanitized", CC="clang", LDSHARED="clang -shared", CFLAGS=_FLAGS)
    for needed in (FOUND, BROKEN):
        needed.mkdir(parents=True, exist_ok=True)
    known = set(BROKEN.iterdir())
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_SIZE}", "-timeout=10", f"-artifact_prefix={BROKEN}/"]
    status = _target(folder, sanitizer, *options, "-print_final_stats=1", str(FOUND), str(CORPUS))
    if status:
        broken = sorted(set(BROKEN.iterdir()) - known)
        shown = [f"{file.read_bytes().hex()}\n  python -m fuzz replay {file.relative_to(ROOT)}" for file in broken]
        raise Broken("\n".join(["The guided run has found an input that breaks a rule (see above):", *shown]))
    if keep:
        _renew(folder, sanitizer)


def _sanitizer() -> Path:
    """Return the library to preload, AddressSanitizer with libFuzzer, which is part of atheris."""
    if shutil.which("clang") is None:
        raise Unable("The guided run needs clang, which was not found on PATH (Debian, Ubuntu: apt-get install clang).")
    atheris = find_spec("atheris")
    if atheris is None or atheris.origin is None:
        raise Unable(
            "The guided run needs atheris, which is not installed for this Python: pip install -e '.[fuzz]', "
            "with a Python that atheris has a wheel for (setup.cfg, extra 'fuzz')."
        )
    library = Path(atheris.origin).parents[1] / "asan_with_fuzzer.so"
    if not library.exists():
        raise Unable(f"The guided run needs {library.name}, which atheris' wheels for Linux bring; found none.")
    return library


def _target(folder: Path, sanitizer: Path, *arguments: str) -> int:
    """Run target.py; return its status."""
    return subprocess.run(
        [sys.executable, "-m", "fuzz.target", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **_ENVIRONMENT, "LD_PRELOAD": str(sanitizer)},
    ).returncode


def _renew(folder: Path, sanitizer: Path) -> None:
    """Replace the corpus by the smallest inputs, of it and of what was found, that reach as much."""
    fresh = FOLDER / "corpus"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    status = _target(folder, sanitizer, "-merge=1", str(fresh), str(CORPUS), str(FOUND))
    if status or not any(fresh.iterdir()):
        raise Broken("Expected the corpus to be merged, found that it was not (see above); it is as it was.")
    shutil.rmtree(CORPUS)
    shutil.copytree(fresh, CORPUS)
    shutil.rmtree(FOUND)
