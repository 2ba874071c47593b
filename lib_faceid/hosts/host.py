"""What every host is: the one protocol behind which the page, the HTTP API and a job see the program around them.

A host is a folder here. What differs while a picture is sampled (which rows of a UNet call are whose, how far the pass
is, where hooks go in and out) stays inside that folder: it drives a `Job` (`attach`, `detach`) and its `Injection`
(`set_rows` or `expect_tags`, `set_progress`), and nothing else in the house asks which host it is.
"""

from __future__ import annotations

from typing import Protocol

from lib_faceid.effects.effect import EffectKind
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import Roots

__all__ = ["Host"]


class Host(Protocol):
    """A program in which pictures are drawn. Everything is asked anew each time: users change it while it runs."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def carries(self) -> frozenset[EffectKind]:
        """The kinds of effects that it can apply; a unit that has another is refused in words."""
        ...

    def roots(self) -> Roots:
        """Return the folders in which its models lie."""
        ...

    def base(self) -> int | None:
        """Return the cross attention dimension of the loaded checkpoint; None while none is loaded."""
        ...

    def models(self) -> Models:
        """Return where its models come from."""
        ...
