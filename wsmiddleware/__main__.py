"""``python -m wsmiddleware``, and the script ``wsmiddleware``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Ends with status 2 if click is missing."""
    try:
        from wsmiddleware.cli import main as command
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("wsmiddleware: click is missing. Please install it: pip install 'wsmiddleware[cli]'", file=sys.stderr)
        sys.exit(2)
    command(prog_name="wsmiddleware")


if __name__ == "__main__":
    main()
