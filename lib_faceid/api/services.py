"""What the HTTP API needs from the program around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.inventory.check import SetupReport
from lib_faceid.people.library import People
from lib_faceid.pictures.requested import RequestPolicy

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = ["ApiServices"]


def _journal() -> Journal:
    from lib_faceid.journal.journal import open_journal

    return open_journal()


@dataclass(frozen=True)
class ApiServices:
    """What the program around gives the API. Each is asked only when a request needs it, and may raise FaceIDError."""

    setup: Callable[[], SetupReport]
    face_analyser: Callable[[], FaceAnalyser]
    clip_vision: Callable[[str], ClipVision]
    """Gives an image encoder by its name in feature keys."""
    people: Callable[[], People]
    policy: Callable[[], RequestPolicy]
    unload: Callable[[], None]
    """Frees the memory that models and known photos take."""
    templates_folder: Callable[[], Path | None] = lambda: None
    """Where a team's prompt templates lie."""
    journal: Callable[[], Journal] = _journal
    """Gives the journal, whether or not it is kept."""
