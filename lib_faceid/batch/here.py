"""What a manifest may name on this machine, by its folders; where there is no checkpoint, what the miniature brings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lib_faceid.app.beginnings import beginning, usual
from lib_faceid.app.resources import Resources
from lib_faceid.batch.known import Known
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.miniature.plus import TRAINED_PLUS_NAME
from lib_faceid.miniature.trained import STRANGER_NAME, TRAINED_ADAPTER, TRAINED_NAME
from lib_faceid.models.folders import DIFFUSERS_MODEL, find_adapters
from lib_faceid.units.tags import Names
from lib_faceid.units.unit import Purpose

__all__ = ["known_here", "request_of"]


def known_here(resources: Resources) -> Known:
    """Return what can be named here. Checkpoints and adapters are not opened."""
    there = resources.checkpoints()
    if not there and resources.checkpoint is None:
        adapters = tuple(Path(one).stem for one in (TRAINED_ADAPTER.name, TRAINED_PLUS_NAME))
        return Known(_only_stranger, (TRAINED_NAME,), adapters, TRAINED_NAME, request_of, nets=_nets(resources))
    files = find_adapters(resources.roots)
    first = str(resources.checkpoint) if resources.checkpoint else next(iter(there))
    adapters = tuple(name for path in files for name in (path.stem, path.name))
    usual_here = cache(lambda name: usual(there[name]) if name in there else request_of(name))
    return Known(_saved(resources), tuple(there), adapters, first, usual_here, nets=_nets(resources))


@cache
def request_of(checkpoint: str) -> Request:
    """Return what suits a checkpoint of that name or file where nothing is said, as `generate` draws it."""
    if Path(checkpoint).stem == TRAINED_NAME:
        return beginning(TRAINED_NAME)
    return usual(Path(checkpoint)) if Path(checkpoint).exists() else Request("")


def _nets(resources: Resources) -> Sequence[str]:
    """Return the names of nets; of one in a folder as diffusers saves it, also the folder's."""
    names = tuple(resources.nets())
    return (
        *names,
        *(name.removesuffix(f"/{DIFFUSERS_MODEL}") for name in names if name.endswith(f"/{DIFFUSERS_MODEL}")),
    )


def _only_stranger(purpose: Purpose) -> Sequence[str]:
    return (STRANGER_NAME,) if purpose == "person" else ()


def _saved(resources: Resources) -> Names:
    return cache(resources.people().names)
