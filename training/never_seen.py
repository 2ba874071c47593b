"""Strangers whom training never sees: their photos and embeddings, which ship with the project and its tests.

Two groups: blends of the parents whom training knows, and blends of parents whom it never had. Nobody is taken who
looks like somebody else of the group, or like a parent: in a test, the wrong person must be able to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from lib_faceid.faces.analyser import FaceAnalyser, largest
from training.people import Portrait
from training.strangers import parent_of
from training.world import stranger, take_photo

__all__ = ["NEVER_SEEN", "NEW_PARENTS", "NeverSeen", "find_never_seen", "write_never_seen"]

NEVER_SEEN, NEW_PARENTS = "never_seen", "new_parents"
ALIKE = 0.45  # the highest cosine that two photos of different people may have here
QUALITY = 92  # of the JPEG files
SEED = 0


@dataclass(frozen=True, eq=False)
class NeverSeen:
    """Somebody with a photo [256, 256, 3] and its raw embedding [512]."""

    name: str
    photo_rgb: NDArray[np.uint8]
    id_embedding: NDArray[np.float32]


def find_never_seen(group: str, parents: Sequence[Portrait], count: int, analyser: FaceAnalyser) -> Iterator[NeverSeen]:
    """Give people of a group, as the analyser sees them in their photos."""
    faces = [parent_of(portrait) for portrait in parents]
    taken = [_unit(portrait.face.id_embedding) for portrait in parents]
    index = found = 0
    while found < count:
        one = stranger(faces, group, index, SEED)
        photo_rgb, _ = take_photo(one, np.random.default_rng([SEED, index, *group.encode()]))
        photo_rgb = _as_written(photo_rgb)
        index += 1
        seen = analyser.detect(photo_rgb)
        if len(seen) != 1 or max(_unit(seen[0].id_embedding) @ other for other in taken) > ALIKE:
            continue
        taken.append(_unit(seen[0].id_embedding))
        yield NeverSeen(f"{group}_{found:02}", photo_rgb, largest(seen).id_embedding)
        found += 1


def write_never_seen(folder: Path, people: Sequence[NeverSeen], recogniser: str) -> None:
    """Write `<name>.jpg` for each, and `embeddings.safetensors`, whose metadata names the recogniser."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in people:
        (folder / f"{one.name}.jpg").write_bytes(_jpeg(one.photo_rgb))
    tensors = {one.name: torch.from_numpy(one.id_embedding) for one in people}
    save_file(tensors, folder / "embeddings.safetensors", metadata={"recogniser": recogniser})


def _jpeg(photo_rgb: NDArray[np.uint8]) -> bytes:
    _, data = cv2.imencode(".jpg", photo_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()


def _as_written(photo_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(_jpeg(photo_rgb), np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.linalg.norm(vector)
