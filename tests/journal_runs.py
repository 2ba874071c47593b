"""Runs for the tests of the journal."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from lib_faceid.journal.run import Drawn, Run, UsedUnit
from lib_faceid.likeness.score import PictureScore, UnitScore

__all__ = ["run_of", "score_of"]


def score_of(*likenesses: float | None) -> dict[str, Any]:
    """The plain form of a picture's score: one likeness for each unit."""
    units = tuple(UnitScore(number, likeness) for number, likeness in enumerate(likenesses))
    faces = sum(one is not None for one in likenesses)
    return PictureScore("w600k_r50-4c06341c", units, faces, size_px=(512, 512)).as_dict()


def run_of(*people: str, likeness: float | None = 0.5, seed: int = 7, weight: float = 0.8, **more: Any) -> Run:
    """A run of these people, a unit each, with one picture."""
    units = tuple(
        UsedUnit(
            number,
            {"weight": weight, "adapter": "ip-adapter-faceid_sd15"},
            "ab" * 32,
            (sha256(name.encode()).hexdigest(),),
            (name,),
        )
        for number, name in enumerate(people)
    )
    pictures = (
        Drawn(seed, score_of(*[likeness] * max(len(people), 1)), f"/pictures/{seed}.png", "cd" * 32, "ef" * 32),
    )
    values: dict[str, Any] = {
        "prompt": "a portrait in a garden",
        "negative": "blurry",
        "settings": {"Steps": "20", "Sampler": "DDIM", "CFG scale": "7", "Seed": str(seed), "Size": "512x512"},
        "checkpoint": "v1-5",
        "versions": {"torch": "2.1.0"},
    }
    return Run(units=units, pictures=pictures, **(values | more))
