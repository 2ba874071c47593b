"""`python -m lib_faceid batch`: hundreds of people in dozens of scenes from one manifest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands import values
from lib_faceid.commands.picture_options import add_face_models, resources_of
from lib_faceid.errors import UnitError

if TYPE_CHECKING:
    from lib_faceid.batch.reading import Manifest

__all__ = ["add_batch", "add_manifest", "defaults_of", "manifest_of", "refuse"]

Options = argparse.Namespace
SHOWN = 100


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Give a parser the commands below `batch`."""
    from lib_faceid.commands.batch_run import add_report, add_run

    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plan = commands.add_parser("plan", help="how many pictures, how long, and every mistake, before anything is drawn")
    plan.set_defaults(run=_plan)
    add_manifest(plan)
    add_run(commands.add_parser("run", help="draw it; what is there already stays, also after any end"))
    add_report(commands.add_parser("report", help="the page and the table of results anew, without drawing"))


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add what says which pictures: the manifest, and what its rows leave open."""
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="CSV, JSONL or YAML, one row for picture(s)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="of rows that name none (the first one there is)"
    )
    parser.add_argument("--faces", type=Path, metavar="DIR", help="the people library (models/faceid/faces)")
    parser.add_argument("--size", type=values.size, metavar="WxH", help="of rows without a size")
    parser.add_argument("--steps", type=values.steps, help="of rows without steps")
    parser.add_argument("--cfg", type=values.cfg, help="of rows without cfg")
    add_face_models(parser.add_argument)


def manifest_of(options: Options) -> Manifest:
    """Return the manifest that was named, by what is known on this machine."""
    from lib_faceid.batch.here import known_here
    from lib_faceid.batch.reading import Manifest

    return Manifest(options.manifest, known_here(resources_of(options)), defaults_of(options))


def defaults_of(options: Options) -> dict[str, object]:
    """Return what counts for rows that say nothing, as cells."""
    size = f"{options.size[0]}x{options.size[1]}" if options.size else None
    found = {"size": size, "steps": options.steps, "cfg": options.cfg}
    return {name: value for name, value in found.items() if value is not None}


def _plan(options: Options) -> None:
    from lib_faceid.batch.planning import plan_of
    from lib_faceid.batch.speed import last_speed

    manifest, roots = manifest_of(options), resources_of(options).roots
    plan = plan_of(manifest)
    known = last_speed(roots, "local", manifest.known.checkpoint)
    where = f", by {known[1]} worker{'s' if known[1] != 1 else ''}" if known else ""
    for line in plan.sentences(known[0] * known[1] if known else None, where):
        print(line)
    refuse(plan.mistakes, plan.mistakes_count, options.manifest)


def refuse(mistakes: tuple[object, ...], count: int, manifest: Path) -> None:
    """Print mistakes, and raise UnitError where there is one."""
    for one in mistakes[:SHOWN]:
        print(one)
    if count:
        shown = f" The first {SHOWN} are above." if count > SHOWN else ""
        raise UnitError(f"{manifest.name} has {count:,} mistake{'s' if count > 1 else ''}.{shown} Nothing was drawn.")
