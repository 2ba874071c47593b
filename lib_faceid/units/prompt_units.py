"""Whom the prompts of a job call, put together: for the passes of hires fix, and for the images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_faceid.errors import UnitError
from lib_faceid.units.tags import tag_for
from lib_faceid.units.unit import Unit

__all__ = ["units_of_batch", "units_of_passes"]


def units_of_passes(first: Sequence[Unit], hires: Sequence[Unit]) -> list[Unit]:
    """Return the units of hires fix: those that both prompts call act as they say, the others in their own pass only.

    Raises UnitError for one that says it acts where its prompt does not count.
    """
    left, units = list(hires), list[Unit]()
    for unit in first:
        if unit in left:
            left.remove(unit)
            units.append(unit)
        else:
            units.append(_only_in("first", unit))
    return units + [_only_in("hires", unit) for unit in left]


def units_of_batch(images: Sequence[Sequence[Unit]]) -> list[Unit]:
    """Return the units of images that are drawn together, each of which calls these.

    Where they differ in names alone, each image gets its own person. Raises UnitError where they differ otherwise:
    what a unit sets counts for all images of a batch, its LoRA too.
    """
    first = images[0] if images else ()
    for number, image in enumerate(images):
        if [replace(unit, person="") for unit in image] != [replace(unit, person="") for unit in first]:
            one, other = (" ".join(_tag(unit) for unit in units) or "nobody" for units in (first, image))
            raise UnitError(
                f"The images of one batch call people differently: {one} in image 1, {other} in image {number + 1}. In "
                f"one batch only the names may differ. Set the batch size to 1, and the batch count to the number of "
                f"images."
            )
    return [_one_each(units) for units in zip(*images, strict=True)]


def _tag(unit: Unit) -> str:
    return tag_for(unit.person, unit.weight, "image" if unit.purpose == "image" else "person")


def _one_each(units: Sequence[Unit]) -> Unit:
    names = [unit.person for unit in units]
    if len(set(names)) == 1:
        return units[0]
    return replace(units[0], person=" | ".join(names), batch="one each")


def _only_in(which: str, unit: Unit) -> Unit:
    if unit.hires not in ("both", which):
        raise UnitError(
            f"A tag calls {unit.person!r} with hires={unit.hires}, and stands in the prompt of the other pass only. "
            f"Write it into that pass's prompt, or into both."
        )
    return replace(unit, hires=which)
