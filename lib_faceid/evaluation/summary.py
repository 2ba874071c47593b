"""What came of it: one row of figures for each adapter and for the checkpoint alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median
from typing import Any

import numpy as np

from lib_faceid.evaluation.formulas import (
    Floats,
    Place,
    copy_paste,
    counted,
    greedy_lowest,
    leave_one_out,
    place,
    summary_of,
    variety,
)
from lib_faceid.evaluation.looking import Seen, SeenFace
from lib_faceid.evaluation.plan import ALONE, Plan
from lib_faceid.evaluation.protocols import Protocol

__all__ = ["Figures", "People", "figures_of", "people_of"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class People:
    """The people as the judge sees their photos."""

    vectors: Mapping[str, Sequence[Floats]]
    """Of each photo, the reference first."""
    own: tuple[float, ...]
    """The likeness of each photo to the other photos of its person."""
    strangers: tuple[float, ...]
    """The likeness of the references of each two people."""

    @property
    def names(self) -> list[str]:
        """Everybody."""
        return list(self.vectors)

    def alike(self, face: Floats) -> Floats:
        """Return the likeness of a face to everybody's reference, [people]."""
        return np.array([float(face @ photos[0]) for photos in self.vectors.values()])


@dataclass(frozen=True)
class Figures:
    """One adapter's row. All are None where nothing was there to measure."""

    adapter: str
    pictures: int
    face: float | None = None
    """Mean face similarity by the protocol's rules, as are the median and the lowest."""
    face_median: float | None = None
    face_lowest: float | None = None
    rank_1: float | None = None
    """How often the person who was asked for is the most alike of all."""
    not_found: float | None = None
    """The fraction of the pictures with fewer faces than people who were asked for."""
    place: Place | None = None
    variety: float | None = None
    """The mean likeness between two seeds of one person and prompt."""
    truth: float | None = None
    """The mean likeness to the second photo, where people have one."""
    copy_paste: float | None = None
    clip_text: float | None = None
    """100 times the cosine, as published tables have it."""
    clip_photo: float | None = None
    clip_plain: float | None = None
    seconds: float | None = None
    """The median for a picture."""
    memory_mib: int | None = None
    by_person: Mapping[str, float] = field(default_factory=dict[str, float])

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()}


def people_of(vectors: Mapping[str, Sequence[Floats]]) -> People:
    """Return the people with how alike their photos are, to their own and to strangers'."""
    references = [photos[0] for photos in vectors.values()]
    strangers = [float(references[i] @ references[j]) for i in range(len(references)) for j in range(i)]
    own = [value for photos in vectors.values() for value in leave_one_out(photos)]
    return People(vectors, tuple(own), tuple(strangers))


def figures_of(
    plan: Plan, adapter: str, rows: Sequence[Row], seen: Mapping[str, Seen], people: People, clip: Mapping[str, Row]
) -> Figures:
    """Return the figures of an adapter, from the rows of all pictures, their faces and CLIP's matches."""
    own = [row for row in rows if row["adapter"] == adapter and row["key"] in seen]
    judged = [row for row in own if _is_for_faces(plan, row)]
    similar = [_similar(plan.protocol, row, seen[row["key"]].faces, people) for row in judged]
    values = [value for one in similar for value in one]
    faces = summary_of(values)
    is_alone = adapter == ALONE
    by_person = {} if is_alone or plan.protocol.at_once > 1 else _by_person(judged, similar)
    return Figures(
        adapter=adapter,
        pictures=len(own),
        face=faces["mean"],
        face_median=faces["median"],
        face_lowest=faces["lowest"],
        rank_1=None if is_alone or plan.protocol.at_once > 1 else _rank_1(judged, seen, people, plan.protocol),
        not_found=_mean([float(len(seen[row["key"]].faces) < max(len(row["people"]), 1)) for row in judged]),
        place=place(faces["mean"], people.own, people.strangers),
        variety=_variety(judged, seen, people, plan.protocol),
        **({} if is_alone else _truth(judged, seen, people, plan.protocol)),
        clip_text=_clip(own, clip, "clip_text", 100),
        clip_photo=_clip(own, clip, "clip_photo"),
        clip_plain=_clip(own, clip, "clip_plain"),
        seconds=median(float(row["seconds"]) for row in own) if own else None,
        memory_mib=max((row["memory_mib"] for row in own if row["memory_mib"]), default=None),
        by_person=by_person,
    )


def _is_for_faces(plan: Plan, row: Row) -> bool:
    """Say whether a picture counts for face similarity: with a protocol's own prompts, where it has any."""
    own = {subject.prompt(text) for subject in plan.people for text in plan.protocol.prompts}
    return not own or row["prompt"] in own


def _similar(protocol: Protocol, row: Row, faces: Sequence[SeenFace], people: People) -> list[float | None]:
    """Return what a picture counts: one value, or of the checkpoint alone one for each person."""
    if row["people"]:
        asked = [people.vectors[name][0] for name in row["people"] if name in people.vectors]
        if len(asked) < len(row["people"]):
            return []  # of somebody who is not asked for any more
        found = _of_several(asked, faces) if len(asked) > 1 else _of_one(asked[0], faces, protocol)
        return [_counted(found, protocol)]
    return [_counted(_of_one(photos[0], faces, protocol), protocol) for photos in people.vectors.values()]


def _of_one(reference: Floats, faces: Sequence[SeenFace], protocol: Protocol) -> float | None:
    face = _face(reference, faces, protocol)
    return None if face is None else float(reference @ face.vector)


def _of_several(asked: Sequence[Floats], faces: Sequence[SeenFace]) -> float | None:
    return greedy_lowest(
        np.array([[float(one @ face.vector) for face in faces] for one in asked]).reshape(len(asked), -1)
    )


def _face(reference: Floats, faces: Sequence[SeenFace], protocol: Protocol) -> SeenFace | None:
    """Return the face that counts."""
    if not faces:
        return None
    if protocol.face == "first":
        return faces[0]
    return max(faces, key=lambda one: float(reference @ one.vector))


def _counted(similarity: float | None, protocol: Protocol) -> float | None:
    return counted(similarity, is_absent_zero=protocol.absent == "zero", is_negative_zero=protocol.is_negative_zero)


def _by_person(rows: Sequence[Row], similar: Sequence[Sequence[float | None]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row, values in zip(rows, similar, strict=True):
        found.setdefault(row["people"][0], []).extend(value for value in values if value is not None)
    return {name: round(mean(values), 4) for name, values in found.items() if values}


def _own_faces(
    rows: Sequence[Row], seen: Mapping[str, Seen], people: People, protocol: Protocol
) -> list[tuple[Row, str, Floats]]:
    """Return row, person and the face that counts of each picture of one person that has one."""
    found: list[tuple[Row, str, Floats]] = []
    for row in rows:
        name = row["people"][0] if len(row["people"]) == 1 else ""
        if name in people.vectors:
            face = _face(people.vectors[name][0], seen[row["key"]].faces, protocol)
            found += [(row, name, face.vector)] if face else []
    return found


def _rank_1(rows: Sequence[Row], seen: Mapping[str, Seen], people: People, protocol: Protocol) -> float | None:
    faces = _own_faces(rows, seen, people, protocol)
    asked = [row for row in rows if len(row["people"]) == 1 and row["people"][0] in people.vectors]
    firsts = sum(people.names[int(people.alike(face).argmax())] == name for _, name, face in faces)
    return firsts / len(asked) if asked else None


def _variety(rows: Sequence[Row], seen: Mapping[str, Seen], people: People, protocol: Protocol) -> float | None:
    groups: dict[tuple[str, str], list[Floats]] = {}
    for row, name, face in _own_faces(rows, seen, people, protocol):
        groups.setdefault((name, row["prompt"]), []).append(face)
    for row in rows:
        if not row["people"] and (faces := seen[row["key"]].faces):
            groups.setdefault(("", row["prompt"]), []).append(max(faces, key=lambda one: one.size_px).vector)
    return _mean([value for faces in groups.values() if (value := variety(faces)) is not None])


def _truth(rows: Sequence[Row], seen: Mapping[str, Seen], people: People, protocol: Protocol) -> dict[str, Any]:
    faces = [one for one in _own_faces(rows, seen, people, protocol) if len(people.vectors[one[1]]) > 1]
    photos = [(face, people.vectors[name]) for _, name, face in faces]
    copies = [found for face, own in photos if (found := copy_paste(face, own[0], own[1])) is not None]
    return {"truth": _mean([float(face @ own[1]) for face, own in photos]), "copy_paste": _mean(copies)}


def _clip(rows: Sequence[Row], clip: Mapping[str, Row], name: str, times: float = 1) -> float | None:
    values = [clip[row["key"]].get(name) for row in rows if row["key"] in clip]
    return _mean([times * float(value) for value in values if value is not None])


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None
