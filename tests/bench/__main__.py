"""`python -m tests.bench`, which `python dev.py bench` runs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where tests find what they share

from bench.program import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
