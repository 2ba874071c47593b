"""What a manifest may name: the people, checkpoints and adapters of whoever draws it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lib_faceid.errors import FaceIDError, MissingModelError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.units.tags import Names, nobody

__all__ = ["Known", "require_named"]


def _plain(_: str) -> Request:
    return Request("")


@dataclass(frozen=True)
class Known:
    """What is there. None: nobody could say, so that any name is taken."""

    names: Names | None = nobody
    """Saved people and images."""
    checkpoints: Sequence[str] | None = None
    """Names; files may be named besides, where `reads_files` is true."""
    adapters: Sequence[str] | None = None
    checkpoint: str = ""
    """What is drawn with where a row names none."""
    usual: Callable[[str], Request] = field(default=_plain)
    """What suits a checkpoint where a row says nothing."""
    nets: Sequence[str] | None = None
    """ControlNets and T2I-Adapters; files may be named besides."""
    no_controls: str = ""
    """Why no picture can follow one here; "" where it can."""
    reads_files: bool = True
    """Whether checkpoints, adapters and people may be files of this machine."""


def require_named(name: str, there: Sequence[str], what: str, where: str) -> None:
    """Raise MissingModelError where a name is not among those that are there."""
    if name in there:
        return
    near = difflib.get_close_matches(name, there, n=1)
    meant = f" Did you mean '{near[0]}'?" if near else ""
    shown = ", ".join(sorted(there)[:20]) or "none at all"
    error: FaceIDError = MissingModelError(f"there is no {what} '{name[:60]}'.{meant} Found: {shown}. {where}")
    raise error
