"""A Forge's own modules in its own Python: a test runs a file of ours there, which makes them importable for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["become", "run_in"]


def run_in(kind: str, script: str, *arguments: str | Path) -> None:
    """Run a file of this folder in the Python of the Forge that FACEID_<kind>_DIR names; skip where none is named.

    It is given the checkout and the arguments, and has to end well.
    """
    import pytest  # which no Forge has

    checkout, python = os.environ.get(f"FACEID_{kind}_DIR"), os.environ.get(f"FACEID_{kind}_PYTHON")
    if not checkout:
        pytest.skip(f"FACEID_{kind}_DIR names no checkout: nothing of its own was tested")
    python = python or str(Path(checkout) / "venv" / "bin" / "python")
    command = [python, str(Path(__file__).with_name(script)), checkout, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def become(forge: str, *arguments: str) -> None:
    """Have a checkout's modules be found, as if it had been started with these arguments."""
    sys.argv = ["launch.py", *arguments]
    for folder in ("modules_forge/packages", "packages_3rdparty", ""):
        sys.path.insert(0, str(Path(forge) / folder))
