"""Units that write their person into the prompt: what such a unit can set, and all of a job's together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from lib_faceid.effects.text import Person, Writing
from lib_faceid.errors import UnitError
from lib_faceid.jobs.passes import of_images
from lib_faceid.methods.adapter import Adapter
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.jobs.preparing import Prepared

__all__ = ["require_writable", "writing_of"]


def require_writable(unit: Unit, adapter: Adapter) -> None:
    """Raise UnitError for a setting that a person in the text cannot have; other adapters take all of them."""
    trigger = adapter.variant.trigger
    if not trigger:
        return
    what = f"{adapter.variant.label} writes the person into the prompt"
    if unit.region != EVERYWHERE:
        raise UnitError(
            f"{what}, which acts in the whole picture: the region '{unit.region}' cannot hold. Set region to "
            f"'{EVERYWHERE}'; several people are told apart by the prompt: a man {trigger} on the left, a woman "
            f"{trigger} on the right."
        )
    if not unit.layers.is_even:
        raise UnitError(f"{what}, which all layers read. Set the weight type to 'linear', and no layer weights.")
    if unit.negative_images or unit.noise:
        raise UnitError(f"{what}, and nothing into the negative one. Leave 'Less like' and the identity noise out.")


def writing_of(everybody: Iterable[Prepared], images: range, *, hires: bool) -> Writing | None:
    """Return what the units write into the texts of a pass, in their order; None where none of them writes."""
    people = [
        Person(
            replace(one.text, sources=of_images(one.text.sources, images)),
            one.schedule if one.unit.acts_in(hires=hires) else None,
        )
        for one in everybody
        if one.text is not None
    ]
    return Writing(people) if people else None
