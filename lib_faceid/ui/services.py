"""What the page asks its host for. Everything may fail: the page shows the sentence and goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lib_faceid.diagnosis.facts import Facts
from lib_faceid.diagnosis.reading import facts_of_parameters
from lib_faceid.encoders.crops import Crop
from lib_faceid.errors import FaceIDError, HostError
from lib_faceid.inventory.check import SetupReport
from lib_faceid.inventory.measured import Measurement
from lib_faceid.methods.method import Variant
from lib_faceid.models.transfer import Report
from lib_faceid.ui.preview import Preview, View
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.unit import Purpose, Unit

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = ["Foreseen", "Known", "Services", "attempt", "problem"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Known:
    """What a saved person or image was made from."""

    number: int
    """Of pictures."""
    scores: Sequence[float]
    """Of the photos' reports, 0 to 1; of those that have one."""
    day: str
    """When it was saved, as 2026-11-26."""
    recogniser: str = ""
    """Of a person: what made the numbers; "" where that is not known."""


@dataclass(frozen=True)
class Foreseen:
    """With which adapter a unit will be drawn."""

    name: str
    label: str
    """Of its variant."""
    trained_on: str
    """The recogniser whose vectors it reads; "" where it reads none."""
    assumed: str
    """What is assumed about it."""
    is_read_by_own: bool = False
    """Whether photos are read for it by that recogniser, whichever the page looks at them with."""


def _absent(*_args: Any) -> NoReturn:
    raise HostError("That is not available here.")


def _facts_of_metadata(parameters: str) -> Facts:
    return facts_of_parameters(parameters_from(parameters))


@dataclass(frozen=True)
class Services:
    """What a host does for the page. All are called when the user asks for it, none while the page is built."""

    adapter_files: Callable[[], Sequence[Path]] = _absent
    adapters_for: Callable[[Purpose], Sequence[Path]] = _absent
    """Those of the adapter files that read a reference for that purpose, or that cannot be told."""
    auto_means: Callable[[Purpose], str] = _absent
    """Says in a sentence which adapter "Auto" takes right now, and why not a better one."""
    variant_of: Callable[[str, Purpose], Variant | None] = _absent
    """The variant of an adapter by file name, or of "Auto" for a purpose; None while that is not known."""
    foresee: Callable[[str, str, Purpose], Foreseen] = _absent
    """adapter, variant and purpose of a unit -> what it will be drawn with. Raises where nothing can be used."""
    look: Callable[[str, View], Preview] = _absent
    """photo (base64), what of the unit's fields decides it -> what will be used of the photo. Of an image: in the crop
    `image_crop`, where "Auto" is the square."""
    image_crop_of: Callable[[View], Crop] = _absent
    """What of an image is seen with these fields: "Auto" is what the unit's adapter was trained with."""
    saved: Callable[[Purpose], Sequence[str]] = _absent
    """The names of the saved people, or of the saved images."""
    saved_of: Callable[[Sequence[str], Purpose], str] = _absent
    """short hashes of photos -> the name of what was saved of them for that purpose; empty where there is none."""
    known_of: Callable[[str], Known] = _absent
    """The name of a saved person or image -> what is known of what it was made from."""
    save: Callable[[str, Unit], tuple[str, str]] = _absent
    """name, a unit with photos -> a sentence about whoever was saved, and what is wrong with it."""
    doubt: Callable[[Unit], str] = lambda _unit: ""
    """Says why a unit will not work well here, however good its photos are, in a few words; "" for no reason."""
    setup: Callable[[], SetupReport] = _absent
    measured: Callable[[], Sequence[Measurement]] = list
    """What evaluations measured on this machine, the last one first."""
    diagnostics: Callable[[], str] = _absent
    accept_licence: Callable[[str], None] = _absent
    """id in the catalogue: the user has accepted the licence of that model."""
    download: Callable[[str, Report, Callable[[], bool]], str] = _absent
    """id in the catalogue, progress, whether to stop -> a sentence about what is there now. May take an hour."""
    presets_file: Path | None = None
    """Where the user's own presets lie; None where none can be saved."""
    templates_folder: Path | None = None
    """Where a team's prompt templates lie; None where none can be saved."""
    facts_of: Callable[[str], Facts] = _facts_of_metadata
    """A picture's metadata -> what is known of its run."""
    draw_plain: Callable[[str], None] | None = None
    """A picture's metadata -> from then on `facts_of` knows how its settings look at weight 0. None where the host's
    own button draws that."""
    journal: Callable[[], Journal | None] = lambda: None
    """The journal, where runs are written down; None where that is off."""


def attempt(call: Callable[..., Result], *args: Any) -> tuple[Result | None, str]:
    """Return what a call gives and "", or None and the sentence to show."""
    try:
        return call(*args), ""
    except Exception as error:  # noqa: BLE001 - a host's surprise must cost a sentence, not the page
        return None, problem(error)


def problem(error: Exception) -> str:
    """Return the sentence to show: our own errors are sentences, others need their kind beside them."""
    return str(error) if isinstance(error, FaceIDError) else f"{type(error).__name__}: {error}"
