"""Pictures of the people in some units, without a WebUI: the checkpoint stays loaded from one picture to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lib_faceid.choosing import Models
from lib_faceid.clip.vision import load_clip_vision
from lib_faceid.commands.drawing import parameters_text
from lib_faceid.commands.standalone import CHECKPOINT_SUFFIXES, load_studio
from lib_faceid.errors import MissingModelError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.generation import Job
from lib_faceid.hosts.request import Request
from lib_faceid.hosts.single_file import read_checkpoint
from lib_faceid.models.folders import Roots, find_adapters, require_clip_vision
from lib_faceid.people.library import open_library
from lib_faceid.unit import Unit
from lib_faceid.units.infotext import infotext_key, unit_to_infotext

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers import Studio

__all__ = ["Easel", "Painted"]

Progress = Callable[[str, int, int], None]
"""Is called with what is being done, the step, and all steps."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture, and what is known of it."""

    image: Image.Image
    parameters: str
    """As the WebUI writes and reads them."""
    applied: tuple[str, ...]
    """One line for each unit that acted, and what was assumed."""


@dataclass(eq=False)
class Easel:
    """A checkpoint at hand, and the models around it."""

    roots: Roots
    _studio: tuple[Path, Studio] | None = field(default=None, init=False)

    def checkpoints(self) -> dict[str, Path]:
        """Return name -> file of all checkpoints there are."""
        folders = [models / "Stable-diffusion" for models in self.roots.all_models]
        files = [path for folder in folders for path in sorted(folder.rglob("*"))]
        return {path.stem: path for path in files if path.suffix.lower() in CHECKPOINT_SUFFIXES}

    def family(self, name: str) -> int | None:
        """Return the cross attention dimension of a checkpoint; its weights are not loaded for that."""
        path = self.checkpoints().get(name)
        return read_checkpoint(path)[1].cross_attention_dim if path else None

    def paint(
        self, name: str, units: Sequence[Unit], request: Request, count: int, progress: Progress
    ) -> Iterator[Painted]:
        """Give one picture after the other, the seed counting up. Raises FaceIDError."""
        progress("Loading the checkpoint", 0, request.steps)
        studio = self._loaded(name)
        progress("Looking at the photos", 0, request.steps)
        prepared = Job(units, self.models()).prepare(studio.unet)
        applied = tuple(one.summary(request.steps) for one in prepared)
        notes = tuple(f"FaceID {one.number}: {note}" for one in prepared for note in one.notes)
        told = {
            infotext_key(one.number): unit_to_infotext(
                one.unit, one.adapter.name, one.adapter.variant.id, one.references
            )
            for one in prepared
        }
        with studio.person(prepared) as injection:
            for number in range(count):
                now = replace(request, seed=request.seed + number)
                what = f"Picture {number + 1} of {count}"
                image = studio.draw(now, injection, lambda step, what=what: progress(what, step, request.steps))
                yield Painted(image, parameters_text(now, image, studio.name, told), applied + notes)

    def _loaded(self, name: str) -> Studio:
        path = self.checkpoints().get(name)
        if path is None:
            raise MissingModelError(f"There is no checkpoint '{name}'. Put one into models/Stable-diffusion.")
        if self._studio is None or self._studio[0] != path:
            self._studio = None  # the old one goes before the new one comes
            self._studio = (path, load_studio(path))
        return self._studio[1]

    def models(self) -> Models:
        """Return where the models come from. Each is asked for when a unit needs it."""
        return Models(
            adapter_files=lambda: find_adapters(self.roots),
            face_analyser=lambda: load_face_analyser(require_face_pack(roots=self.roots).detector.parent),
            clip_vision=lambda: load_clip_vision(require_clip_vision(self.roots)),
            person=lambda name: open_library(self.roots).load(name).identity,
        )
