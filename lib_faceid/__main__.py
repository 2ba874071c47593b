"""`python -m lib_faceid`: see `lib_faceid.commands.cli`."""

from __future__ import annotations

import sys

from lib_faceid.commands.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
