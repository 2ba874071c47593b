"""`python -m lib_faceid journal diagnose` and `try`: what went wrong in a run, and that run with one thing changed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands.values import text
from lib_faceid.errors import UnitError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lib_faceid.journal.run import Run
    from lib_faceid.models.folders import Roots

__all__ = ["add_diagnose_run", "add_try"]

DRAWN = Path()  # no file: drawn by us

Options = argparse.Namespace
RootsOf = Callable[[Options], "Roots"]


def add_diagnose_run(command: argparse.ArgumentParser, roots_of: RootsOf) -> None:
    """Give a parser the options of `journal diagnose`."""
    command.set_defaults(run=lambda options: _diagnose(options, roots_of(options)))
    command.add_argument(
        "--not-it", type=text, metavar="ROW", help="a row of the map that is not it: never first again"
    )
    command.add_argument(
        "--plain", type=Path, nargs="?", const=DRAWN, metavar="FILE",
        help="compare its look with that of the same settings at weight 0: a picture, or without FILE one drawn now",
    )  # fmt: skip


def add_try(command: argparse.ArgumentParser, roots_of: RootsOf) -> None:
    """Give a parser the options of `journal try`."""
    command.set_defaults(run=lambda options: _try(options, roots_of(options)))
    command.add_argument("--row", type=text, default="", help="whose change is tried (the likeliest that can be)")
    command.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="(%(default)s)")
    command.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")


def _diagnose(options: Options, roots: Roots) -> None:
    from lib_faceid.commands.diagnose import words_of
    from lib_faceid.diagnosis.kept import diagnose_run, facts_of_run, say_not_it
    from lib_faceid.journal.journal import open_journal

    journal = open_journal(roots)
    run = journal.run(options.RUN)
    if options.not_it:
        say_not_it(journal, run.number, options.not_it)
    facts = facts_of_run(run, _plain(run, options.plain, roots)) if options.plain else None
    found = diagnose_run(journal, run.number, facts)
    print(json.dumps(found.as_dict(), indent=2) if options.json else words_of(run.id, found))


def _plain(run: Run, given: Path, roots: Roots) -> list[NDArray[np.uint8]]:
    """Return what the settings of a run's pictures give at weight 0: the picture that was given, or drawn now."""
    from lib_faceid.app.again import at_weight_0
    from lib_faceid.app.resources import Resources
    from lib_faceid.app.session import Session
    from lib_faceid.diagnosis.kept import looked_at
    from lib_faceid.pictures.photo import read_photo

    if not looked_at(run):
        raise UnitError(f"The pictures of {run.id} are not where they were: there is nothing to compare with.")
    return at_weight_0(Session(Resources(roots)), run, looked_at(run)) if given == DRAWN else [read_photo(given)]


def _try(options: Options, roots: Roots) -> None:
    from lib_faceid.app.again import checkpoint_of
    from lib_faceid.app.one_change import with_change
    from lib_faceid.app.resources import Resources
    from lib_faceid.commands.drawing import draw
    from lib_faceid.commands.outputs import require_folder
    from lib_faceid.diagnosis.kept import diagnose_run, to_try, try_change
    from lib_faceid.journal.journal import open_journal

    roots = replace(roots, face_models=options.face_models) if options.face_models else roots
    journal, resources = open_journal(roots), Resources(roots)
    run = journal.run(options.RUN)
    require_folder(options.out)
    one = to_try(diagnose_run(journal, run.number), options.row)
    asked, settings = with_change(run, one.change.as_dict(), resources)
    resources = replace(resources, checkpoint=checkpoint_of(run, resources))
    try_change(journal, run.number, one.change, one.row.id)
    print(f"{run.id}: {one.change.words}")
    draw(resources, asked.units, asked.requests, options.out, print, settings)
