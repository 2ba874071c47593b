"""A job's own ControlNets and T2I-Adapters made ready: their files are read, their pictures too.

Imported only where a job has some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_faceid.bases.base_model import SD15, SDXL, UNETS, describe_base
from lib_faceid.effects.contribution import Guide
from lib_faceid.effects.controlnet import context_dim
from lib_faceid.effects.effect import Control, require_carried
from lib_faceid.effects.net_file import NetFile, net_file
from lib_faceid.effects.schedule import WholeSteps
from lib_faceid.effects.t2i_adapter import SDXL_PX, picture_px
from lib_faceid.errors import FaceIDError, FileError, MismatchError, PhotoError
from lib_faceid.faces.keypoints import KeyPoints
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.hint_pictures import FacesHint, PictureHint
from lib_faceid.jobs.nets import box_of_region, points_in
from lib_faceid.jobs.passes import region_of
from lib_faceid.jobs.preparing import step_range
from lib_faceid.methods.nets import net_known_as
from lib_faceid.models.folders import net_name
from lib_faceid.models.hashes import SHORT
from lib_faceid.pictures.photo import photo_sha256, read_photo
from lib_faceid.units.control import FACES, ControlUnit, acting, control_key
from lib_faceid.units.region import AUTO_REGION, Box, column
from lib_faceid.units.unit import Unit

__all__ = ["ReadyControl", "label_of", "ready_controls"]

POOLED = "shuffle"  # of what is published, the one net whose maps have to be averaged; nothing in its tensors says so
ANYBODY = "largest"
NO_FACES = (
    "{hint} draws the faces in your people's photos, and no unit has a photo or a pose photo. Name one: {hint}=PHOTO."
)
PLAIN_IDENTITYNET = (
    "{file} is {label}, which reads the tokens of a face and not the prompt. It is found by itself where a unit draws "
    "with its adapter (docs/INSTANTID.md); as a plain ControlNet it would spoil the picture. Leave it out here."
)


def label_of(net: NetFile) -> str:
    """Return what messages call a file: which kind of net it is. Raises FileError for neither."""
    return "T2I-Adapter" if net.is_t2i else "ControlNet"


@dataclass(frozen=True, eq=False)
class ReadyControl:
    """One control unit, ready for the UNet."""

    number: int
    unit: ControlUnit
    name: str
    """The file's."""
    guide: Guide
    picture: PictureHint | FacesHint
    """What it is shown."""
    sha256: str = ""
    """Of the given picture's pixels; empty where the faces of the job's people are drawn."""

    @property
    def kind(self) -> str:
        """What messages call it: a ControlNet or a T2I-Adapter."""
        return label_of(self.guide.effect.net)

    @property
    def key(self) -> str:
        """How metadata and lines call it."""
        return control_key(self.number)

    def infotext(self) -> str:
        """Return what a picture's metadata say of it."""
        return self.unit.infotext(self.name, self.sha256, self.guide.effect.sha256[:SHORT])

    def plan(self, steps: int) -> str:
        """Return in words in which of so many steps it acts."""
        return step_range(self._acting(steps), steps)

    def _acting(self, steps: int) -> list[int]:
        return [at for at in range(steps) if self.guide.schedule.weight_at(at / steps, 1 / steps)]

    def line(self, steps: int, size_px: tuple[int, int] | None, *, is_applied: bool = True) -> str:
        """Return one line that says what is applied. size_px: width and height of what was drawn, where it is known."""
        if not is_applied or not self._acting(steps):
            return f"{self.key} ({self.name}) was NOT applied: no step reached it. Widen its start and end."
        is_cut = size_px is not None and self.picture.is_cut(size_px)
        parts = [self.name, self.unit.hint, f"strength {self.unit.strength:.2f}", self.plan(steps)]
        return f"{self.key}: " + " · ".join([*parts, *(["its picture was cut to the shape of this one"] * is_cut)])


def ready_controls(
    units: Sequence[ControlUnit], people: Sequence[Unit], models: Models, dim: int
) -> tuple[ReadyControl, ...]:
    """Return those that act, ready for a UNet of that cross attention dimension. people: the units of the job.

    Raises FaceIDError, naming the control unit.
    """
    found: list[ReadyControl] = []
    for number, unit in acting(units):
        try:
            found.append(_ready(number, unit, people, models, dim))
        except FaceIDError as error:  # noqa: PERF203 - a handful
            raise type(error)(f"Control {number}: {error}") from error
    return tuple(found)


def _ready(number: int, unit: ControlUnit, people: Sequence[Unit], models: Models, dim: int) -> ReadyControl:
    require_carried({"residuals"}, models.carries, "A ControlNet or T2I-Adapter", models.host)
    path = models.control_file(unit.net)
    if known := net_known_as(path, models.file_hash):
        raise MismatchError(PLAIN_IDENTITYNET.format(file=path.name, label=known.label))
    if POOLED in path.stem.lower():
        raise FileError(f"{path.name} is a ControlNet whose maps are averaged, which is not done here. Use another.")
    net = net_file(path)
    _require_base(path.name, net, dim)
    picture, digest = _picture(unit, people, models)
    schedule = WholeSteps(unit.strength, unit.start, unit.end)
    name = net_name(path)
    control = Control(net, name, (), [picture], models.file_hash(path))
    return ReadyControl(number, unit, name, Guide(control, schedule), picture, digest)


def _require_base(name: str, net: NetFile, dim: int) -> None:
    """Raise MismatchError for a net of another base model. Raises FileError for no net at all."""
    kind = label_of(net)
    if dim not in UNETS:
        raise MismatchError(
            f"{name} is a {kind} for a UNet, and {describe_base(dim)} has none. Leave it out, or choose a checkpoint "
            "of SD 1.5 or SDXL."
        )
    found = _base_of(net) or dim
    if found != dim:
        raise MismatchError(
            f"{name} is a {kind} for {describe_base(found)}, and the checkpoint is {describe_base(dim)}. Choose a "
            f"{kind} for {describe_base(dim)}."
        )


def _base_of(net: NetFile) -> int:
    """Return the cross attention dimension of a net's base model; 0: not known.

    A small ControlNet reads no prompt: SDXL's are told more. A T2I-Adapter reads none at all: SDXL's look coarser.
    """
    if net.is_t2i:
        px = picture_px(net.tensors)
        return 0 if not px else SDXL if px == SDXL_PX else SD15
    return context_dim(net.tensors) or (SDXL if any(key.startswith("add_embedding.") for key in net.tensors) else 0)


def _picture(unit: ControlUnit, people: Sequence[Unit], models: Models) -> tuple[PictureHint | FacesHint, str]:
    """Return what a net is shown, and the SHA-256 of the picture that was given."""
    if unit.picture is None:
        return FacesHint(unit.hint, _faces_of(people, unit.hint, models)), ""
    if isinstance(unit.picture, Path) and not unit.picture.is_file():
        raise PhotoError(f"There is no picture {unit.picture}. Check the name.")
    pixels = read_photo(unit.picture)
    digest = photo_sha256(pixels)
    if unit.hint not in FACES:
        return PictureHint(pixels, unit.hint == "edges"), digest
    points = points_in(pixels, "the control picture", ANYBODY, models.policy(), models.face_analyser)
    return FacesHint(unit.hint, [(points, None)]), digest


def _faces_of(people: Sequence[Unit], hint: str, models: Models) -> list[tuple[KeyPoints, Box]]:
    """Return the face of each person's pose photo, or of the first photo, and where that is put."""
    shown = [(unit, _photo_of(unit)) for unit in people if unit.acts and unit.purpose == "person"]
    auto = [unit for unit, _ in shown if unit.region == AUTO_REGION]
    faces: list[tuple[KeyPoints, Box]] = []
    for unit, (photo, where, face) in ((unit, found) for unit, found in shown if found):
        points = points_in(photo, where, face, models.policy(), models.face_analyser)
        box = box_of_region(region_of(unit, models.policy()))
        beside = [at for at, one in enumerate(auto) if one is unit]
        faces.append((points, column(beside[0], len(auto)) if beside else box))
    if not faces:
        raise PhotoError(NO_FACES.format(hint=hint))
    return faces


def _photo_of(unit: Unit) -> tuple[object, str, str] | None:
    """Return a unit's photo, how messages call it, and which face in it counts."""
    if unit.pose is not None:
        return unit.pose, "the pose photo", ANYBODY
    return (unit.images[0].image, "photo 1", unit.face) if unit.images and not unit.person else None
