"""Pictures on the disk: some people, one prompt, some seeds; each file says in its metadata how it was made."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib_faceid.app.beginnings import usual
from lib_faceid.app.picture_files import free_name, save_picture
from lib_faceid.app.recording import Recorder
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.errors import MissingModelError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.likeness.meaning import answer_of, console_text
from lib_faceid.references.files import save_reference
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.units.control import ControlUnit, control_key
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.unit import Unit

__all__ = ["REPORT_VERSION", "Report", "draw", "requests_of", "save_identity"]

NO_OPTIONS = JobOptions()
Say = Callable[[str], None]
REPORT_VERSION = 1
"""Goes up when a reader of `report.json` would take something for something else."""


def requests_of(options: Namespace, checkpoint: Path, seed: int) -> list[Request]:
    """Return what was typed as requests, one for each picture; what was not typed suits the checkpoint."""
    fitting = usual(checkpoint)
    first = Request(
        options.prompt,
        options.negative,
        options.size or fitting.size_px,
        fitting.steps if options.steps is None else options.steps,
        fitting.cfg if options.cfg is None else options.cfg,
    )
    return [replace(first, seed=seed + number) for number in range(options.count)]


def draw(  # noqa: PLR0913, PLR0917 - all that a command line says
    resources: Resources, units: Sequence[Unit], requests: Sequence[Request], out: Path, say: Say,
    options: JobOptions = NO_OPTIONS, controls: Sequence[ControlUnit] = (),
) -> None:  # fmt: skip
    """Write one PNG for each request into the folder `out`, and say what is used, what is written and what it was.

    Of a search those that are kept are written, the most alike first.
    Raises FaceIDError when anything is missing or does not fit; pictures that are finished stay.
    """
    session = Session(resources)
    job, checkpoint = session.job(units, requests[0], controls), resources.find_checkpoint()
    say(f"Checkpoint: {checkpoint}")
    prepared = session.prepare(job, checkpoint)
    for line in _models_of(prepared, job):
        say(line)
    out.mkdir(parents=True, exist_ok=True)
    searched, report, notes, recorder = None, Report(out), list[str](), Recorder(session, checkpoint, say)
    steps, size_px = requests[0].steps, requests[0].size_px
    for generated in recorder.watch(job, session.draw(checkpoint, job, requests, options=options)):
        if generated.search is not None and generated.search is not searched:
            searched = generated.search
            say(searched.sentence(generated.seeds))
        size_px = generated.image.size
        path = free_name(out, f"seed{generated.request.seed}", ".png")
        save_picture(generated, path)
        recorder.saved(generated, path)
        like = f", {console_text(generated.score)}" if generated.score else ""
        say(f"{path} (seed {generated.request.seed}, {generated.seconds:.1f} s{like})")
        report.add(path, generated)
        notes += generated.notes
    for note in notes:
        say(note)
    if report.is_written:
        say(str(report.path))
    for line in [*job.report(lambda one: one.plan(steps)), *job.report_controls(steps, size_px)]:
        say(line)
    for line in _off(units, controls):
        say(line)


def _models_of(prepared: Sequence[Prepared], job: Job) -> Iterator[str]:
    """Give what a job is drawn with, and what was assumed in choosing it."""
    for one in prepared:
        which = f" of FaceID {one.number}" if len(prepared) > 1 else ""
        yield f"Adapter{which}: {one.adapter.name} ({one.adapter.variant.label})"
        yield from one.notes
    for control in job.controls:
        yield f"{control.kind}: {control.name} ({control.unit.hint})"


def _off(units: Sequence[Unit], controls: Sequence[ControlUnit]) -> Iterator[str]:
    """Give a line for each unit that is off."""
    off = [infotext_key(number) for number, unit in enumerate(units) if not unit.acts]
    yield from (f"{key}: off, the weight is 0" for key in off)
    off = [control_key(number) for number, control in enumerate(controls) if not control.acts]
    yield from (f"{key}: off, the strength is 0" for key in off)


class Report:
    """What was seen in the pictures of one run, beside them: `report.json`, or `report-2.json` where that is there.

    Nothing is written while nothing was looked at.
    """

    def __init__(self, folder: Path) -> None:
        self.path = free_name(folder, "report", ".json")
        self.is_written = False
        self._pictures: list[dict[str, Any]] = []

    def add(self, file: Path, generated: GeneratedImage) -> None:
        """Write down one more picture; the file is whole after each, as a run may be stopped."""
        self._pictures.append(
            {
                "file": file.name,
                "seed": generated.request.seed,
                "seconds": round(generated.seconds, 2),
                "score": generated.score and answer_of(generated.score),
            }
        )
        if self.is_written or generated.score:
            text = json.dumps({"version": REPORT_VERSION, "pictures": self._pictures}, indent=2)
            self.path.write_text(text, encoding="utf-8")
            self.is_written = True


def save_identity(resources: Resources, unit: Unit, out: Path, say: Say) -> None:
    """Write who is in a unit's photos to one file, with CLIP features where the encoder is there."""
    joined = join_unit(unit, resources.face_analyser(), _clip_if_there(resources, say))
    for message in joined.messages:
        say(message)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_reference(out, joined.identity, joined.record)
    photos = "one photo" if len(unit.images) == 1 else f"{len(unit.images)} photos"
    say(f"{out}: one person from {photos}, by {joined.identity.recogniser}. Keep it as private as a photo.")


def _clip_if_there(resources: Resources, say: Say) -> ClipVision | None:
    from lib_faceid.encoders.features import CLIP_H_HIDDEN
    from lib_faceid.methods.registry import readers
    from lib_faceid.models.image_encoders import image_encoder

    encoder = image_encoder(CLIP_H_HIDDEN.encoder)
    try:
        return resources.clip_vision(encoder.id)
    except MissingModelError:
        say(f"{encoder.label} is not here, so the identity will not do for {readers(encoder.id, 'person')}.")
        return None
