"""The pictures of an evaluation, drawn through the engine. A picture that is on the disk is not drawn again."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from lib_faceid.app.session import Session
from lib_faceid.evaluation.plan import ALONE, Cell, Lines, Plan
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models, file_of
from lib_faceid.jobs.job import Job
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.units.job_options import UNSCORED
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import AUTO, Photo, Unit
from lib_faceid.whole_files import being_written

__all__ = ["draw_cells", "path_of"]

SIDES = ("left", "right")
MIB = 1024 * 1024


def draw_cells(plan: Plan, session: Session, checkpoint: Path, out: Path, say: Callable[[str], None]) -> Lines:
    """Draw what is missing into the folder `out`, and return the rows of all pictures. Raises FaceIDError."""
    lines = Lines(out / "pictures.jsonl")
    cells = [cell for cell in plan.cells() if not _is_done(lines, cell, out)]
    done = sum(1 for _ in plan.cells()) - len(cells)
    say(f"{len(cells)} pictures to draw, {done} are there.")
    for (adapter, people), group in itertools.groupby(cells, key=lambda cell: (cell.adapter, cell.people)):
        models = session.resources.models()
        job = Job(_units(plan, adapter, people, models), models)
        for cell, row in _drawn(plan, session, checkpoint, job, list(group), out):
            lines.add(row)
            who = " and ".join(cell.people) or "nobody"
            name = Path(cell.adapter).name or "the checkpoint alone"
            say(f"{len(lines.rows)}. {name}, {who}, seed {cell.seed}: {row['seconds']} s")
    return lines


def path_of(out: Path, cell: Cell) -> Path:
    """Return the file of a picture: its name says what it is to a person and to nobody else."""
    digest = hashlib.sha256(cell.key.encode(errors="surrogatepass")).hexdigest()[:16]
    return out / "pictures" / f"{digest}-{cell.seed}.png"


def _is_done(lines: Lines, cell: Cell, out: Path) -> bool:
    row, path = lines.rows.get(cell.key), path_of(out, cell)
    return row is not None and path.is_file() and sha256_of(path) == row.get("sha256")


def _units(plan: Plan, adapter: str, people: Sequence[str], models: Models) -> list[Unit]:
    if adapter == ALONE:
        return []
    purpose = "person" if adapter == AUTO else identify_adapter(file_of(adapter, models.adapter_files())).purpose
    places = SIDES if len(people) > 1 else (EVERYWHERE,)
    return [
        Unit(
            enabled=True,
            purpose=purpose,
            images=(Photo(plan.subject(name).photos[0]),),
            adapter=adapter,
            weight=plan.weight,
            lora=plan.lora,
            region=place,
        )
        for name, place in zip(people, places, strict=True)
    ]


def _drawn(
    plan: Plan, session: Session, checkpoint: Path, job: Job, cells: Sequence[Cell], out: Path
) -> Iterator[tuple[Cell, dict[str, object]]]:
    (out / "pictures").mkdir(exist_ok=True)
    requests = [Request(cell.prompt, "", plan.size_px, plan.steps, plan.cfg, cell.seed) for cell in cells]
    _forget_peak()
    for cell, generated in zip(cells, session.draw(checkpoint, job, requests, options=UNSCORED), strict=True):
        path = path_of(out, cell)
        with being_written(path) as part:
            generated.image.save(part, "PNG")
        yield (
            cell,
            {
                "key": cell.key,
                "adapter": cell.adapter,
                "people": list(cell.people),
                "prompt": cell.prompt,
                "seed": cell.seed,
                "seconds": round(generated.seconds, 3),
                "memory_mib": _peak_mib(),
                "file": path.relative_to(out).as_posix(),
                "sha256": sha256_of(path),
            },
        )


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_mib() -> int | None:
    """Return the most memory so far: of the GPU, else of the process, where the system says it."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / MIB)
    try:
        import resource
    except ImportError:  # Windows
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
