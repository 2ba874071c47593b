"""What is usual for a checkpoint: the CFG scale it is drawn with, and the likeness that clean runs have where known."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

__all__ = ["usual_cfg", "usual_likeness"]

CFG = 7.0
FEW_STEPS = ("lightning", "turbo", "lcm", "hyper-", "hypersd", "hyper_sd", "schnell", "dmd")
"""What checkpoints that need four to eight steps have in their names."""
FEW_STEPS_CFG = 1.5
MINIATURE, MINIATURE_CFG, RANDOM_CFG = "miniature", 2.0, 4.0
MEASURED = Path(__file__).parents[1] / "data" / MINIATURE / "likeness.json"


def usual_cfg(checkpoint: str) -> float:
    """Return the CFG scale that a checkpoint of that name is usually drawn with."""
    name = checkpoint.lower()
    if name.startswith(MINIATURE):
        return MINIATURE_CFG if name == MINIATURE else RANDOM_CFG
    return FEW_STEPS_CFG if any(word in name for word in FEW_STEPS) else CFG


def usual_likeness(checkpoint: str) -> float | None:
    """Return the likeness of strangers at the default weight where it was measured: for the miniature; else None."""
    return _miniature() if checkpoint.lower() == MINIATURE else None


@lru_cache(maxsize=1)
def _miniature() -> float:
    return float(json.loads(MEASURED.read_text("utf-8"))["never_seen"]["0.8"])
