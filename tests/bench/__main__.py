"""`python -m tests.bench`, which `python dev.py bench` runs."""

from __future__ import annotations

import sys

from bench.program import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
