"""How the WebUI's last pictures look, and the job at weight 0 that the diagnosis compares one of them with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib_faceid.diagnosis.last_looks import LastLooks
from lib_faceid.hosts.webui.inner import is_inner
from lib_faceid.hosts.webui.passes import flat_pixels
from lib_faceid.hosts.webui.pictures import pictures_of
from lib_faceid.hosts.webui.probes import aims, is_probe, set_aimed
from lib_faceid.hosts.webui.scores import scores_by_image
from lib_faceid.units.aim_request import is_plain
from lib_faceid.units.overrides import override

__all__ = ["INFOTEXT_KEY", "LOOKS", "begin_plain", "keep_looks"]

INFOTEXT_KEY = "FaceID compared"
"""What the metadata say of a picture at weight 0 under; by it the page's script knows when the comparison is there."""
LOOKS = LastLooks()


def begin_plain(p: Any, args: Sequence[Any]) -> None:
    """Where the page asks for it, have a job drawn as one picture at weight 0."""
    if is_plain(args) and not (aims(p) or is_inner(p)):
        set_aimed(p)
        override(p, None, "weight", 0.0)
        p.extra_generation_params[INFOTEXT_KEY] = "all units at weight 0"


def keep_looks(p: Any, processed: Any) -> None:
    """After a job: look at its pictures where somebody looked for people in them, and at one at weight 0."""
    if is_probe(p) or is_inner(p):
        return
    scores, is_at_0 = scores_by_image(p), INFOTEXT_KEY in p.extra_generation_params
    if not scores and not is_at_0:
        return
    for number, (image, infotext) in enumerate(pictures_of(processed)):
        if is_at_0:
            LOOKS.keep_plain(infotext, flat_pixels(image))
        elif number in scores:
            LOOKS.keep(infotext, flat_pixels(image), scores[number])
