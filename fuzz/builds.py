"""Our builds, side by side in one process: the Python source, and compiled ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import wsmiddleware
import wsmiddleware.protocol.connection
import wsmiddleware.protocol.deflate
import wsmiddleware.protocol.wire

ROOT = Path(__file__).parents[1]

FOLDER = ROOT / "build" / "fuzz"
"""Where builds for fuzzing are made. Never in place: a compiled module would hide later edits of its source."""

_PACKAGE = "wsmiddleware"
_PROTOCOL = "wsmiddleware.protocol"
_SOURCE = Path(wsmiddleware.__file__).parent / "protocol"

_SOURCES = ("*.py", "*.pyx", "*.pxd")

_SOURCE_LOADER = (SourceFileLoader, SOURCE_SUFFIXES)
_EXTENSION_LOADER = (ExtensionFileLoader, EXTENSION_SUFFIXES)


class Build:
    """One build of wsmiddleware.protocol."""

    def __init__(self, name: str, modules: dict[str, ModuleType]) -> None:
        """*modules* are wsmiddleware.protocol's, by their full names."""
        self.name = name
        connection = modules[f"{_PROTOCOL}.connection"]
        self.classes: Any = SimpleNamespace(
            **{kind: getattr(connection, kind) for kind in ("Connection", "Ping", "Pong", "Close", "Failed")}
        )
        self._deflate: Any = modules[f"{_PROTOCOL}.deflate"]
        self.is_compiled = not str(modules[f"{_PROTOCOL}.wire"].__file__).endswith(".py")

    def new_connection(self, limit: int, bits: int, takeover: bool) -> Any:
        """Return a server's end. *limit* is in bytes of a message; *bits* is the client's window, 0: no compression."""
        deflate = None
        if bits:
            deflate = self._deflate.Deflate(out_takeover=False, out_bits=15, in_takeover=takeover, in_bits=bits)
        return self.classes.Connection(max_message_size=limit, deflate=deflate)


def installed() -> Build:
    """Return the build that everybody imports, compiled or not."""
    name = "pure" if str(wsmiddleware.protocol.wire.__file__).endswith(".py") else "compiled"
    return Build(name, dict(sys.modules))


def pure() -> Build:
    """Return the Python source of what is installed."""
    build = installed()
    return _load("pure", FileFinder(str(_SOURCE), _SOURCE_LOADER)) if build.is_compiled else build


def compiled() -> Build:
    """Return the compiled build: the installed one, or else one that is made in FOLDER. Needs a C compiler then."""
    build = installed()
    return build if build.is_compiled else load_compiled(make("compiled"))


def load_compiled(folder: Path) -> Build:
    """Return the build that make() has put into *folder*. A process can do this once: C modules have one copy."""
    extensions = FileFinder(str(folder / "wsmiddleware" / "protocol"), _EXTENSION_LOADER)
    build = _load(folder.name, extensions, FileFinder(str(_SOURCE), _SOURCE_LOADER))
    if not build.is_compiled:
        raise ImportError(f"expected compiled modules in {folder}, found none for this Python: run 'make clean'")
    return build


def make(name: str, **variables: str) -> Path:
    """Compile the package of this checkout with setup.py, unless that is done; return the folder.

    *variables* are for the environment of the compiler. Raises RuntimeError with what the compiler says.
    """
    folder = FOLDER / name
    done = folder / f"made-{sys.implementation.cache_tag}"
    sources = [ROOT / "setup.py", *(path for end in _SOURCES for path in (ROOT / _PACKAGE).rglob(end))]
    if done.exists() and done.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return folder
    print(f"Compiling the build {name!r} ...", file=sys.stderr)
    options = ["--build-lib", str(folder), "--build-temp", str(folder / "objects")]
    compiling = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", *options],
        cwd=ROOT,
        env={**os.environ, "WSMIDDLEWARE_PURE": "", "WSMIDDLEWARE_COMPILED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if compiling.returncode:
        raise RuntimeError(f"expected setup.py to compile the package, found that it failed:\n{compiling.stdout}")
    done.touch()
    return folder


class _Finder:
    """Finds the modules of wsmiddleware.protocol in given folders, and no others."""

    def __init__(self, *finders: FileFinder) -> None:
        self._finders = finders

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not name.startswith(_PROTOCOL + "."):
            return None
        return next((spec for finder in self._finders if (spec := finder.find_spec(name))), None)


def _load(name: str, *finders: FileFinder) -> Build:
    with _set_aside():
        for package in (_PACKAGE, _PROTOCOL):
            module = ModuleType(package)
            module.__path__ = []
            sys.modules[package] = module
        finder = _Finder(*finders)
        sys.meta_path.insert(0, finder)
        try:
            import_module(f"{_PROTOCOL}.connection")
            return Build(name, dict(sys.modules))
        finally:
            sys.meta_path.remove(finder)


@contextmanager
def _set_aside() -> Iterator[None]:
    """Hide what has been imported of the package, and bring it back."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == _PACKAGE}
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]
        sys.modules.update(before)
