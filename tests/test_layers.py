"""Imports point downward only. The table is the specification; the rest reads the source and compares."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "wsmiddleware"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("protocol",),
    ("exceptions", "environ"),
    ("loop",),
    ("servers",),
    ("session", "endpoint"),
    ("routing", "hub"),
    ("options",),
    ("middleware",),
    ("bench",),
    ("bayeux", "flask", "testing", "cli"),
    ("__main__",),
    ("",),
)
"""From the lowest to the highest; "" is the package itself, which collects the public names.

A name stands for a module or for a folder and all in it. A module may import from lower layers and from its own. Where
an import stands makes no difference: those inside functions and for type checkers only count like any other.
"""

SANS_IO = ("protocol", "routing", "hub.memory", "hub.types", "bayeux.protocol")
"""Modules and folders that compute and do nothing else: they cannot wait, connect or look at a clock."""

IO = frozenset(
    "asyncio gevent geventwebsocket greenlet select selectors socket socketserver ssl threading time".split()
)
"""What those do not import."""

LOCKS = ("wsmiddleware.routing",)
"""But these import threading, for a lock that nobody holds for long."""


class Import(NamedTuple):
    """*importer*, a module of the package, imports *target* in *line*. Both are full names."""

    importer: str
    target: str
    line: int


def modules_of(package: Path) -> dict[str, Path]:
    """Return the full name and the file of each module in a package's folder."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, path: Path, modules: dict[str, Path]) -> Iterator[Import]:
    """Yield every import in the file. ``from folder import name`` imports the module folder.name, if there is one."""
    own_package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = own_package.split(".")
                above = ancestors[: len(ancestors) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(module, inner if inner in modules else base, node.lineno)


def layer_of(module: str) -> int | None:
    """Return the number of the module's layer, None if it is in no layer."""
    name = module.partition(".")[2].partition(".")[0]
    return next((number for number, names in enumerate(LAYERS) if name in names), None)


def is_sans_io(module: str) -> bool:
    name = module.partition(".")[2]
    return any(name == known or name.startswith(known + ".") for known in SANS_IO)


def violations(package: Path) -> list[str]:
    """Return a sentence for each thing in the package that breaks a rule."""
    modules = modules_of(package)
    imports = [found for module, path in modules.items() for found in imports_of(module, path, modules)]
    inner = [found for found in imports if found.target.partition(".")[0] == package.name]
    return [
        *_without_a_layer(modules),
        *_to_nowhere(inner, modules),
        *_upward(inner),
        *_cycles(inner),
        *_io(imports),
    ]


def _without_a_layer(modules: dict[str, Path]) -> Iterator[str]:
    for module in modules:
        if layer_of(module) is None:
            yield f"{module} is in no layer: add it to LAYERS in tests/test_layers.py, above all that it imports"


def _to_nowhere(imports: list[Import], modules: dict[str, Path]) -> Iterator[str]:
    for importer, target, line in imports:
        if target not in modules:
            yield f"{importer}, line {line}: imports {target}, which does not exist"


def _upward(imports: list[Import]) -> Iterator[str]:
    for importer, target, line in imports:
        here, there = layer_of(importer), layer_of(target)
        if here is not None and there is not None and here < there:
            yield (
                f"{importer}, line {line}: imports {target}, which is above it; "
                f"expected only {', '.join(name for names in LAYERS[: here + 1] for name in names)}"
            )


def _cycles(imports: list[Import]) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for importer, target, _ in imports:
        graph.setdefault(importer, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"these import one another in a circle: {' <- '.join(error.args[1])}"


def _io(imports: list[Import]) -> Iterator[str]:
    for importer, target, line in imports:
        top = target.partition(".")[0]
        if is_sans_io(importer) and top in IO and not (top == "threading" and importer in LOCKS):
            yield f"{importer}, line {line}: imports {target}, but does no I/O (SANS_IO in tests/test_layers.py)"


def test_the_package_keeps_to_its_layers() -> None:
    assert len(modules_of(PACKAGE)) > 10, f"expected the package in {PACKAGE}"
    assert violations(PACKAGE) == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that keeps to the rules, with imports of all kinds."""
    files = {
        "__init__": "from wsmiddleware.middleware import Middleware",
        "protocol/__init__": "",
        "protocol/close": "import enum",
        "protocol/connection": "from . import close\nfrom .close import Close",
        "exceptions": "from .protocol.close import Close",
        "loop/__init__": "import gevent, time",
        "servers/__init__": "import wsmiddleware.loop",
        "servers/pywsgi": "import socket\nfrom wsmiddleware.protocol import connection",
        "session": "from wsmiddleware import exceptions",
        "endpoint": "def f():\n    from wsmiddleware.session import Session",
        "routing": "from wsmiddleware.endpoint import Endpoint\nimport werkzeug.routing",
        "middleware": "from wsmiddleware.routing import Routes\nfrom wsmiddleware.servers import find",
    }
    for name, source in files.items():
        path = tmp_path / "wsmiddleware" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return tmp_path / "wsmiddleware"


def test_a_package_that_keeps_to_them_has_no_violations(package: Path) -> None:
    assert violations(package) == []


UPWARD = "which is above it; expected only protocol, exceptions, environ, loop"


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        pytest.param("loop/epoll", "import wsmiddleware.session", UPWARD, id="upward"),
        pytest.param("loop/epoll", "from ..session import Session", UPWARD, id="upward, relative"),
        pytest.param("loop/epoll", "from wsmiddleware import Hub", UPWARD, id="upward, to the package itself"),
        pytest.param("loop/epoll", "from .. import servers", UPWARD, id="upward, to a folder, relative"),
        pytest.param("loop/epoll", "def f():\n    import wsmiddleware.session", UPWARD, id="upward, in a function"),
        pytest.param(
            "loop/epoll",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from wsmiddleware.session import Session",
            UPWARD,
            id="upward, for type checkers only",
        ),
        pytest.param(
            "session",
            "from wsmiddleware.endpoint import Endpoint",
            "import one another in a circle",
            id="a circle in one layer",
        ),
        pytest.param(
            "protocol/close",
            "def f():\n    from .connection import Connection",
            "import one another in a circle",
            id="a circle in one folder",
        ),
        pytest.param("protocol/close", "import time", "does no I/O", id="a clock in the protocol"),
        pytest.param("routing", "from gevent.lock import RLock", "does no I/O", id="gevent in the routing"),
        pytest.param("middleware", "import wsmiddleware.nothing", "which does not exist", id="no such module"),
        pytest.param("metrics", "", "in no layer: add it to LAYERS in tests/test_layers.py", id="no layer"),
    ],
)
def test_what_breaks_a_rule_is_named(package: Path, file: str, source: str, expected: str) -> None:
    (package / f"{file}.py").write_text(source, encoding="utf-8")
    found = violations(package)
    assert any(expected in sentence and file.replace("/", ".") in sentence for sentence in found), found
