"""The command line: `python -m hirescam`, and the console script `hirescam`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from . import _hirescam

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command that `args` are, without the program's name, and gives the exit code.

    >>> hirescam.__main__.main(["methods", "--json", "--help-me"])
    2
    """
    arguments = sys.argv[1:] if args is None else args
    if args is None:
        # No Python runs meanwhile that could be interrupted: the program ends as every other does.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _hirescam.main(["hirescam", *arguments])


if __name__ == "__main__":
    sys.exit(main())
