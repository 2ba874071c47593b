"""Does it pay to join several bad photos of one person? `python -m bench.joining` (in tests/) prints the table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bench.degrade import degraded
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.face import Face, largest
from lib_faceid.faces.report import judge
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.combining import mean_direction, relative_weights
from lib_faceid.references.joining import quality_weight

__all__ = ["share_of_wins"]

_Pool = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
NUMBERS = (3, 4, 6, 8)
TRIALS = 200


def share_of_wins(
    photos: Sequence[Path], analyser: FaceAnalyser, variants: int = 24, seed: int = 0
) -> dict[int, float]:
    """Return in how many trials N bad photos joined (as `join_photos` does) beat the best of them, for each N.

    A bad photo is the clean one tilted by up to 20 degrees, shrunk to a face of 80 to 112 px, made darker or brighter
    and saved as JPEG of quality 8 to 16. "Beats" means a larger cosine to the clean photo.
    """
    rng = np.random.default_rng(seed)
    pools = [_pool(read_photo(photo), analyser, variants, rng) for photo in photos]
    wins = dict.fromkeys(NUMBERS, 0)
    for trial in range(TRIALS):
        units, weights, cosines, clean = pools[trial % len(pools)]
        for number in NUMBERS:
            drawn = torch.from_numpy(rng.choice(len(units), number, replace=False))
            shares = relative_weights(weights[drawn].tolist(), number)
            joined = mean_direction(units[drawn], shares)
            wins[number] += bool(joined @ clean > cosines[drawn].max())
    return {number: won / TRIALS for number, won in wins.items()}


def _pool(clean_rgb: np.ndarray, analyser: FaceAnalyser, variants: int, rng: np.random.Generator) -> _Pool:
    """Return unit vectors, weights and cosines of some bad photos, and the clean one's unit vector."""
    clean = largest(analyser.detect(clean_rgb))
    units: list[torch.Tensor] = []
    weights: list[float] = []
    while len(units) < variants:
        image = degraded(clean_rgb, "rotate", rng.uniform(-20, 20), clean.size_px)
        image = degraded(image, "resize", rng.uniform(80, 112), clean.size_px)
        image = degraded(image, "gamma", float(np.exp(rng.uniform(-0.9, 0.9))), clean.size_px)
        image = degraded(image, "jpeg", rng.integers(8, 16), clean.size_px)
        if faces := analyser.detect(image):
            units.append(_unit(largest(faces)))
            weights.append(quality_weight(judge(largest(faces), image)))
    stacked = torch.stack(units)
    return stacked, torch.tensor(weights), stacked @ _unit(clean), _unit(clean)


def _unit(face: Face) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(face.id_embedding), dim=0)


def main() -> None:
    """Print the table for all portraits of the test data."""
    data = Path(os.environ.get("FACEID_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    analyser = load_face_analyser(data / "face_models/models/buffalo_sc_f32")
    names = ("Chris.jpeg", "Luciano.png", "Paul.jpeg", "Paul2.jpeg", "astronaut.png")
    for number, share in share_of_wins([data / "photos" / name for name in names], analyser).items():
        sys.stdout.write(f"{number} photos: {share:.1%}\n")


if __name__ == "__main__":
    main()
