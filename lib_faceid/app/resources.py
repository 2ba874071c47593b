"""What is needed to draw without a WebUI: models from the usual places, or from where the user says."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.app.offer import offer
from lib_faceid.effects.effect import EffectKind
from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
from lib_faceid.errors import MissingModelError, MissingPackageError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.packs import find_face_pack, require_face_pack
from lib_faceid.hosts.diffusers.flux_files import is_flux_folder
from lib_faceid.hosts.diffusers.measured import flux_kind, measured
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.catalogue import entry
from lib_faceid.models.folders import (
    DIFFUSERS_MODEL,
    Roots,
    find_adapters,
    find_nets,
    net_in,
    require_clip_vision,
    usual_roots,
)
from lib_faceid.models.hashes import own_hashes
from lib_faceid.models.listing import children, files_below
from lib_faceid.models.own_settings import own_settings
from lib_faceid.people.approval import require_approved
from lib_faceid.people.library import People, open_library
from lib_faceid.references.files import load_reference
from lib_faceid.references.reference import Reference
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers.flux import FluxDrawing
    from lib_faceid.hosts.diffusers.pipeline import Pipeline

__all__ = ["CARRIES", "Resources", "checkpoint_name", "load_pipeline"]

CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt")
CARRIES: frozenset[EffectKind] = frozenset({"tokens", "lora", "residuals", "text", "context"})
"""The kinds of effects that drawing without a WebUI can apply."""


@dataclass(frozen=True)
class Resources:
    """Where the models are: named by the user, else looked for."""

    roots: Roots
    checkpoint: Path | None = None
    adapters: tuple[Path, ...] = ()
    """Files that were named, besides those in the usual places. A unit calls one by its whole path."""
    identities: tuple[Path, ...] = ()
    """Files that the command `identity` made, besides the people library; likewise."""
    faces: Path | None = None
    """The folder of the people library."""
    full_precision: bool = False
    marks: bool = True
    """Whether the files of pictures say that a model made them."""
    offers_downloads: bool = False
    """Whether somebody at a terminal may be asked."""
    yes: bool = False
    """The user's answer, given beforehand."""

    def checkpoints(self) -> dict[str, Path]:
        """Return name -> file of all checkpoints in `models/Stable-diffusion`, and name -> folder of FLUX.1 there."""
        folders = [models / "Stable-diffusion" for models in self.roots.all_models]
        whole = [one for folder in folders for one in children(folder) if is_flux_folder(one)]
        files = [path for folder in folders for path in sorted(files_below(folder))]
        files = [path for path in files if path.suffix.lower() in CHECKPOINT_SUFFIXES]
        alone = [path for path in files if not any(path.is_relative_to(folder) for folder in whole)]
        return {checkpoint_name(path): path for path in (*alone, *whole)}

    def checkpoint_of(self, name: str) -> Path:
        """Return the checkpoint of that name. Raises MissingModelError."""
        path = self.checkpoints().get(name)
        if path is None:
            raise MissingModelError(f"There is no checkpoint '{name}'. Put one into models/Stable-diffusion.")
        return path

    def family(self, name: str) -> int | None:
        """Return the cross attention dimension of a checkpoint; its weights are not loaded for that."""
        path = self.checkpoints().get(name)
        return measured(path).context if path else None

    def find_checkpoint(self) -> Path:
        """Return the checkpoint that was named, or the first one there is."""
        found = self.checkpoint or next(iter(self.checkpoints().values()), None)
        if found is None:
            folder = self.roots.all_models[0] / "Stable-diffusion"
            raise MissingModelError(
                f"There is no checkpoint in {folder}. Name one with --checkpoint "
                f"FILE (SD 1.5, SDXL or FLUX.1), or make small ones to play with: python -m lib_faceid miniature models"
            )
        return found

    def models(self) -> Models:
        """Return where the models come from. Each is asked for when a unit needs it."""
        return Models(
            adapter_files=lambda: (*self.adapters, *find_adapters(self.roots)),
            face_analyser=self.face_analyser,
            clip_vision=self.clip_vision,
            person=self.person,
            allow=self.allow,
            analyser_of=self.analyser_of,
            control_file=self.control_file,
            file_hash=lambda path: own_hashes(self.roots).of(path),
            carries=CARRIES,
        )

    def nets(self) -> dict[str, Path]:
        """Return name -> file of what lies in `models/ControlNet`."""
        return find_nets(self.roots)

    def control_file(self, name: str | Path) -> Path:
        """Return a net's file: of that path, or where it is a text, of that name in models/ControlNet.

        Either may be a folder as diffusers saves one. Raises MissingModelError.
        """
        nets = {} if isinstance(name, Path) else self.nets()
        found = name if isinstance(name, Path) else nets.get(name, nets.get(f"{name}/{DIFFUSERS_MODEL}"))
        found = net_in(found) if found is not None and found.is_dir() else found
        if found is None or not found.is_file():
            raise MissingModelError(
                f"There is no ControlNet {name}. Name its file, or put it into {self.roots.own / 'ControlNet'} and "
                "name it without its ending."
            )
        return found

    def allow(self, unit: Unit) -> None:
        """Raise FaceIDError for a unit whose person is not approved, where `only_approved` is set."""
        if own_settings(self.roots).only_approved:
            require_approved(unit, self.people().path)

    def face_analyser(self) -> FaceAnalyser:
        """Return the face models, after offering to download them where there are none."""
        if self.offers_downloads and find_face_pack(self.roots) is None and self.roots.face_models is None:
            offer(entry("buffalo_l"), self.roots, yes=self.yes, reason="There are no face models on this machine.")
        return load_face_analyser(require_face_pack(roots=self.roots).detector.parent)

    def analyser_of(self, recogniser: str) -> FaceAnalyser:
        """Return the face models with that recogniser, which are never downloaded unasked."""
        return load_face_analyser(require_face_pack(roots=self.roots, recogniser=recogniser).detector.parent)

    def clip_vision(self, encoder: str = "clip_vit_h") -> ClipVision:
        """Return an image encoder, which is never downloaded unasked."""
        return load_clip_vision(require_clip_vision(self.roots, encoder), encoder=encoder)

    def people(self) -> People:
        """Return the library of saved people."""
        return People(self.faces) if self.faces else open_library(self.roots)

    def person(self, name: str) -> Reference:
        """Return who is in a file that was named, or somebody of the library."""
        named = next((path for path in self.identities if str(path) == name), None)
        return load_reference(named) if named else self.people().load(name).identity


def checkpoint_name(path: Path) -> str:
    """Return what a checkpoint is called: a file without its ending, a folder as it is."""
    return path.name if path.is_dir() else path.stem


def load_pipeline(
    checkpoint: Path, *, full_precision: bool = False, roots: Roots | None = None
) -> Pipeline | FluxDrawing:
    """Return the checkpoint, ready to draw. Raises MissingPackageError where diffusers is not installed.

    roots: where the parts of FLUX.1 are looked for that a single file lacks (default: the usual places).
    """
    is_flux = flux_kind(checkpoint) is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a CPU, diffusers warns about models that nothing here uses
            if is_flux:
                from lib_faceid.hosts.diffusers import flux

                return flux.load_flux(checkpoint, roots or usual_roots(), full_precision=full_precision)
            from lib_faceid.hosts.diffusers import pipeline as diffusers
    except ImportError as error:
        raise MissingPackageError(
            f"Drawing without a WebUI needs diffusers, which could not be imported ({error}). "
            f"Run: {sys.executable} -m pip install 'diffusers>=0.36,<0.37' 'transformers<5' accelerate"
        ) from error
    return diffusers.load_pipeline(checkpoint, full_precision=full_precision)
