"""Scores computed without a line of ours: insightface's own program looks at saved pictures.

`python scored_by_insightface.py FACE_MODELS PEOPLE.npz PICTURE...` writes, as JSON, for each picture the faces that are
found: the middle of the box in fractions of the picture, and the cosine to each person of the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from insightface.app import FaceAnalysis
from PIL import Image

if __name__ == "__main__":
    pack, people_file, *pictures = map(Path, sys.argv[1:])
    people = dict(np.load(people_file))
    app = FaceAnalysis(pack.name, str(pack.parents[1]), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    found = []
    for picture in pictures:
        pixels = np.asarray(Image.open(picture).convert("RGB"))
        height, width = pixels.shape[:2]
        found.append(
            [
                {
                    "x": float(face.bbox[0] + face.bbox[2]) / 2 / width,
                    "y": float(face.bbox[1] + face.bbox[3]) / 2 / height,
                    "cosines": {
                        name: float(face.embedding @ one / np.linalg.norm(face.embedding) / np.linalg.norm(one))
                        for name, one in people.items()
                    },
                }
                for face in app.get(np.ascontiguousarray(pixels[:, :, ::-1]))
            ]
        )
    sys.stdout.write("\n" + json.dumps(found))
