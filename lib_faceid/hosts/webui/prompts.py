"""Whom the WebUI's prompts call: each batch, each pass of hires fix, each image has its own prompt.

What the WebUI has cut out of a prompt has the last word, but it keeps that of a batch's first image only; so the
prompts themselves are read as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from lib_faceid.hosts.webui.settings import roots
from lib_faceid.people.library import open_library
from lib_faceid.units.overrides import with_overrides
from lib_faceid.units.prompt_units import units_of_batch, units_of_passes
from lib_faceid.units.tags import NETWORKS, Names, Tag, find_tags, refuse_negative, units_of
from lib_faceid.units.unit import PURPOSES, Unit

__all__ = ["has_tags", "units_of_tags_in"]


def units_of_tags_in(p: Any) -> list[Unit]:
    """Return the units that the coming batch calls. Before the first one, the prompts of all are judged.

    Raises UnitError.
    """
    names = cache(open_library(roots()).names)
    batches = {batch: _of_batch(p, batch, names) for batch in (range(p.n_iter) if p.iteration == 0 else [p.iteration])}
    return with_overrides(batches[p.iteration], p, are_numbered=False)


def has_tags(p: Any) -> bool:
    """Say whether the WebUI has cut tags out of the prompts of the batch at hand."""
    return any(_activated(p, "extra_network_data") + _activated(p, "hr_extra_network_data"))


def _of_batch(p: Any, batch: int, names: Names) -> list[Unit]:
    for name in ("all_negative_prompts", "all_hr_negative_prompts"):
        for negative in _slice(p, name, batch):
            refuse_negative(negative)
    first = _units(p, ("all_prompts", "extra_network_data"), batch, names)
    if not getattr(p, "enable_hr", False):
        return units_of_batch(first)
    hires = _units(p, ("all_hr_prompts", "hr_extra_network_data"), batch, names)
    return units_of_batch([units_of_passes(*both) for both in zip(first, hires, strict=True)])


def _units(p: Any, sources: tuple[str, str], batch: int, names: Names) -> list[list[Unit]]:
    """Return the units of each image of a batch, from its prompts and from what the WebUI cut out of the first one."""
    tags = [find_tags(prompt)[1] for prompt in _slice(p, sources[0], batch)]
    if batch == p.iteration and (cut := _activated(p, sources[1])) != tags[:1]:
        tags = cut  # somebody changed the batch's prompts; the first one's networks are for all
    tags += tags[-1:] * (p.batch_size - len(tags))
    return [units_of(one, names) for one in tags]


def _slice(p: Any, name: str, batch: int) -> Sequence[str]:
    prompts: Sequence[str] = getattr(p, name, None) or ()
    return prompts[batch * p.batch_size : (batch + 1) * p.batch_size]


def _activated(p: Any, name: str) -> list[tuple[Tag, ...]]:
    """Return the tags that the WebUI cut out of a batch's first prompt, as a list of one; [] before any batch."""
    data = getattr(p, name, None)
    if data is None:
        return []
    return [tuple(Tag(":".join(tag.items), one) for one in PURPOSES for tag in data.get(NETWORKS[one], ()))]
