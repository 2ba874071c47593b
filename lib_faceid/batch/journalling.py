"""Pictures of a batch in the journal, where that is on: written by the program that drives it, as they are saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lib_faceid.batch.engine import Drawn
from lib_faceid.batch.index import Task
from lib_faceid.errors import FaceIDError
from lib_faceid.journal.journal import open_journal
from lib_faceid.journal.run import Run
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.folders import Roots

__all__ = ["journal_of"]


def journal_of(roots: Roots, tag: str, say: Callable[[str], None]) -> Callable[[Task, Drawn, Path], None]:
    """Return what writes a picture down; each run gets the tag. What cannot be written is said once."""
    journal = open_journal(roots)
    problems: set[str] = set()

    def write(_task: Task, drawn: Drawn, path: Path) -> None:
        if drawn.run is None:
            return
        try:
            run = Run.from_dict(drawn.run)
            pictures = tuple(replace(one, path=str(path.absolute()), sha256=sha256_of(path)) for one in run.pictures)
            journal.add(replace(run, pictures=pictures, tags=(tag,)), finds_parent=False)
        except (FaceIDError, OSError) as error:
            if str(error) not in problems:
                problems.add(str(error))
                say(f"Not written into the journal: {error}")

    return write
