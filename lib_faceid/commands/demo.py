"""The demo: one person, one seed, four pictures from "without" to "very much", on one sheet and in a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lib_faceid.app.beginnings import beginning
from lib_faceid.app.picture_files import save_picture
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.commands.sheet import make_sheet
from lib_faceid.errors import MissingModelError, MissingPackageError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.face import Face, largest
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.likeness.judging import Expected, cosines, judge
from lib_faceid.likeness.meaning import answer_of
from lib_faceid.likeness.score import PictureScore
from lib_faceid.miniature.trained import (
    MEASURED,
    RECOGNISER,
    STRANGER,
    STRANGER_PHOTO,
    TRAINED_ADAPTER,
    TRAINED_NAME,
    shipped_mb,
    write_trained_checkpoint,
)
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.pictures.photo import photo_name, photo_sha256, read_photo
from lib_faceid.references.identity import Identity
from lib_faceid.units.job_options import UNSCORED
from lib_faceid.units.unit import Photo, Unit

__all__ = ["WEIGHTS", "run_demo"]

WEIGHTS = (0.0, 0.2, 0.4, 0.8)
MINIATURE_NOTE = (
    "Drawing with the miniature ({}): {} MB that draw faces on five background colours. --checkpoint and --adapter "
    "take real ones."
)
SOURCE = f"{STRANGER_PHOTO.name} (nobody: a face blended of several, which the miniature was not trained on)"
BEFORE = (
    "The miniature draws strangers roughly. People like those it was trained on came with a likeness of {seen:.2f} at "
    "weight 0.8 ({nobody:.2f} without them); people with other faces than these, so probably you, with {new:.2f}."
)
AFTER = (
    "The likeness to your photo is {now:.2f} at weight {weight:g} and {before:.2f} without it; somebody else's is "
    "about {others:.2f}. A real checkpoint and adapter reach far more."
)

SAME_RECOGNISER = 0.9  # the same photo seen by two recognisers is about 0
REPORT_VERSION = 1
BOX_RGB = (0, 255, 120)

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class _Subject:
    """The person of the demo, and what is known of the photo."""

    source: str
    unit: Unit
    photo_rgb: NDArray[np.uint8] | None = None
    face: Face | None = None
    analyser: FaceAnalyser | None = None
    shipped: Mapping[str, float] | None = None
    """What the likeness was when the miniature was trained, by weight, where nothing is here to look."""

    @property
    def person(self) -> Identity | None:
        """Who is in the first photo."""
        if self.face is None or self.analyser is None:
            return None
        return Identity.from_embedding(self.face.id_embedding, recogniser=self.analyser.recogniser)

    def score(self, image: Image.Image) -> PictureScore | None:
        """Return how alike a picture is to the photo, whoever was drawn; None without face models."""
        if self.analyser is None or self.person is None:
            return None
        return judge(np.asarray(image), [Expected(0, self.person)], self.analyser)


@dataclass(frozen=True)
class _Drawn:
    """One line of the report."""

    label: str
    weight: float
    seconds: float
    file: str
    sha256: str
    mean_difference: float
    """To the picture without the person: mean of the absolute differences of all pixels, 0 to 255."""
    likeness: float | None
    is_likeness_shipped: bool = False
    """Whether it was measured when the miniature was trained, and not of this very picture."""
    score: dict[str, Any] | None = None
    """What was seen in the picture; without face models nothing."""


def run_demo(
    resources: Resources, adapter: Path | None, photos: Sequence[Path], seed: int, out: Path, say: Say
) -> Path:
    """Write four pictures, `sheet.png` and `report.json` into the folder `out`; return the report's path.

    Without a checkpoint and an adapter it draws with the miniature that ships with the project. Without a photo of the
    user's it takes one that ships, of somebody who does not exist; without face models the identity of that photo, with
    the likeness that was measured when the miniature was trained. Each is said.
    """
    if (resources.checkpoint is None) != (adapter is None):
        raise UnitError("--checkpoint and --adapter go together: give both, or none for the miniatures.")
    subject = _subject(resources, photos, say)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = resources.checkpoint
    if checkpoint is None or adapter is None:
        checkpoint, adapter = _miniature(out / "miniature", say), TRAINED_ADAPTER
        subject = _for_miniature(subject, bool(photos), say)
    request = replace(beginning(checkpoint.stem), seed=seed)
    session = Session(replace(resources, adapters=(adapter,), identities=(STRANGER,)))
    unit = replace(subject.unit, adapter=str(adapter))
    drawn, images = _draw_all(session, checkpoint, replace(subject, unit=unit), request, out, say)
    if photos and adapter == TRAINED_ADAPTER:
        _say_what_came(drawn, say)
    make_sheet(_tiles(subject, drawn, images)).save(out / "sheet.png")
    (prepared,) = session.prepare(Job([unit], session.resources.models()), checkpoint)
    report = out / "report.json"
    report.write_text(json.dumps(_report(subject, prepared, request, checkpoint, drawn), indent=2), encoding="utf-8")
    say(f"{out / 'sheet.png'}\n{report}")
    return report


def _subject(resources: Resources, photos: Sequence[Path], say: Say) -> _Subject:
    """Return who is drawn. A photo of the user's is never replaced by somebody else."""
    if photos:
        return _analysed(resources, photo_name(photos[0]), [read_photo(photo) for photo in photos])
    try:
        return _analysed(resources, SOURCE, [read_photo(STRANGER_PHOTO)])
    except (MissingModelError, MissingPackageError) as error:
        say(
            f"{error}\nGoing on with the identity of {STRANGER_PHOTO.name} that ships with the project (512 numbers). "
            f"The likeness is what was measured when the miniature was trained."
        )
        unit = Unit(enabled=True, person=str(STRANGER))
        return _Subject(STRANGER.name, unit, read_photo(STRANGER_PHOTO), shipped=_measured()["robin"])


def _analysed(resources: Resources, source: str, photos_rgb: Sequence[NDArray[np.uint8]]) -> _Subject:
    face = largest(resources.face_analyser().search(photos_rgb[0]).require())
    unit = Unit(enabled=True, images=tuple(map(Photo, photos_rgb)))
    return _Subject(source, unit, photos_rgb[0], face, resources.face_analyser())


def _for_miniature(subject: _Subject, is_users: bool, say: Say) -> _Subject:
    """Return the subject as the miniature can draw it: it was trained on one recogniser's vectors.

    A photo of the user's stays what it is, and what to expect is said.
    """
    if is_users:
        measured = _measured()
        seen, new = measured["never_seen"], measured["new_parents"]
        say(BEFORE.format(seen=seen["0.8"], nobody=seen["0"], new=new["0.8"]))
    elif subject.face is not None:
        saved = Identity.load(STRANGER)
        if cosines([saved], [subject.face])[0, 0] < SAME_RECOGNISER:
            say(
                f"The miniature was trained with {RECOGNISER}, so the identity that this one saw in the photo is drawn."
            )
            return replace(subject, unit=Unit(enabled=True, person=str(STRANGER)))
    return subject


def _measured() -> dict[str, dict[str, float]]:
    """Return what was measured when the miniature was trained: group of people -> weight -> likeness."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))


def _say_what_came(drawn: Sequence[_Drawn], say: Say) -> None:
    """Say how alike the strongest picture of a user's photo is, beside what chance gives."""
    first, last = drawn[0], drawn[-1]
    if last.likeness is None:
        say(f"No face was found in the picture at weight {last.weight:g}.")
        return
    others = _measured()["others"]["0.8"]
    say(AFTER.format(now=last.likeness, weight=last.weight, before=first.likeness or 0, others=others))


def _miniature(folder: Path, say: Say) -> Path:
    """Return the miniature's checkpoint, which is put together where it is not there yet."""
    checkpoint = folder / f"{TRAINED_NAME}.safetensors"
    if not checkpoint.is_file():
        write_trained_checkpoint(checkpoint)
    say(MINIATURE_NOTE.format(folder, shipped_mb()))
    return checkpoint


def _draw_all(
    session: Session, checkpoint: Path, subject: _Subject, request: Request, out: Path, say: Say
) -> tuple[list[_Drawn], list[Image.Image]]:
    drawn: list[_Drawn] = []
    images: list[Image.Image] = []
    for weight in WEIGHTS:
        job = Job([replace(subject.unit, weight=weight)], session.resources.models())
        # At weight 0 nobody is asked for, and the likeness is wanted all the same.
        (generated,) = session.draw(checkpoint, job, [request], options=UNSCORED)
        images.append(generated.image)
        one = _drawn(generated, weight, subject, images[0], out)
        drawn.append(one)
        like = "" if one.likeness is None else f", likeness {one.likeness:.2f}"
        like += " as shipped" if one.is_likeness_shipped else ""
        say(f"{out / one.file} ({generated.seconds:.1f} s, mean difference {one.mean_difference:.1f} of 255{like})")
        for line in job.report(lambda one: one.plan(request.steps)):
            say(line)
    return drawn, images


def _drawn(generated: GeneratedImage, weight: float, subject: _Subject, without: Image.Image, out: Path) -> _Drawn:
    """Return the line of a picture, after it was written into the folder `out`."""
    label = f"weight {weight:g}" if weight else "without"
    path = out / f"{label.replace(' ', '-')}.png"
    save_picture(generated, path)
    score, shipped = subject.score(generated.image), subject.shipped
    return _Drawn(
        label,
        weight,
        round(generated.seconds, 2),
        path.name,
        sha256_of(path),
        round(_mean_difference(generated.image, without), 2),
        shipped.get(f"{weight:g}") if shipped is not None else score and score.likeness,
        shipped is not None,
        score and answer_of(score),
    )


def _mean_difference(image: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(image, dtype=np.int16) - np.asarray(other, dtype=np.int16)).mean())


def _report(
    subject: _Subject, prepared: Prepared, request: Request, checkpoint: Path, drawn: Sequence[_Drawn]
) -> dict[str, Any]:
    adapter, face, photo = prepared.adapter, subject.face, subject.photo_rgb
    return {
        "version": REPORT_VERSION,
        "photo": {
            "source": subject.source,
            "size_px": None if photo is None else [photo.shape[1], photo.shape[0]],
            "pixels_sha256": None if photo is None else photo_sha256(photo),
        },
        "face": face and {"box_px": [round(edge, 1) for edge in face.box], "score": round(face.score, 4)},
        "recogniser": prepared.references[0].recogniser,
        "checkpoint": checkpoint.name,
        "adapter": adapter.name,
        "variant": adapter.variant.id,
        "layers_injected": len(adapter.to_k_ip),
        "lora": prepared.lora,
        "request": asdict(request),
        "pictures": [asdict(one) for one in drawn],
    }


def _tiles(subject: _Subject, drawn: Sequence[_Drawn], images: Sequence[Image.Image]) -> list[tuple[str, Image.Image]]:
    """Return the photo, with the face's box where it was looked for, then the pictures, each with its label."""
    labels = [one.label if one.likeness is None else f"{one.label}: likeness {one.likeness:.2f}" for one in drawn]
    tiles = list(zip(labels, images, strict=True))
    if subject.photo_rgb is not None:
        photo = Image.fromarray(subject.photo_rgb)
        if subject.face is not None:
            ImageDraw.Draw(photo).rectangle(subject.face.box, outline=BOX_RGB, width=max(photo.width // 128, 2))
        tiles.insert(0, ("photo", photo))
    return tiles
