"""What the HTTP API needs from the program around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lib_faceid.clip_vision import ClipVision
from lib_faceid.faces import FaceAnalyser
from lib_faceid.identity import Identity
from lib_faceid.record import Record
from lib_faceid.request_images import RequestPolicy
from lib_faceid.setup_check import SetupReport

__all__ = ["ApiServices", "People"]


class People(Protocol):
    """The library of saved people. Every method raises FaceIDError for a name that cannot be, or is not there."""

    def names(self) -> Sequence[str]:
        """Everybody in it, sorted."""
        ...

    def load(self, name: str) -> Identity:
        """One of them."""
        ...

    def save(self, name: str, identity: Identity, record: Record, *, is_replacing: bool = False) -> None:
        """Keep somebody; one who is there already only where that is said."""
        ...

    def delete(self, name: str) -> None:
        """Forget somebody for good."""
        ...


@dataclass(frozen=True)
class ApiServices:
    """What the program around gives the API. Each is asked only when a request needs it, and may raise FaceIDError."""

    setup: Callable[[], SetupReport]
    face_analyser: Callable[[], FaceAnalyser]
    clip_vision: Callable[[], ClipVision]
    people: Callable[[], People]
    policy: Callable[[], RequestPolicy]
    unload: Callable[[], None]
    """Frees the memory that models and known photos take."""
