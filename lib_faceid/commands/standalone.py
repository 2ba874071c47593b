"""A person made ready for drawing without a WebUI: models from the usual places, or from where the user says."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.choosing import Models, choose_adapter, nobody
from lib_faceid.clip.vision import ClipVision, load_clip_vision
from lib_faceid.commands.offer import offer
from lib_faceid.errors import MissingModelError, MissingPackageError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.packs import find_face_pack
from lib_faceid.generation import Prepared, contribution_of
from lib_faceid.hosts.single_file import read_checkpoint
from lib_faceid.models.catalogue import entry
from lib_faceid.models.folders import Roots, find_adapters
from lib_faceid.people.identity import Identity
from lib_faceid.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers import Studio

__all__ = ["Person", "Workshop", "load_studio"]

CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt")

Person = Callable[[ClipVision | None], Identity]
"""Gives the person; with the CLIP encoder where the adapter needs it."""


@dataclass(frozen=True)
class Workshop:
    """Where the models are: named by the user, else looked for."""

    roots: Roots
    checkpoint: Path | None = None
    adapter: Path | None = None
    full_precision: bool = False
    yes: bool = False
    """The user's answer, given beforehand, to the offer of a download."""

    def find_checkpoint(self) -> Path:
        """Return the checkpoint that was named, or the first in `models/Stable-diffusion`."""
        if self.checkpoint:
            return self.checkpoint
        folders = [models / "Stable-diffusion" for models in self.roots.all_models]
        files = [path for folder in folders for path in sorted(folder.rglob("*"))]
        found = next((path for path in files if path.suffix.lower() in CHECKPOINT_SUFFIXES), None)
        if found is None:
            raise MissingModelError(
                f"There is no checkpoint in {folders[0]}. Name one with --checkpoint FILE (SD 1.5 or SDXL), or make "
                f"small ones to play with: python -m lib_faceid miniature models"
            )
        return found

    def prepare(self, unit: Unit, person: Person, checkpoint: Path) -> Prepared:
        """Return the person ready for that checkpoint, whose weights are not loaded for it.

        Raises FaceIDError: a model is missing, does not fit, or no face was found.
        """
        _, layout = read_checkpoint(checkpoint)
        adapter, note = choose_adapter(unit, self._models(), layout.cross_attention_dim)
        identity = person(load_clip_vision() if adapter.variant.needs_clip else None)
        return Prepared(0, unit, contribution_of(unit, adapter, identity), (note,) if note else ())

    def face_analyser(self) -> FaceAnalyser:
        """Return the face models, after offering to download them where there are none."""
        if find_face_pack(self.roots) is None and self.roots.face_models is None:
            offer(entry("buffalo_l"), self.roots, yes=self.yes, reason="There are no face models on this machine.")
        return load_face_analyser(self.roots.face_models)

    def _models(self) -> Models:
        named = self.adapter
        files = (lambda: [named]) if named else (lambda: find_adapters(self.roots))
        return Models(files, self.face_analyser, load_clip_vision, nobody)


def load_studio(checkpoint: Path, *, full_precision: bool = False) -> Studio:
    """Return the checkpoint, ready to draw. Raises MissingPackageError where diffusers is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a CPU, diffusers warns about models that nothing here uses
            from lib_faceid.hosts import diffusers
    except ImportError as error:
        raise MissingPackageError(
            f"Drawing without a WebUI needs diffusers, which could not be imported ({error}). "
            f"Run: {sys.executable} -m pip install 'diffusers>=0.36,<0.37' 'transformers<5' accelerate"
        ) from error
    return diffusers.load_studio(checkpoint, full_precision=full_precision)
