"""A run of the journal drawn again by our own program: the same bytes, or the first thing that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.app.followed import controls_of_run
from lib_faceid.app.last_pictures import without_people
from lib_faceid.app.recording import HOST
from lib_faceid.app.resources import Resources, checkpoint_name
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import file_of
from lib_faceid.jobs.job import Job
from lib_faceid.jobs.recording import nets_of, pixels_sha256, used_unit, versions
from lib_faceid.journal.journal import Journal
from lib_faceid.journal.run import Drawn, Run, UsedUnit
from lib_faceid.units.control import ControlUnit, control_key
from lib_faceid.units.old_names import names_of
from lib_faceid.units.unit import Unit

__all__ = ["SAME", "Again", "again", "at_weight_0", "checkpoint_of", "draw_again", "first_difference", "requests_of"]

SAME = "The same pixels."


@dataclass(frozen=True)
class Again:
    """What is asked for to draw a run again."""

    units: tuple[Unit, ...]
    """By their numbers in the page; units of prompt tags are not among them."""
    requests: tuple[Request, ...]
    """One for each picture."""
    controls: tuple[ControlUnit, ...] = ()
    """What it follows."""


def again(run: Run, resources: Resources, pictures: Sequence[Path] | None = None) -> Again:
    """Return every setting of a run. Raises UnitError for what is not here any more, or was no job of one pass.

    pictures: files among which those are that it followed; None: a run that followed some is refused.
    """
    controls: Sequence[ControlUnit] = ()
    if pictures is not None:
        controls = controls_of_run(run, resources, pictures)
        settings = {name: value for name, value in run.settings.items() if not name.startswith(control_key())}
        run = replace(run, settings=settings)
    requests = requests_of(run)
    units: dict[int, Unit] = {one.number: _unit(one, resources) for one in run.units if isinstance(one.number, int)}
    return Again(tuple(units.get(at, Unit()) for at in range(max(units, default=-1) + 1)), requests, tuple(controls))


def requests_of(run: Run) -> tuple[Request, ...]:
    """Return one request for each picture of a run. Raises UnitError for one that was no job of one pass."""
    if not run.pictures:
        raise UnitError(f"{run.id} has no picture to draw again.")
    if any(name.startswith(control_key()) for name in run.settings):
        raise UnitError(
            f"{run.id} followed a control picture, which is not kept. Draw it anew, and give the picture "
            f"(journal again {run.id} --picture FILE)."
        )
    try:
        width, height = (int(side) for side in run.settings["Size"].split("x"))
        steps, cfg = int(run.settings["Steps"]), float(run.settings["CFG scale"])
    except (KeyError, ValueError) as error:
        raise UnitError(f"{run.id} does not say how it was drawn ({error}). Draw it where it was drawn.") from error
    return tuple(
        Request(run.prompt if one.prompt is None else one.prompt, run.negative, (width, height), steps, cfg, one.seed)
        for one in run.pictures
    )


def at_weight_0(session: Session, run: Run, pictures: Sequence[Drawn]) -> list[NDArray[np.uint8]]:
    """Return what the settings of some of a run's pictures give at weight 0, RGB [H, W, 3] each. Raises FaceIDError."""
    if (host := run.versions.get("host", HOST)) != HOST:
        raise UnitError(
            f"{run.id} was drawn by {host}, and would differ here. Draw it there at weight 0 and name the file."
        )
    checkpoint = checkpoint_of(run, session.resources)
    requests = requests_of(replace(run, pictures=tuple(pictures)))
    return [np.asarray(without_people(session, checkpoint, one).convert("RGB")) for one in requests]


def draw_again(
    session: Session, run: Run, journal: Journal, pictures: Sequence[Path] = ()
) -> Iterator[tuple[GeneratedImage, str]]:
    """Give each picture of a run as it is drawn now, and whether it is the same: `SAME`, or what differs first.

    pictures: files among which those are that it followed, known by their pixels' hash. Raises FaceIDError where it
    cannot be drawn here.
    """
    resources = session.resources
    asked = again(run, resources, pictures)
    checkpoint = checkpoint_of(run, resources)
    job = session.job(asked.units, asked.requests[0], asked.controls)
    prepared = session.prepare(job, checkpoint)
    now = {one.number: used_unit(one, "").references for one in prepared}
    why = _other_net(run, job) or first_difference(run, journal, resources, checkpoint, now)
    for drawn, generated in zip(run.pictures, session.draw(checkpoint, job, asked.requests), strict=False):
        is_same = pixels_sha256(generated.image) == drawn.pixels_sha256
        yield generated, SAME if is_same else why or "Other pixels, though all that the journal knows of is the same."


def _other_net(run: Run, job: Job) -> str:
    """Return in a sentence which unit's ControlNet is another file now; "" where none is, or none was written down."""
    now = nets_of(job.prepared, job.controls)
    changed = next((user for user, digest in run.nets.items() if now.get(user) != digest), "")
    return f"{changed}: its ControlNet is another file now (another SHA-256), or not here." if changed else ""


def first_difference(
    run: Run, journal: Journal, resources: Resources, checkpoint: Path, references: Mapping[int | str, Sequence[str]]
) -> str:
    """Return in a sentence the first thing that is not as it was; "" where all is. references: of the units now."""
    for unit in run.units:
        if not set(unit.references) <= set(references.get(unit.number, ())):
            who = " | ".join(unit.people) or "the photos"
            return f"FaceID {unit.number}: {who} changed since (another hash)."
        name = str(unit.settings.get("adapter"))
        if unit.adapter_sha256 != journal.sha256(file_of(name, resources.models().adapter_files())):
            return f"FaceID {unit.number}: the adapter {name} is another file of that name (another SHA-256)."
    if run.checkpoint_sha256 != journal.sha256(checkpoint):
        return f"The checkpoint {run.checkpoint} is another file of that name (another SHA-256)."
    now = versions(HOST)
    changed = next((name for name in now if run.versions.get(name) != now[name]), "")
    return f"{changed} was {run.versions.get(changed, 'unknown')} and is {now[changed]} now." if changed else ""


def checkpoint_of(run: Run, resources: Resources) -> Path:
    """Return the checkpoint that a run was drawn with, by its name. Raises FaceIDError where it is not here."""
    named = resources.checkpoint
    return named if named and checkpoint_name(named) == run.checkpoint else resources.checkpoint_of(run.checkpoint)


def _unit(used: UsedUnit, resources: Resources) -> Unit:
    """Return a unit of its settings and whoever is saved of its people or photos."""
    library = resources.people()
    names = used.people or tuple(filter(None, [_saved_of(used, resources)]))
    if not names:
        hashes = ", ".join(one[:8] for one in used.references)
        raise UnitError(
            f"FaceID {used.number} was drawn from photos that nobody saved ({hashes}). Save the person first."
        )
    missing = next((name for name in names if name not in library.names()), "")
    if missing:
        raise UnitError(f"FaceID {used.number} drew {missing!r}, who is not in the library any more.")
    negative = names_of("negative_images")
    settings = {name: value for name, value in used.settings.items() if name not in negative}
    if any(used.settings.get(name) for name in (*negative, "pose")) or settings.get("region") == "mask":
        raise UnitError(
            f"FaceID {used.number} had a mask, a pose or a photo of somebody to lead away from, which are not kept."
        )
    return Unit.from_dict({"enabled": True, **settings, "person": " | ".join(names)})


def _saved_of(used: UsedUnit, resources: Resources) -> str:
    try:
        found = resources.people().made_from([one[:8] for one in used.references])
    except FaceIDError:
        return ""
    return found.name if found else ""
