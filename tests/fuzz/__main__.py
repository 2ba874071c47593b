"""`python -m tests.fuzz`, which `python dev.py fuzz` runs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where tests find what they share

from fuzz.program import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
