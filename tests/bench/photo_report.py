"""What bad photos cost, and whether the report knows: `python -m bench.photo_report` (in tests/) prints the tables.

The tables of docs/PHOTO_REPORT.md. The curves of lib_faceid/faces/report.py were fitted to the same photos.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.degrade import STEPS, degraded, spearman
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.face import Face, largest
from lib_faceid.faces.report import judge
from lib_faceid.pictures.photo import read_photo

__all__ = ["main"]

PORTRAITS = ("Chris.jpeg", "Luciano.png", "Paul.jpeg", "Paul2.jpeg", "astronaut.png", "Bryan.png")
GROUP, GROUP_FACES = "solvay_conference_1927.png", 4


@dataclass(frozen=True)
class Row:
    """One photo after one step. `cosine` is to the clean photo; nan where no face was found."""

    photo: int
    kind: str
    step: float
    cosine: float = float("nan")
    score: float = 0.0
    verdict: str = "no face"


def main() -> None:
    """Measure, and print the tables."""
    data = Path(os.environ.get("FACEID_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    analyser = load_face_analyser(data / "face_models/models/buffalo_sc_f32")
    photos = [read_photo(data / "photos" / name) for name in PORTRAITS]
    photos += _cut_out(read_photo(data / "photos" / GROUP), analyser)
    rows = [row for number, photo in enumerate(photos) for row in _rows(number, photo, analyser)]
    _print_steps(rows)
    found = [row for row in rows if row.cosine == row.cosine]
    say = sys.stdout.write
    say(f"\n{len(photos)} faces, {len(rows)} photos, {len(found)} with a face. Spearman of score and cosine: ")
    say(f"{spearman([row.score for row in found], [row.cosine for row in found]):.3f}\n\n")
    say("| verdict | photos | cosine |\n|---|---|---|\n")
    for verdict in ("good", "usable", "poor"):
        cosines = [row.cosine for row in found if row.verdict == verdict]
        low, middle, high = np.percentile(cosines, [5, 50, 95])
        say(f"| {verdict} | {len(cosines)} | {middle:.2f} (5 % below {low:.2f}, 5 % above {high:.2f}) |\n")
    _print_time(analyser)


def _rows(number: int, photo: np.ndarray, analyser: FaceAnalyser) -> list[Row]:
    clean = largest(analyser.detect(photo))
    report = judge(clean, photo)
    rows = [Row(number, "none", 0, 1.0, report.score, report.verdict)]
    for kind, steps in STEPS.items():
        for step in steps:
            if kind == "resize" and step >= clean.size_px:
                continue
            worse = degraded(photo, kind, step, clean.size_px)
            faces = analyser.detect(worse)
            if not faces:
                rows.append(Row(number, kind, step))
                continue
            face = largest(faces)
            report = judge(face, worse)
            rows.append(Row(number, kind, step, _cosine(face, clean), report.score, report.verdict))
    return rows


def _cosine(a: Face, b: Face) -> float:
    x, y = a.id_embedding, b.id_embedding
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def _cut_out(group: np.ndarray, analyser: FaceAnalyser) -> list[np.ndarray]:
    faces = sorted(analyser.detect(group), key=lambda face: -face.size_px)[:GROUP_FACES]
    cuts: list[np.ndarray] = []
    for face in faces:
        x0, y0, x1, y1 = (round(edge) for edge in face.box)
        border = (y1 - y0) // 2
        cuts.append(np.ascontiguousarray(group[max(0, y0 - border) : y1 + border, max(0, x0 - border) : x1 + border]))
    return cuts


def _print_steps(rows: list[Row]) -> None:
    say = sys.stdout.write
    say(
        "| degradation | step | found | mean cosine | lowest | mean score | verdicts |\n|---|---|---|---|---|---|---|\n"
    )
    for kind, step in dict.fromkeys((row.kind, row.step) for row in rows):
        group = [row for row in rows if (row.kind, row.step) == (kind, step)]
        found = [row for row in group if row.cosine == row.cosine]
        counts = [sum(row.verdict == verdict for row in found) for verdict in ("good", "usable", "poor")]
        cosines = [row.cosine for row in found] or [float("nan")]
        say(f"| {kind} | {step:g} | {len(found)} of {len(group)} | {np.mean(cosines):.2f} | {min(cosines):.2f} | ")
        say(f"{np.mean([row.score for row in found] or [0]):.2f} | {counts[0]} / {counts[1]} / {counts[2]} |\n")


def _print_time(analyser: FaceAnalyser) -> None:
    """The time of one new photo of a megapixel: the search, the embedding and the report."""
    photo = np.random.default_rng(0).integers(0, 9, (1000, 1000, 3), np.uint8)
    data = Path(os.environ.get("FACEID_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    portrait = read_photo(data / "photos" / "Luciano.png")
    photo[300:700, 300:700] = portrait
    seconds: list[float] = []
    for _ in range(10):
        began = time.perf_counter()
        judge(largest(analyser.detect(photo)), photo)
        seconds.append(time.perf_counter() - began)
    sys.stdout.write(f"\nOne new photo of a megapixel: {1000 * float(np.median(seconds)):.0f} ms (median of 10).\n")


if __name__ == "__main__":
    main()
