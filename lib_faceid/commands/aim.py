"""`python -m lib_faceid aim`: the setting that makes the picture as alike as is wanted, with the curve to it."""

from __future__ import annotations

import argparse
import json

from lib_faceid.commands import values
from lib_faceid.commands.control_options import add_control_options, controls_of
from lib_faceid.commands.picture_options import add_picture_options, resources_of, seed_of
from lib_faceid.commands.unit_options import add_unit_options, units_of
from lib_faceid.likeness.aim import MOST_PROBES, Aim
from lib_faceid.units.aim_request import AIMED_FIELDS

__all__ = ["add_aim", "curve_text"]

BAR = 40  # letters for a likeness of 1


def add_aim(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `aim`."""
    parser.set_defaults(run=_aim)
    add_unit_options(parser)
    search = parser.add_argument_group(
        "what is searched for", f"At most {MOST_PROBES} pictures of one seed are drawn, and none is kept."
    )
    search.add_argument("--likeness", type=values.number(0, 1), required=True, metavar="0..1", help="the target")
    search.add_argument("--with", dest="name", choices=AIMED_FIELDS, default="weight", help="(%(default)s)")
    search.add_argument("--unit", type=values.whole(0, 9), default=0, metavar="N", help="whose, from 0 (%(default)s)")
    search.add_argument("--json", action="store_true", help="the same as data")
    add_picture_options(parser)
    add_control_options(parser)
    parser.set_defaults(count=1)


def _aim(options: argparse.Namespace) -> None:
    from lib_faceid.app.aiming import Aiming
    from lib_faceid.app.session import Session
    from lib_faceid.commands.drawing import requests_of
    from lib_faceid.jobs.aiming import goal_for

    units = units_of(options.units)
    goal = goal_for(units, options.unit, options.name, options.likeness)
    resources = resources_of(options, units)
    checkpoint = resources.find_checkpoint()
    (request,) = requests_of(options, checkpoint, seed_of(options.seed))
    controls = controls_of(options.controls)
    found = Aiming(Session(resources), checkpoint, units, request, options.unit, controls=controls).run(goal)
    print(json.dumps({"seed": request.seed, **found.as_dict()}) if options.json else curve_text(found))


def curve_text(found: Aim) -> str:
    """Return the curve as a table with bars, and the sentence."""
    goal = found.goal
    lines = [f"{goal.name:>9}  likeness  change"]
    for one in found.curve:
        likeness = "no face" if one.likeness is None else f"{one.likeness:.2f}"
        bar = "#" * round(BAR * max(one.counts, 0))
        bar = bar.ljust(round(BAR * goal.target)) + "|" if len(bar) <= BAR * goal.target else bar
        change = "" if one.change is None else f"{one.change:.3f}"
        mark = " <-" if one is found.proposed else ""
        lines.append(f"{one.value:9g}  {likeness:>8}  {change:>6}  {bar}{mark}")
    return "\n".join([*lines, found.sentence()])
