"""How fast pictures came when some were drawn last, for the next estimate: one small file beside the saved people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_faceid.models.folders import Roots
from lib_faceid.whole_files import read_json, write_json

__all__ = ["keep_speed", "last_speed"]

MOST_KEPT = 50


def last_speed(roots: Roots, engine: str, checkpoint: str) -> tuple[float, int] | None:
    """Return work a second of one worker (`Picture.work`), and how many there were; None where none was kept."""
    found: Any = read_json(_file(roots)).get(_key(engine, checkpoint))
    try:
        return float(found["speed"]), int(found["workers"])
    except (KeyError, TypeError, ValueError):
        return None


def keep_speed(roots: Roots, engine: str, checkpoint: str, speed: float, workers: int) -> None:
    """Write down what was measured. A disk that refuses costs an estimate, no more."""
    kept = read_json(_file(roots))
    kept.pop(_key(engine, checkpoint), None)
    kept[_key(engine, checkpoint)] = {"speed": round(speed, 6), "workers": workers}
    newest = dict(list(kept.items())[-MOST_KEPT:])
    try:
        write_json(_file(roots), newest)
    except OSError:
        return


def _key(engine: str, checkpoint: str) -> str:
    return f"{engine}: {Path(checkpoint).stem}"


def _file(roots: Roots) -> Path:
    return roots.own / "faceid" / "batch_speed.json"
