"""The tables that the search for a likeness is simulated on, recorded from the shipped miniature and its strangers.

`python -m bench.search_tables` in the folder `tests` writes both anew: `search_looks.json` (how alike the denoised
estimate is after some of the steps, and the picture at the end, for many people and seeds) and `search_weights.json`
(how alike a picture is at each identity weight). Both say on which weights of the miniature they were recorded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gallery import BLUE, Drawn, Gallery, strangers
from torch import Tensor

from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.miniature.trained import SHIPPED, TRAINED_ADAPTER, write_trained_checkpoint

__all__ = ["LOOKS_TABLE", "WEIGHTS_TABLE", "fingerprint", "record_looks", "record_weights"]

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
LOOKS_TABLE, WEIGHTS_TABLE = FOLDER / "search_looks.json", FOLDER / "search_weights.json"
STEPS, LOOKS = 20, (6, 8, 10, 12, 14)
PEOPLE, SEEDS, FIRST_SEED = 20, 16, 1000
WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 2.0)
CURVE_STEPS, CURVE_PEOPLE, CURVE_SEED, AT_ONCE = 10, 9, 7, 8


def fingerprint() -> str:
    """Return 12 digits of the SHA-256 of the miniature's weights."""
    digest = hashlib.sha256()
    for path in (SHIPPED / "unet.safetensors", SHIPPED / "vae.safetensors", TRAINED_ADAPTER):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def record_looks(folder: Path, checkpoint: Path, analyser: FaceAnalyser) -> Iterator[dict[str, Any]]:
    """Give how alike each person's estimates and finished picture are, by seed, the end last: after each person."""
    people = strangers("never_seen", PEOPLE)
    gallery = Gallery(folder, checkpoint, analyser, people, STEPS)
    found: dict[str, list[list[float]]] = {}
    for name, person in people.items():
        rows: list[list[float]] = []
        for first in range(FIRST_SEED, FIRST_SEED + SEEDS, AT_ONCE):
            with estimates(gallery, LOOKS) as seen:
                finished = gallery.draw([name] * AT_ONCE, range(first, first + AT_ONCE), [BLUE] * AT_ONCE)
            looks = [[likeness(one, person, analyser) for one in decoded(gallery, latents)] for latents in seen]
            ends = [one.likeness(person) for one in finished]
            rows += [[*map(float, row)] for row in zip(*looks, ends, strict=True)]
        found[name] = [[round(value, 4) for value in row] for row in rows]
        sys.stderr.write(f"{name}: mean {np.mean([row[-1] for row in rows]):.3f}\n")
        yield {"miniature": fingerprint(), "steps": STEPS, "looks": LOOKS, "first_seed": FIRST_SEED, "likeness": found}


def record_weights(folder: Path, checkpoint: Path, analyser: FaceAnalyser) -> Iterator[dict[str, Any]]:
    """Give how alike each person's picture of one seed is at each weight: after each few people."""
    people = strangers("never_seen", CURVE_PEOPLE)
    gallery = Gallery(folder, checkpoint, analyser, people, CURVE_STEPS)
    curves: dict[str, list[float]] = {}
    for first in range(0, len(people), 3):
        names = list(people)[first : first + 3]
        for weight in WEIGHTS:
            drawn = gallery.draw(names, [CURVE_SEED] * len(names), [BLUE] * len(names), weight=weight)
            for name, one in zip(names, drawn, strict=True):
                curves.setdefault(name, []).append(round(float(one.likeness(people[name])), 4))
        sys.stderr.write(f"{names[-1]}\n")
        yield {
            "miniature": fingerprint(),
            "steps": CURVE_STEPS,
            "seed": CURVE_SEED,
            "weights": WEIGHTS,
            "likeness": curves,
        }


@contextmanager
def estimates(gallery: Gallery, looks: Sequence[int]) -> Generator[list[Tensor]]:
    """Give the denoised estimates after these steps of what is drawn inside, as latents."""
    scheduler = gallery._pipeline._diffusers.scheduler
    step, seen, done = scheduler.step, list[Tensor](), [0]

    def kept(*args: Any, **more: Any) -> Any:
        result = step(*args, **more)
        done[0] += 1
        if done[0] in looks:
            seen.append(result[1])
        return result

    scheduler.step = kept
    try:
        yield seen
    finally:
        del scheduler.step


@torch.inference_mode()
def decoded(gallery: Gallery, latents: Tensor) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return the pictures of latents [B, 4, h, w]."""
    vae = gallery._pipeline._diffusers.vae
    pixels = (vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
    return list((pixels.permute(0, 2, 3, 1) * 255).round().byte().numpy())


def likeness(picture: np.ndarray[Any, np.dtype[np.uint8]], person: Any, analyser: FaceAnalyser) -> float:
    """Return how alike the largest face is; 0 without one."""
    return float(Drawn(picture, analyser.detect(picture)).likeness(person))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables anew."""
    parser = argparse.ArgumentParser(prog="python -m bench.search_tables", description=__doc__)
    parser.add_argument("--only", choices=("looks", "weights"), help="one of the two tables")
    options = parser.parse_args(argv)
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    with tempfile.TemporaryDirectory(prefix="faceid-search-") as name:
        checkpoint = write_trained_checkpoint(Path(name) / "miniature.safetensors")
        tables = {"looks": (LOOKS_TABLE, record_looks), "weights": (WEIGHTS_TABLE, record_weights)}
        for kind, (path, record) in tables.items():
            if options.only in (None, kind):
                for table in record(Path(name), checkpoint, analyser):  # so far: who stops it keeps what is there
                    path.write_text(json.dumps(table) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
