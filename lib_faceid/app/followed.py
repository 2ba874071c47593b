"""What a run of the journal followed, found again: nets by their names, pictures by the hash that its settings tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib_faceid.app.resources import Resources
from lib_faceid.errors import UnitError
from lib_faceid.journal.run import Run
from lib_faceid.models.folders import net_name
from lib_faceid.models.hashes import own_hashes
from lib_faceid.pictures.photo import photo_sha256, read_photo
from lib_faceid.units.control import ControlUnit, control_from_infotext, control_key

__all__ = ["controls_of_run"]

NUMBERED = re.compile(re.escape(control_key()) + r"([0-9]{1,3})")
PICTURE = re.compile(r"(?:^|, )picture: ([0-9a-f]{8})(?:,|$)")
OFF = ControlUnit("none", hint="head", strength=0)  # holds the place of one that was off
MISSING = (
    "{run} followed a picture ({digest}), which is not kept, and none of the {count} that were named has that hash. "
    "Name its file: journal again {run} --picture FILE"
)


def controls_of_run(run: Run, resources: Resources, pictures: Sequence[Path]) -> list[ControlUnit]:
    """Return the control units of a run by their numbers. pictures: files among which those that it followed are.

    Raises UnitError where a picture or a net is not there, PhotoError for a file that is no picture.
    """
    lines = {int(found[1]): str(line) for name, line in run.settings.items() if (found := NUMBERED.fullmatch(name))}
    if not lines:
        return []
    by_hash = {photo_sha256(read_photo(path))[:8]: path for path in pictures}
    found = {number: _control(run, number, line, by_hash, resources) for number, line in lines.items()}
    return [found.get(number, OFF) for number in range(max(found) + 1)]


def _control(run: Run, number: int, line: str, pictures: Mapping[str, Path], resources: Resources) -> ControlUnit:
    told = control_from_infotext(run.settings, number)
    if not told:
        raise UnitError(f"{run.id} does not say what {control_key(number)} was. Draw it anew.")
    digest = found[1] if (found := PICTURE.search(line)) else ""
    if digest and digest not in pictures:
        raise UnitError(MISSING.format(run=run.id, digest=digest, count=len(pictures)))
    name = told.pop("net")
    nets = [path for path in resources.nets().values() if net_name(path) == name]
    if not nets:
        raise UnitError(f"{run.id} followed the net {name}, which is not in models/ControlNet. Put its file there.")
    same = (path for path in nets if own_hashes(resources.roots).of(path) == run.nets.get(control_key(number)))
    net = next(same, nets[0]) if len(nets) > 1 else nets[0]
    return ControlUnit(net, pictures.get(digest), **told)
