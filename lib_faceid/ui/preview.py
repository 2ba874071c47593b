"""What will be used of a photo, before anything is drawn: its faces with numbers, the exact crop, verdict and hints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lib_faceid.encoders.crops import Crop
from lib_faceid.encoders.crops import crop as crop_of
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import ClipSees, clip_crop
from lib_faceid.faces.face import largest, no_face_sentence
from lib_faceid.pictures.photo import decode_base64, read_photo
from lib_faceid.references.analysis import AnalysedFace, AnalysedPhoto, analyse, analyse_box
from lib_faceid.references.combining import SAME_PERSON, likeness_to_rest
from lib_faceid.references.face_choice import WhichFace
from lib_faceid.ui.boxes import THUMBNAIL_PX, with_boxes
from lib_faceid.units.region import Box, which_face
from lib_faceid.units.unit import AUTO, Purpose

__all__ = ["FaceSeen", "Preview", "View", "people_in", "preview", "preview_image", "strangers", "thumbnail"]

FACE_PX = 112
MUCH_LONGER = 1.3  # than the shorter side: what a square cuts off may matter


class View(NamedTuple):
    """The fields of a unit that decide what is used of its photos."""

    purpose: Purpose = "person"
    face: str = "largest"
    clip_crop: str = "face"
    image_crop: str = AUTO
    adapter: str = AUTO
    variant: str = AUTO


@dataclass(frozen=True, eq=False)
class FaceSeen:
    """One of several faces in a photo."""

    number: int
    """From 1: left to right, then top to bottom."""
    crop: Image.Image
    """The face as a recogniser sees it, 112x112."""
    verdict: str
    """In one or two words."""


@dataclass(frozen=True, eq=False)
class Preview:
    """One photo, looked at."""

    image: Image.Image
    """The photo, made smaller, with a box around each face, the face's number and its score."""
    num_faces: int
    number: int | None
    """Of the face that will be used, from 1; None where there is none."""
    verdict: str
    """In one or two words."""
    facts: str
    """Size and score of the face."""
    hints: tuple[str, ...]
    """What is wrong and what to do, the worst first."""
    crop: Image.Image | None = None
    """What the networks see of it."""
    id_embedding: Tensor | None = None
    """[512]"""
    faces: tuple[FaceSeen, ...] = ()
    """All of them, where there are several."""
    score: float = 0.0
    """How good the photo is, 0 to 1."""
    recogniser: str = ""
    """What made the embedding."""


def preview(text: str, analyser: FaceAnalyser, face: str = "largest", sees: ClipSees = "face") -> Preview:
    """Return what will be used of a photo in base64: the face named by the unit's field `face`.

    Raises PhotoError for text that is no picture, UnitError for a field that names no face.
    """
    which = which_face(face)
    image_rgb = read_photo(decode_base64(text))
    is_marked = isinstance(which, Box)
    photo = analyse_box(image_rgb, which, analyser) if is_marked else analyse(image_rgb, analyser)
    number = _number_of(which, photo.faces)
    image, faces = with_boxes(image_rgb, [one.box for one in photo.faces], number), _faces(image_rgb, photo)
    if number is None:
        return Preview(image, len(photo.faces), None, "no face", "", (_why_none(face, photo),), faces=faces)
    chosen = photo.faces[number - 1]
    measures, report = chosen.report.measures, chosen.report
    of_how_many = f"face {number} of {len(photo.faces)}, " if len(photo.faces) > 1 else ""
    return Preview(
        image=image,
        num_faces=len(photo.faces),
        number=number,
        verdict=f"{report.verdict} ({report.score:.2f})",
        facts=f"{of_how_many}{measures.size_px} px, {_score(chosen)}",
        hints=tuple(f"{reason[:1].upper()}{reason[1:]}." for reason in report.reasons),
        crop=Image.fromarray(clip_crop(image_rgb, chosen.points, sees)),
        id_embedding=chosen.id_embedding,
        faces=faces,
        score=report.score,
        recogniser=analyser.recogniser,
    )


def preview_image(text: str, crop: Crop, analyser: Callable[[], FaceAnalyser]) -> Preview:
    """Return what an image encoder will see of an image in base64. analyser: asked for the crop "face" alone.

    Raises PhotoError for text that is no picture.
    """
    image_rgb = read_photo(decode_base64(text))
    image = Image.fromarray(image_rgb)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    size = f"{image_rgb.shape[1]}x{image_rgb.shape[0]} px"
    faces = [face.box for face in analyse(image_rgb, analyser()).faces] if crop == "face" else []
    if crop == "face" and not faces:
        return Preview(
            image, 0, None, "no face", size, ("The crop is a face, and there is none. Choose another crop.",)
        )
    shorter, longer = sorted(image_rgb.shape[:2])
    cut = ("What is beside the square is not seen. The crop 'padded' shows all of it.",)
    hints = cut if crop == "square" and longer > MUCH_LONGER * shorter else ()
    seen = Image.fromarray(crop_of(image_rgb, crop, faces))
    return Preview(image, len(faces), None, crop, size, hints, seen)


def thumbnail(text: str) -> Image.Image:
    """Return a photo in base64, made smaller. Raises PhotoError for text that is no picture."""
    image = Image.fromarray(read_photo(decode_base64(text)))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return image


def people_in(previews: Sequence[Preview | None]) -> list[list[int]]:
    """Return the photos of each person, by their places; a photo without a face goes with the first person."""
    people: list[tuple[Tensor | None, list[int]]] = []
    for index, one in enumerate(previews):
        seen = one.id_embedding if one else None
        alike = (group for known, group in people if seen is None or known is None or _is_same(known, seen))
        group = next(alike, None)
        if group is None:
            people.append((seen, [index]))
        else:
            group.append(index)
    return [group for _, group in people]


def _is_same(one: Tensor, other: Tensor) -> bool:
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0)) >= SAME_PERSON


def strangers(previews: Sequence[Preview | None]) -> dict[int, str]:
    """Return index -> sentence for the photos that show somebody else than the others."""
    known = [(index, one.id_embedding) for index, one in enumerate(previews) if one and one.id_embedding is not None]
    if len(known) < 2:
        return {}
    units = torch.nn.functional.normalize(torch.stack([embedding for _, embedding in known]), dim=1)
    likeness = [float(cosine) for cosine in likeness_to_rest(units)]
    return {
        index: f"It looks like another person than the {'rest' if len(known) > 2 else 'other photo'} "
        f"(cosine {cosine:.2f}). Take it out, or choose another face in it."
        for (index, _), cosine in zip(known, likeness, strict=True)
        if cosine < SAME_PERSON
    }


def _faces(image_rgb: NDArray[np.uint8], photo: AnalysedPhoto) -> tuple[FaceSeen, ...]:
    if len(photo.faces) < 2:
        return ()
    return tuple(
        FaceSeen(
            number,
            Image.fromarray(clip_crop(image_rgb, face.points, "face")).resize((FACE_PX, FACE_PX)),
            f"{face.report.verdict} ({face.report.score:.2f})",
        )
        for number, face in enumerate(photo.faces, 1)
    )


def _number_of(which: WhichFace, faces: Sequence[AnalysedFace]) -> int | None:
    if isinstance(which, int):
        return which if which <= len(faces) else None
    return faces.index(largest(faces)) + 1 if faces else None


def _why_none(face: str, photo: AnalysedPhoto) -> str:
    if not photo.faces:
        return no_face_sentence("it", "", photo.size_px, photo.best_score)
    are = "is 1 face" if len(photo.faces) == 1 else f"are {len(photo.faces)} faces"
    return f"There is no face {face} in it: there {are}. Choose 'largest' or a number that is there."


def _score(face: AnalysedFace) -> str:
    score = face.report.measures.detector_score
    return f"score {score:.2f}" if score else "by hand"
