"""A finished job as a run of the journal. Imported only where one is recorded."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from lib_faceid.jobs.choosing import file_of
from lib_faceid.jobs.preparing import Prepared
from lib_faceid.journal.journal import Journal
from lib_faceid.journal.run import Drawn, Run, UsedUnit
from lib_faceid.likeness.meaning import LIKENESS_KEY
from lib_faceid.likeness.score import PictureScore
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.person_suffixes import is_person_file
from lib_faceid.units.infotext import ALGORITHM, WRITTEN, infotext_key
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.unit import FIELDS
from lib_faceid.version import __version__

if TYPE_CHECKING:
    from lib_faceid.jobs.controls import ReadyControl

__all__ = ["Finished", "Machine", "nets_of", "pixels_sha256", "record", "run_of", "used_unit", "versions"]

THUMBNAIL_PX = 192


@dataclass(frozen=True, eq=False)
class Finished:
    """A picture as its host has finished it."""

    infotext: str
    image: Image.Image
    path: str = ""
    """Where it was saved; empty where it was not."""
    score: PictureScore | None = None


@dataclass(frozen=True, eq=False)
class Machine:
    """What a host knows besides: where the models are, and what it is."""

    host: str
    adapter_files: Callable[[], Sequence[Path]]
    checkpoint: Path
    checkpoint_sha256: str = ""
    """Where the host knows it already."""


def record(
    journal: Journal,
    units: Sequence[Prepared],
    finished: Sequence[Finished],
    machine: Machine,
    *,
    keeps_thumbnails: bool = False,
    controls: Sequence[ReadyControl] = (),
) -> Run:
    """Write down a finished job, and return the run. Raises FaceIDError."""
    run = journal.add(run_of(journal, units, finished, machine, controls))
    if keeps_thumbnails:
        journal.keep_thumbnails(run.number, [_thumbnail(one.image) for one in finished])
    return run


def run_of(
    journal: Journal,
    units: Sequence[Prepared],
    finished: Sequence[Finished],
    machine: Machine,
    controls: Sequence[ReadyControl] = (),
) -> Run:
    """Return a finished job as a run that is not written down yet. The journal knows the hashes of model files."""
    settings = parameters_from(finished[0].infotext)
    settings.pop(LIKENESS_KEY, None)  # of one picture; the scores of all are kept
    prompt, negative = settings.pop("Prompt", ""), settings.pop("Negative prompt", "")
    checkpoint, files = machine.checkpoint, machine.adapter_files()
    return Run(
        prompt,
        negative,
        settings,
        tuple(used_unit(one, journal.sha256(file_of(one.adapter.name, files))) for one in units),
        tuple(_drawn(one, prompt) for one in finished),
        checkpoint=settings.get("Model", checkpoint.stem),
        checkpoint_sha256=machine.checkpoint_sha256 or journal.sha256(checkpoint),
        nets=nets_of(units, controls),
        versions=versions(machine.host),
    )


def nets_of(units: Sequence[Prepared], controls: Sequence[ReadyControl] = ()) -> dict[str, str]:
    """Return the SHA-256 of the nets that units and control units draw with, by their keys."""
    of_units = {infotext_key(one.number): one.control.sha256 for one in units if one.control}
    return of_units | {one.key: one.guide.effect.sha256 for one in controls}


def used_unit(prepared: Prepared, adapter_sha256: str) -> UsedUnit:
    """Return what the journal keeps of a unit: no photo and no path."""
    unit = prepared.unit
    values = {name: getattr(unit, name) for name in WRITTEN}
    settings: dict[str, Any] = {name: value for name, value in values.items() if value != FIELDS[name].default}
    settings |= {"adapter": prepared.adapter.name, "variant": prepared.adapter.variant.id}
    settings |= {"negative_images": list(prepared.negative_images)} if prepared.negative_images else {}
    settings |= {"pose": "photo"} if prepared.unit.pose is not None else {}
    whole = [one.fingerprint for one in prepared.references]
    references = [*(one for one in prepared.hashes if not any(long.startswith(one) for long in whole)), *whole]
    people = tuple(name for name in unit.names if not is_person_file(name))
    return UsedUnit(prepared.number, settings, adapter_sha256, tuple(references), people)


def versions(host: str) -> dict[str, Any]:
    """Return what else decides about the pixels on a machine."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    machine = {"host": host, "torch": torch.__version__, "device": device}
    return {**machine, "threads": torch.get_num_threads(), "ours": __version__, "algorithm": ALGORITHM}


def pixels_sha256(image: Image.Image) -> str:
    """Return the SHA-256 of a picture's size and pixels, whatever its file."""
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.convert("RGB").tobytes())
    return digest.hexdigest()


def _drawn(one: Finished, prompt: str) -> Drawn:
    own = parameters_from(one.infotext)
    seed = re.fullmatch(r"\d{1,20}", own.get("Seed", ""))
    other = own.get("Prompt", prompt)
    path, digest = Path(one.path), ""
    if one.path and path.is_file():
        digest = sha256_of(path)
    return Drawn(
        int(seed[0]) if seed else 0,
        one.score.as_dict() if one.score else None,
        str(path.absolute()) if one.path else "",
        digest,
        pixels_sha256(one.image),
        None if other == prompt else other,
    )


def _thumbnail(image: Image.Image) -> bytes:
    small, out = image.convert("RGB"), io.BytesIO()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    small.save(out, "JPEG", quality=80)
    return out.getvalue()
