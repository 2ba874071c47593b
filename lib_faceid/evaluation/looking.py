"""Every picture of an evaluation looked at once by each judge; what was seen is kept, as vectors and no pixels."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib_faceid.encoders.clip_towers import ClipTowers
from lib_faceid.errors import NoFaceError
from lib_faceid.evaluation.formulas import Floats
from lib_faceid.evaluation.plan import ALONE, Cell, Lines, Plan
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.faces.face import Face
from lib_faceid.pictures.photo import read_photo

__all__ = ["Seen", "SeenFace", "look_at_people", "look_at_pictures", "match_pictures"]

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class SeenFace:
    """One face in a picture, left to right."""

    vector: Floats
    """[512], of unit length."""
    size_px: int


@dataclass(frozen=True, eq=False)
class Seen:
    """What is seen in one picture."""

    faces: tuple[SeenFace, ...]


def look_at_people(plan: Plan, judge: FaceAnalyser) -> dict[str, list[Floats]]:
    """Return the vectors of each person's photos, the reference first. Raises NoFaceError where that has no face.

    Other photos without a face are left out.
    """
    found: dict[str, list[Floats]] = {}
    for subject in plan.people:
        searched = [judge.search(read_photo(photo)) for photo in subject.photos]
        if not searched[0].faces:
            raise NoFaceError(
                f"No face was found in {subject.photos[0].name} of {subject.name}, the reference. Put a plain photo of "
                "the whole head first."
            )
        found[subject.name] = [_unit(largest(one.faces)) for one in searched if one.faces]
    return found


def look_at_pictures(drawn: Lines, out: Path, judge: FaceAnalyser, say: Say) -> dict[str, Seen]:
    """Return key -> faces of every picture; those that this judge has seen before are not opened."""
    lines = Lines(out / f"seen-{judge.recogniser}.jsonl")
    missing = [row for key, row in drawn.rows.items() if lines.rows.get(key, {}).get("sha256") != row["sha256"]]
    if missing:
        say(f"{judge.recogniser} looks at {len(missing)} pictures.")
    for row in missing:
        faces = judge.detect(read_photo(out / row["file"]))
        found = [{"vector": _packed(_unit(face)), "size_px": face.size_px} for face in faces]
        lines.add({"key": row["key"], "sha256": row["sha256"], "faces": found})
    return {
        key: Seen(tuple(SeenFace(_unpacked(face["vector"]), int(face["size_px"])) for face in row["faces"]))
        for key, row in lines.rows.items()
        if key in drawn.rows
    }


def match_pictures(plan: Plan, drawn: Lines, out: Path, towers: ClipTowers, say: Say) -> dict[str, dict[str, Any]]:
    """Return key -> CLIP's matches of every picture; those that were matched before are not opened."""
    lines = Lines(out / f"clip-{towers.name}.jsonl")
    matcher = _Matcher(plan, drawn, out, towers)
    missing = [row for key, row in drawn.rows.items() if lines.rows.get(key, {}).get("sha256") != row["sha256"]]
    if missing:
        say(f"{towers.name} matches {len(missing)} pictures.")
    for row in missing:
        lines.add({"key": row["key"], "sha256": row["sha256"], **matcher.match(row)})
    return lines.rows


class _Matcher:
    """Pictures, texts and photos as CLIP sees them, each of the latter two once."""

    def __init__(self, plan: Plan, drawn: Lines, out: Path, towers: ClipTowers) -> None:
        self._plan, self._drawn, self._out, self._towers = plan, drawn, out, towers
        self._texts: dict[str, Any] = {}
        self._photos: dict[Path, Any] = {}

    def match(self, row: Mapping[str, Any]) -> dict[str, float | None]:
        picture, text = self._photo(self._out / row["file"]), row["prompt"]
        if text not in self._texts:
            self._texts[text] = self._towers.texts([text])[0]
        photos = [self._photo(self._plan.subject(name).photos[0]) for name in row["people"] if self._is_known(name)]
        plain = self._drawn.rows.get(Cell(ALONE, (), text, row["seed"]).key) if row["adapter"] != ALONE else None
        return {
            "clip_text": _cosine(picture, self._texts[text]),
            "clip_photo": float(np.mean([_cosine(picture, photo) for photo in photos])) if photos else None,
            "clip_plain": None if plain is None else _cosine(picture, self._photo(self._out / plain["file"])),
        }

    def _is_known(self, name: str) -> bool:
        return any(subject.name == name for subject in self._plan.people)

    def _photo(self, path: Path) -> Any:
        if path not in self._photos:
            self._photos[path] = self._towers.pictures([read_photo(path)])[0]
        return self._photos[path]


def _cosine(first: Any, second: Any) -> float:
    return round(float(first @ second), 5)


def _unit(face: Face) -> Floats:
    vector = face.id_embedding.astype(np.float64)
    return vector / np.linalg.norm(vector)


def _packed(vector: Floats) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> Floats:
    vector = np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
    return vector / np.linalg.norm(vector)
