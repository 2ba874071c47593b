"""Which adapter a unit means, and what it needs that is or is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lib_faceid.bases.base_model import BASE_LABELS, bases_in_words, describe_base
from lib_faceid.effects.effect import EffectKind
from lib_faceid.encoders.features import ARCFACE, PIXELS
from lib_faceid.errors import FaceIDError, FileError, HostError, MismatchError, MissingModelError
from lib_faceid.faces.recognisers import in_pack, untrained_note
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import check_numbers, identify_adapter, load_adapter
from lib_faceid.methods.method import Method, Purpose, Variant
from lib_faceid.methods.ranking import rank
from lib_faceid.methods.registry import methods_for, named_by_user
from lib_faceid.models.hashes import file_sha256
from lib_faceid.pictures.requested import BASE64_ONLY, RequestPolicy
from lib_faceid.references.reference import Reference
from lib_faceid.units.unit import AUTO, PURPOSES, Unit

if TYPE_CHECKING:
    from lib_faceid.encoders.clip_vision import ClipVision
    from lib_faceid.faces.analyser import FaceAnalyser

__all__ = ["Models", "choose_adapter", "file_of", "read_as"]

READ_AS = {"person": "the person in its pictures", "image": "its pictures as they are, whoever is in them"}


@dataclass(frozen=True)
class Models:
    """Where a host's models come from. Each is asked for only when a unit needs it, and raises when it is missing."""

    adapter_files: Callable[[], Sequence[Path]]
    face_analyser: Callable[[], FaceAnalyser]
    clip_vision: Callable[[str], ClipVision]
    """Gives an image encoder by its name in feature keys."""
    person: Callable[[str], Reference]
    """Gives a saved reference of the library by name; raises FaceIDError for an unknown name."""
    policy: Callable[[], RequestPolicy] = lambda: BASE64_ONLY
    """What a request may name as a picture."""
    allow: Callable[[Unit], None] = lambda _unit: None
    """Raises FaceIDError for a unit that may not be drawn here, as the person in it is not approved."""
    analyser_of: Callable[[str], FaceAnalyser] | None = None
    """Gives the face models with the recogniser of that name, for adapters that read no other's vectors; None: where
    `face_analyser` has another, such adapters are refused."""
    control_file: Callable[[str | Path], Path] = Path
    """Gives the file of a control unit's net by its name or path; raises MissingModelError."""
    file_hash: Callable[[Path], str] = file_sha256
    """Gives the SHA-256 of a model file; raises OSError. A host keeps what it read, as such files are large."""
    host: str = "this program"
    """What messages call the host."""
    carries: frozenset[EffectKind] = frozenset({"tokens", "lora", "residuals", "text"})
    """The kinds of effects that the host can apply."""

    def analyser_for(self, adapter: Adapter) -> FaceAnalyser:
        """Return the face models whose vectors an adapter reads. Raises MissingModelError where they are not here."""
        return self.analyser_with(adapter.recogniser) if adapter.variant.requires_recogniser else self.face_analyser()

    def analyser_with(self, recogniser: str) -> FaceAnalyser:
        """Return the face models with that recogniser. Raises MissingModelError where they are not here."""
        return self.analyser_of(recogniser) if self.analyser_of else self.face_analyser()


def choose_adapter(
    unit: Unit, models: Models, dim: int, saved: Sequence[Reference] = (), widths: Sequence[int] = ()
) -> tuple[Adapter, str]:
    """Return the unit's adapter for a UNet of that cross attention dimension, and what was assumed in choosing it.

    "Auto" is the best variant found that can be used right now, with the features of the saved references where there
    are any; of the unit's variant, if it sets one. widths: of the UNet's cross-attention layers, sorted. Where they are
    known, Auto takes an adapter of other widths only if there is no other, for the error that says so. Raises
    MissingModelError where there is none, HostError for a checkpoint that no adapter exists for.
    """
    if dim not in BASE_LABELS:
        raise HostError(f"Adapters exist for {bases_in_words()} only; the loaded checkpoint is {describe_base(dim)}.")
    files = models.adapter_files()
    if unit.adapter != AUTO:
        return _named(unit, files, dim)
    found, unreadable = _readable(files, methods_for(cast("Purpose", unit.purpose)))
    fitting = [adapter for adapter in found if adapter.cross_attention_dim == dim]
    fitting = [adapter for adapter in fitting if adapter.widths == list(widths)] or fitting
    if unit.variant != AUTO:
        fitting = _of_variant(fitting, files, unit.variant, dim)
    if not fitting:
        raise MissingModelError(_none_found(unit, found, unreadable, dim))
    return _first_sound(fitting, models, saved)


def _named(unit: Unit, files: Sequence[Path], dim: int) -> tuple[Adapter, str]:
    """Return the adapter that a unit names. Raises MismatchError for one of another base model."""
    adapter = load_adapter(file_of(unit.adapter, files), None if unit.variant == AUTO else unit.variant)
    if adapter.cross_attention_dim != dim:
        raise MismatchError(
            f"{adapter.name} is for {adapter.base}, but the loaded checkpoint is {BASE_LABELS[dim]}. Choose an "
            f"adapter for {BASE_LABELS[dim]}, or '{AUTO}'."
        )
    other = read_as(adapter) if adapter.purpose != unit.purpose else ""
    return adapter, " ".join(filter(None, [adapter.assumed, other]))


def read_as(adapter: Adapter) -> str:
    """Return in a sentence what an adapter reads of a unit's pictures, for units with another purpose."""
    return f"{adapter.name} reads {READ_AS[adapter.purpose]}."


def _of_variant(fitting: Sequence[Adapter], files: Sequence[Path], name: str, dim: int) -> list[Adapter]:
    """Return the adapters of one variant: those recognised as it, else those that can be read as it and as others.

    Raises MismatchError for an unknown variant, MissingModelError where there is no adapter of it.
    """
    variant = named_by_user(name)
    if recognised := [adapter for adapter in fitting if adapter.variant is variant]:
        return recognised
    undecided = {
        adapter.name for adapter in fitting if adapter.assumed and not adapter.variant.is_named_in(adapter.name)
    }
    read: list[Adapter] = []
    for path in files:
        if path.stem in undecided:
            with suppress(MismatchError):
                read.append(identify_adapter(path, name))
    if read:
        return read
    there = ", ".join(f"{adapter.name} ({adapter.variant.label})" for adapter in fitting) or "none at all"
    exists = "" if dim in variant.bases else f" {variant.label} exists for {variant.base_labels} only."
    raise MissingModelError(
        f"No adapter of the variant {variant.label} for {BASE_LABELS[dim]} was found (found: {there}).{exists} Set "
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


def _first_sound(fitting: Sequence[Adapter], models: Models, saved: Sequence[Reference]) -> tuple[Adapter, str]:
    """Return the best adapter whose weights are numbers; the others are named. Raises FileError where there is none."""
    broken: dict[Adapter, str] = {}
    while left := [adapter for adapter in fitting if adapter not in broken]:
        adapter, note = _best(left, models, saved)
        try:
            check_numbers(adapter)
        except FileError as error:
            broken[adapter] = str(error)
        else:
            return adapter, " ".join(filter(None, [note, *broken.values()]))
    raise FileError(" ".join(broken.values()))


def _best(fitting: Sequence[Adapter], models: Models, saved: Sequence[Reference]) -> tuple[Adapter, str]:
    """Return the first adapter whose needs are met; the first of all where none is, so that its need is named."""
    choice = rank(fitting, lambda variant: _missing(variant, models, saved))
    if choice.adapter is None or choice.adapter is choice.best:
        return choice.best, choice.best.assumed
    return choice.adapter, f"Auto took {choice.adapter.name}, as {choice.best.name} cannot be used: {choice.reason}"


def _missing(variant: Variant, models: Models, saved: Sequence[Reference]) -> str:
    """Return what a variant needs and cannot have, as a sentence; empty where nothing is missing."""
    if variant.trigger and "text" not in models.carries:
        return f"{models.host} cannot change the text."
    if saved and any(read.key == PIXELS for read in variant.reads):
        return "it reads the photos themselves, and a saved person has none."
    if saved:
        lacking = [read.key for read in variant.reads if any(read.key not in one.features for one in saved)]
        kinds = " and ".join("a face" if key == ARCFACE else f"CLIP features ({key.encoder})" for key in lacking)
        made = next((one.recogniser for one in saved if untrained_note(one.recogniser, variant.recogniser)), "")
        if variant.requires_recogniser and made:
            return f"the saved person's numbers are those of {made}, not of {in_pack(variant.recogniser)}."
        return f"the saved reference was made without {kinds}." if lacking else ""
    try:
        for encoder in variant.encoders:
            models.clip_vision(encoder)
        if variant.requires_recogniser:
            models.analyser_with(variant.recogniser)
    except FaceIDError as error:
        return str(error)
    return ""


def _readable(files: Sequence[Path], methods: Sequence[Method]) -> tuple[list[Adapter], list[str]]:
    """Return the methods' adapters among the files, and what is wrong with those that are called so and are none."""
    found: list[Adapter] = []
    unreadable: list[str] = []
    variants = [variant for method in methods for variant in method.variants]
    for path in files:
        try:
            adapter = identify_adapter(path)
        except FileError as error:
            if any(method.is_named_in(path.name) for method in methods):
                unreadable.append(str(error))
            continue
        found += [adapter] if adapter.variant in variants else []
    return found, unreadable


def _none_found(unit: Unit, found: Sequence[Adapter], unreadable: Sequence[str], dim: int) -> str:
    methods = methods_for(cast("Purpose", unit.purpose), dim)
    if not methods:
        return _no_method(unit, dim)
    labels = " or ".join(method.label for method in methods)
    others = ", ".join(f"{adapter.name} ({adapter.base})" for adapter in found) or "none at all"
    get = " or ".join(f"{one.best_files[dim]}, from {one.source}," for one in methods if dim in one.best_files)
    return " ".join(
        [
            f"No {labels} adapter for {BASE_LABELS[dim]} was found (found: {others}).",
            *unreadable,
            f"Put {get} into models/faceid." if get else "Put one into models/faceid.",
        ]
    )


def _no_method(unit: Unit, dim: int) -> str:
    """Return that nothing draws references of this purpose with a base model, and what does with others."""
    kinds = {"person": "people", "image": "images"}
    there = [one for purpose in PURPOSES if purpose != unit.purpose for one in methods_for(purpose, dim)]
    cautions = dict.fromkeys(one.caution for method in there for one in method.variants if one.caution)
    instead = [f"{one.label} takes {kinds[one.purpose]}: set purpose to '{one.purpose}'." for one in there]
    found = f"No adapter for {kinds[unit.purpose]} exists for {BASE_LABELS[dim]}."
    return " ".join([found, *instead, *cautions, "Or choose a checkpoint of another base model."])
