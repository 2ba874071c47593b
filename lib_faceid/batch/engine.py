"""What draws: a number of workers, each of which is asked for one picture after the other.

An engine is anything with `places`; a worker is opened in a thread of its own and pulls: it gets the next picture when
it has given the last one, so that a slow one draws fewer. Which is asked for what, and what becomes of it, is `pull`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lib_faceid.batch.index import Task
from lib_faceid.errors import FaceIDError

__all__ = ["Drawn", "Engine", "LostError", "Worker"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A finished picture."""

    png: bytes
    record: Mapping[str, Any]
    """What is written beside it: nothing that depends on who drew it, or when."""
    likeness: float | None
    seconds: float
    run: Mapping[str, Any] | None = None
    """It as a run of the journal; None where nothing is written down."""


class LostError(FaceIDError):
    """The worker is gone, hangs or is out of order; its picture goes to another one.

    counts: whether the picture may be the cause, so that it is not tried for ever; is_said: whether people are told.
    """

    def __init__(self, sentence: str, *, counts: bool = True, is_said: bool = True) -> None:
        super().__init__(sentence)
        self.counts, self.is_said = counts, is_said


class Worker(Protocol):
    """What draws one picture at a time. Its methods are called by one thread."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def draw(self, task: Task) -> Drawn:
        """Return the picture. Raises LostError, or another FaceIDError that says why this picture cannot be drawn."""
        ...

    def revive(self) -> float | None:
        """Return after how many seconds to try again after a LostError; 0: it is back; None: it is given up."""
        ...

    def close(self) -> None:
        """Let go of everything. Also called by another thread, to end what is being drawn."""
        ...


class Engine(Protocol):
    """A kind of workers."""

    name: str
    attempts: int
    """So often a picture is begun that loses its worker."""

    def places(self) -> Sequence[str]:
        """Return the names of the workers that there can be now; it is asked from time to time."""
        ...

    def open(self, place: str) -> Worker:
        """Return a worker, ready to draw. Raises FaceIDError."""
        ...
