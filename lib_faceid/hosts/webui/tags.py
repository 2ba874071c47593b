"""`<faceid:NAME>` and `<image:NAME>` as two of the WebUI's extra networks.

The WebUI cuts tags out of the prompts of each batch and then activates the networks: after styles, wildcards and
whatever else writes prompts, and in every job that draws, also where our script takes no part. There people are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modules import extra_networks

from lib_faceid.hosts.webui.prompts import has_tags, units_of_tags_in
from lib_faceid.hosts.webui.sampling import say
from lib_faceid.hosts.webui.script import apply_loras, call, end, is_in_step, is_part, refuse
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.tags import NETWORKS

__all__ = ["FaceIDNetwork", "ImageNetwork", "register", "say_if_off"]


class FaceIDNetwork(extra_networks.ExtraNetwork):  # pyright: ignore[reportUntypedBaseClass]
    """Calls people before each batch. The hires pass is prepared with it: its tags are known by then."""

    def __init__(self, before_part: Callable[[], None]) -> None:
        """before_part: called where a face inside a job of ours is about to be drawn, mostly without our script."""
        super().__init__(NETWORKS["person"])
        self._before_part = before_part

    def activate(self, p: Any, params_list: Sequence[Any]) -> None:
        """Have `p` draw the units of the coming batch's prompt tags.

        What is wrong ends the job, as the WebUI swallows exceptions.
        """
        if is_part(p):
            self._before_part()
            return
        if p.is_hr_pass or is_in_step(p):
            return
        p.extra_generation_params.pop(infotext_key("tags"), None)
        try:
            call(p, units_of_tags_in(p))
        except Exception as error:  # noqa: BLE001 - the host would swallow it and draw somebody else
            refuse(p, error, "sample", "tags")
            call(p, ())

    def deactivate(self, p: Any) -> None:
        """Close the job of a `p` that has drawn: nobody else does where our script took no part.

        Tiled Diffusion's region control goes through a round of its own for each region, in the middle of each step.
        """
        if is_in_step(p):
            apply_loras(p)
        else:
            end(p)


class ImageNetwork(extra_networks.ExtraNetwork):  # pyright: ignore[reportUntypedBaseClass]
    """Has the WebUI cut the tags of images out of prompts. `FaceIDNetwork`, activated for every batch, calls them."""

    def __init__(self) -> None:
        super().__init__(NETWORKS["image"])

    def activate(self, p: Any, params_list: Sequence[Any]) -> None:
        """Do nothing."""

    def deactivate(self, p: Any) -> None:
        """Do nothing."""


def register(before_part: Callable[[], None]) -> None:
    """Tell the WebUI of the tags; before_part: see `FaceIDNetwork`."""
    extra_networks.register_extra_network(FaceIDNetwork(before_part))
    extra_networks.register_extra_network(ImageNetwork())


def say_if_off(p: Any) -> None:
    """Say that tags were ignored, in a job whose extra networks are switched off."""
    if p.disable_extra_networks and has_tags(p):
        say(p, "The prompt's <faceid:...> and <image:...> tags were ignored: this job has its extra networks off.")
