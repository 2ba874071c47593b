"""Pictures on the disk: one person, one prompt, some seeds; each file says in its metadata how it was made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib_faceid.clip.vision import ClipVision, load_clip_vision
from lib_faceid.commands.standalone import Workshop, load_studio
from lib_faceid.errors import MissingModelError, UnitError
from lib_faceid.generation import Prepared
from lib_faceid.hosts.request import Request
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.people.identity import Identity
from lib_faceid.people.references import identity_from_photos
from lib_faceid.unit import Unit
from lib_faceid.units.infotext import infotext_key, unit_to_infotext

__all__ = ["Sitter", "draw", "parameters_text", "save_identity"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sitter:
    """The person to draw: photos of one, or an identity that was saved."""

    photos: tuple[Path, ...] = ()
    identity: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.photos) == (self.identity is not None):
            raise UnitError("Say who is to be drawn: give --photo FILE (once or more), or --identity FILE.")

    @property
    def fingerprint(self) -> str:
        """Short hashes of the files: which ones they were, and nothing of what is in them or of their names."""
        files = self.photos if self.identity is None else (self.identity,)
        return "+".join(sha256_of(file)[:8] for file in files)

    def meet(self, workshop: Workshop, clip: ClipVision | None) -> Identity:
        """Return who it is. Raises PhotoError, NoFaceError, or FileError for a damaged identity."""
        if self.identity is not None:
            return Identity.load(self.identity)
        return identity_from_photos(self.photos, analyser=workshop.face_analyser(), clip=clip)


def draw(workshop: Workshop, sitter: Sitter, unit: Unit, requests: Sequence[Request], out: Path, say: Say) -> None:
    """Write one PNG for each request into the folder `out`, and say what is used, what is written and what it was.

    Raises FaceIDError when anything is missing or does not fit; pictures that are finished stay.
    """
    checkpoint = workshop.find_checkpoint()
    say(f"Checkpoint: {checkpoint}")
    prepared = workshop.prepare(unit, lambda clip: sitter.meet(workshop, clip), checkpoint)
    say(f"Adapter: {prepared.adapter.name} ({prepared.adapter.variant.label})")
    for note in prepared.notes:
        say(note)
    studio = load_studio(checkpoint, full_precision=workshop.full_precision)
    out.mkdir(parents=True, exist_ok=True)
    with studio.person([prepared] if unit.weight else []) as injection:
        for request in requests:
            began = time.perf_counter()
            image = studio.draw(request, injection)
            path = _free_name(out, request.seed)
            text = parameters_text(
                request, image, studio.name, {**_infotext(prepared), "FaceID photo": sitter.fingerprint}
            )
            _save(image, path, text)
            say(f"{path} (seed {request.seed}, {time.perf_counter() - began:.1f} s)")
    say(prepared.summary(requests[0].steps) if unit.weight else "FaceID 0: off, the weight is 0")


def parameters_text(request: Request, image: Image.Image, model: str, more: Mapping[str, str]) -> str:
    """Return the settings as the AUTOMATIC1111 WebUI writes and reads them (its "PNG Info")."""
    settings = {
        "Steps": request.steps,
        "Sampler": "DDIM",
        "CFG scale": f"{request.cfg:g}",
        "Seed": request.seed,
        "Size": f"{image.width}x{image.height}",
        "Model": model,
        **more,
    }
    negative = [f"Negative prompt: {request.negative}"] if request.negative else []
    return "\n".join(
        [request.prompt, *negative, ", ".join(f"{key}: {_quoted(value)}" for key, value in settings.items())]
    )


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(letter in text for letter in ',:\n"') else text


def _infotext(prepared: Prepared) -> dict[str, str]:
    adapter = prepared.adapter
    return {infotext_key(prepared.number): unit_to_infotext(prepared.unit, adapter.name, adapter.variant.id)}


def _free_name(folder: Path, seed: int) -> Path:
    """Return a name that is not taken: seed7.png, seed7-2.png, ..."""
    names = (f"seed{seed}{f'-{number}' if number > 1 else ''}.png" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def _save(image: Image.Image, path: Path, parameters: str) -> None:
    info = PngInfo()
    info.add_text("parameters", parameters)
    image.save(path, pnginfo=info)


def save_identity(workshop: Workshop, sitter: Sitter, out: Path, say: Say) -> None:
    """Write who is in the photos to one file, with what the Plus variants read where CLIP ViT-H is there."""
    try:
        clip = load_clip_vision()
    except MissingModelError:
        clip = None
        say("CLIP ViT-H is not here, so the identity will not do for the Plus variants.")
    identity = sitter.meet(workshop, clip)
    out.parent.mkdir(parents=True, exist_ok=True)
    identity.save(out)
    photos = "one photo" if len(sitter.photos) == 1 else f"{len(sitter.photos)} photos"
    say(f"{out}: one person from {photos}, by {identity.recogniser}. Keep it as private as a photo.")
