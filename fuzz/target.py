"""What the guided run runs: ``python -m fuzz.target FOLDER [LIBFUZZER-OPTIONS] CORPUS...``.

FOLDER has the sanitized build. guided.py starts this, with the sanitizer preloaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from fuzz.builds import load_compiled, pure
from fuzz.checks import Checks


def main() -> None:
    """Fuzz until libFuzzer has enough; it ends the process."""
    _, folder, *arguments = sys.argv
    checks = Checks([load_compiled(Path(folder)), pure()])
    # When libFuzzer merges, it starts its own program anew, with a shell.
    name = f"{sys.executable} -m fuzz.target {folder}"
    atheris.Setup([name, *arguments], checks.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
