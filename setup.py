"""The extension modules, and nothing else: all that can be declared is in setup.cfg.

The hot path is compiled by Cython from the same .py files that run without it. Without a compiler, or with
WSMIDDLEWARE_PURE=1, the package is built without extension modules and runs all the same, slower.
WSMIDDLEWARE_COMPILED=1 makes a build that cannot compile fail.
"""

import os
from glob import glob

from setuptools import Extension, setup

# Compiled from .py with the .pxd of the same name.
MODULES = (
    "wsmiddleware/protocol/frames.py",
    "wsmiddleware/protocol/connection.py",
    "wsmiddleware/loop/member.py",
    "wsmiddleware/loop/streams.py",
    "wsmiddleware/loop/poller.py",
    "wsmiddleware/loop/loop.py",
    "wsmiddleware/loop/line.py",
    "wsmiddleware/loop/channel.py",
    "wsmiddleware/loop/callbacks.py",
    "wsmiddleware/loop/conversation.py",
    "wsmiddleware/session.py",
    "wsmiddleware/bench/bursts.py",
    "wsmiddleware/bench/latency.py",
    "wsmiddleware/bench/reader.py",
    "wsmiddleware/bench/connection.py",
    "wsmiddleware/bench/load.py",
    "wsmiddleware/bench/modes.py",
    # What only C can say. The .py of the same name says it for builds without it.
    "wsmiddleware/protocol/wire.pyx",
    "wsmiddleware/loop/system.pyx",
)

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "annotation_typing": False,  # Types are in the .pxd; annotations are for mypy.
}


def extensions() -> list[Extension]:
    if os.environ.get("WSMIDDLEWARE_PURE"):
        return []
    from Cython.Build import cythonize

    declarations = glob("wsmiddleware/**/*.pxd", recursive=True)
    found = [
        Extension(os.path.splitext(path)[0].replace("/", "."), [path], depends=declarations, extra_compile_args=["-O3"])
        for path in MODULES
    ]
    # force: Cython does not notice that a .pxd of a .py, or one that it refers to, has changed (cython issue 1428).
    built: list[Extension] = cythonize(
        found, compiler_directives=DIRECTIVES, build_dir="build/cython", force=True, quiet=True
    )
    for extension in built:
        # cythonize() loses it when it is said before.
        extension.optional = not os.environ.get("WSMIDDLEWARE_COMPILED")
    return built


setup(ext_modules=extensions())
