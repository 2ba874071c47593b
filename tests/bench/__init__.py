"""What is measured for the docs: `python dev.py bench`, or `python -m bench.NAME` in the folder `tests`."""

from __future__ import annotations

import sys
from pathlib import Path

__all__: list[str] = []

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # what tests share, and the package, wherever it is started
