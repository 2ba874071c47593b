"""ADetailer's inner passes: it draws each face again as a job of its own, from which it leaves our script out.

Its jobs carry `_ad_inner`, and callbacks of the sampler reach us all the same: so the units come along by themselves,
whatever ADetailer's list of scripts says, and never twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib_faceid.hosts.webui.job import WebUIJob
from lib_faceid.hosts.webui.passes import whole_picture
from lib_faceid.hosts.webui.prompts import units_of_tags_in
from lib_faceid.units.inner_pass import acts_by, of_image, units_for_part
from lib_faceid.units.region import WHOLE, Box
from lib_faceid.units.unit import LIKENESS, ONE_EACH, Unit

__all__ = ["inner_units", "is_inner"]

ALONE = "FaceID: ADetailer's faces are drawn by the adapters alone, without their ControlNets."


def is_inner(p: Any) -> bool:
    """Say whether this is the job of one face inside another job."""
    return bool(getattr(p, "_ad_inner", False))


def inner_units(outer: WebUIJob, p: Any) -> tuple[list[Unit], list[Unit]]:
    """Return the outer job's units as they act on the face that `p` draws again: the page's, and those called.

    A prompt of the face's own that calls somebody else has the last word on that. Raises UnitError for it.
    """
    part = _part(p)
    everybody = [of_image(unit, outer.image) for unit in (*outer.units, *outer.tagged)]
    overlaps = [outer.overlap(number, part) for number in outer.numbers]
    # Faces may be drawn twice, or be left out, in any order: it is the face that counts, and not the job.
    alike = [number for number, unit in zip(outer.numbers, everybody, strict=True) if acts_by(unit, LIKENESS)]
    face, owner = 0, None
    if len(alike) > 1 or sum(acts_by(unit, ONE_EACH) for unit in everybody) > 1:
        face, owner = outer.face_and_owner(part, whole_picture(p), alike)
    acting = units_for_part(everybody, overlaps, face, None if owner is None else outer.numbers.index(owner))
    if any(one.control for one in outer.prepared):
        outer.say(ALONE)
    count = len(outer.units)
    own = [] if p.disable_extra_networks else units_of_tags_in(p)
    alone = [replace(unit, net_weight=0.0) for unit in own]
    return acting[:count], alone if own and own != everybody[count:] else acting[count:]


def _part(p: Any) -> Box:
    """Return where the face is in the picture."""
    mask = p.image_mask
    if mask is None or (found := mask.convert("L").getbbox()) is None:
        return WHOLE
    return Box.from_px(found, *mask.size)
