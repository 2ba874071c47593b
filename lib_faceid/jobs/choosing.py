"""Which adapter a unit means, and what it needs that is or is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.errors import FaceIDError, FileError, HostError, MismatchError, MissingModelError
from lib_faceid.methods.adapter import Adapter, check_numbers, identify_adapter, load_adapter
from lib_faceid.methods.variants import FAMILY_NAMES, VARIANTS, families_of, named_by_user
from lib_faceid.pictures.requested import BASE64_ONLY, RequestPolicy
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import AUTO, Unit

if TYPE_CHECKING:
    from lib_faceid.encoders.clip_vision import ClipVision
    from lib_faceid.faces.analyser import FaceAnalyser

__all__ = ["Models", "choose_adapter", "file_of"]


@dataclass(frozen=True)
class Models:
    """Where a host's models come from. Each is asked for only when a unit needs it, and raises when it is missing."""

    adapter_files: Callable[[], Sequence[Path]]
    face_analyser: Callable[[], FaceAnalyser]
    clip_vision: Callable[[], ClipVision]
    person: Callable[[str], Identity]
    """Gives somebody of the library by name; raises FaceIDError for an unknown name."""
    policy: Callable[[], RequestPolicy] = lambda: BASE64_ONLY
    """What a request may name as a picture."""


def choose_adapter(unit: Unit, models: Models, dim: int) -> tuple[Adapter, str]:
    """Return the unit's adapter for a UNet of that cross attention dimension, and what was assumed in choosing it.

    "Auto" is the best variant found that can be used right now (VARIANTS is in order of preference); of the unit's
    variant, if it sets one. Raises MissingModelError where there is none, HostError for a checkpoint that FaceID does
    not exist for.
    """
    if dim not in FAMILY_NAMES:
        found = "SD 2" if dim == 1024 else f"of another family (cross attention {dim})"
        raise HostError(f"FaceID exists for SD 1.5 and SDXL only; the loaded checkpoint is {found}.")
    files = models.adapter_files()
    if unit.adapter != AUTO:
        adapter = load_adapter(file_of(unit.adapter, files), None if unit.variant == AUTO else unit.variant)
        if adapter.cross_attention_dim != dim:
            raise MismatchError(
                f"{adapter.name} is for {adapter.family}, but the loaded checkpoint is {FAMILY_NAMES[dim]}. Choose an "
                f"adapter for {FAMILY_NAMES[dim]}, or '{AUTO}'."
            )
        return adapter, adapter.assumed
    found, unreadable = _readable(files)
    fitting = [adapter for adapter in found if adapter.cross_attention_dim == dim]
    if unit.variant != AUTO:
        fitting = _of_variant(fitting, files, unit.variant, dim)
    fitting.sort(key=lambda adapter: VARIANTS.index(adapter.variant))
    if not fitting:
        raise MissingModelError(_none_found(found, unreadable, dim))
    return _first_sound(fitting, models)


def _of_variant(fitting: Sequence[Adapter], files: Sequence[Path], wanted: str, dim: int) -> list[Adapter]:
    """Return the adapters of one variant: those recognised as it, else those that can be read as it and as others.

    Raises MismatchError for an unknown variant, MissingModelError where there is no adapter of it.
    """
    variant = named_by_user(wanted)
    if recognised := [adapter for adapter in fitting if adapter.variant is variant]:
        return recognised
    undecided = {
        adapter.name for adapter in fitting if adapter.assumed and not adapter.variant.is_named_in(adapter.name)
    }
    read: list[Adapter] = []
    for path in files:
        if path.stem in undecided:
            with suppress(MismatchError):
                read.append(identify_adapter(path, wanted))
    if read:
        return read
    there = ", ".join(f"{adapter.name} ({adapter.variant.label})" for adapter in fitting) or "none at all"
    exists = "" if dim in variant.families else f" {variant.label} exists for {families_of(variant)} only."
    raise MissingModelError(
        f"No adapter of the variant {variant.label} for {FAMILY_NAMES[dim]} was found (found: {there}).{exists} Set "
        f"variant to '{AUTO}', or put such a file into models/faceid."
    )


def file_of(name: str, files: Sequence[Path]) -> Path:
    """Return the file of that name, with or without its extension, or of that whole path.

    Raises MissingModelError, naming what is there.
    """
    for path in files:
        if name in (path.name, path.stem, path.name.strip(), path.stem.strip(), str(path)):
            return path
    there = ", ".join(path.name for path in files) or "none at all"
    raise MissingModelError(f"There is no adapter '{name}'. Found: {there}. Put the file into models/faceid.")


def _first_sound(fitting: Sequence[Adapter], models: Models) -> tuple[Adapter, str]:
    """Return the best adapter whose weights are numbers; the others are named. Raises FileError where there is none."""
    broken: dict[Adapter, str] = {}
    while left := [adapter for adapter in fitting if adapter not in broken]:
        adapter, note = _best(left, models)
        try:
            check_numbers(adapter)
        except FileError as error:
            broken[adapter] = str(error)
        else:
            return adapter, " ".join(filter(None, [note, *broken.values()]))
    raise FileError(" ".join(broken.values()))


def _best(fitting: Sequence[Adapter], models: Models) -> tuple[Adapter, str]:
    """Return the first adapter whose needs are met; the first of all where none is, so that its need is named."""
    try:
        if any(adapter.variant.needs_clip for adapter in fitting):
            models.clip_vision()
    except FaceIDError as error:
        usable = [adapter for adapter in fitting if not adapter.variant.needs_clip]
        if usable:
            return usable[0], f"Auto took {usable[0].name}, as {fitting[0].name} cannot be used: {error}"
    return fitting[0], fitting[0].assumed


def _readable(files: Sequence[Path]) -> tuple[list[Adapter], list[str]]:
    """Return the adapters among the files, and what is wrong with those that name FaceID and are none."""
    found: list[Adapter] = []
    unreadable: list[str] = []
    for path in files:
        try:
            found.append(identify_adapter(path))
        except FileError as error:  # noqa: PERF203 - a handful of files
            if "faceid" in path.name.lower():
                unreadable.append(str(error))
    return found, unreadable


def _none_found(found: Sequence[Adapter], unreadable: Sequence[str], dim: int) -> str:
    others = ", ".join(f"{adapter.name} ({adapter.family})" for adapter in found) or "none at all"
    wanted = f"ip-adapter-faceid-plusv2_{'sd15' if dim == 768 else 'sdxl'}.bin"
    return " ".join(
        [
            f"No FaceID adapter for {FAMILY_NAMES[dim]} was found (found: {others}).",
            *unreadable,
            f"Put {wanted}, from h94/IP-Adapter-FaceID on Hugging Face (non-commercial), into models/faceid.",
        ]
    )
