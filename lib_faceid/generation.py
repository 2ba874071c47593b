"""One job: units in, identities in the UNet, and not a trace afterwards. A host drives it; it knows no host."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from lib_faceid.adapter import Adapter, load_adapter
from lib_faceid.errors import FaceIDError, FileError, HostError, MismatchError, MissingModelError
from lib_faceid.identity import Identity
from lib_faceid.injection import Contribution, Injection, inject
from lib_faceid.layers import cross_attention_dim
from lib_faceid.photo import decode_base64
from lib_faceid.references import identity_from_photos
from lib_faceid.unit import AUTO, Unit
from lib_faceid.variants import VARIANTS

if TYPE_CHECKING:
    from lib_faceid.clip_vision import ClipVision
    from lib_faceid.faces import FaceAnalyser

__all__ = ["Job", "Models", "Prepared", "choose_adapter", "file_of"]

_FAMILIES = {768: "SD 1.5", 2048: "SDXL"}


@dataclass(frozen=True)
class Models:
    """Where a host's models come from. Each is asked for only when a unit needs it, and raises when it is missing."""

    adapter_files: Callable[[], Sequence[Path]]
    face_analyser: Callable[[], FaceAnalyser]
    clip_vision: Callable[[], ClipVision]


@dataclass(frozen=True)
class Prepared:
    """One unit, ready for the UNet."""

    number: int
    unit: Unit
    contribution: Contribution
    note: str
    """What was assumed on the way; empty where nothing was."""

    @property
    def adapter(self) -> Adapter:
        """The adapter that was given or chosen."""
        return self.contribution.adapter

    @property
    def lora(self) -> float:
        """The strength at which the adapter's LoRA is wanted; 0 where it has none."""
        return self.unit.lora if self.adapter.lora else 0.0

    def summary(self, steps: int) -> str:
        """Return one line that says what is applied in a pass of that many steps."""
        unit, adapter = self.unit, self.adapter
        faces = self.contribution.identities[0].num_faces
        acting = [step + 1 for step in range(steps) if self.contribution.acts_at(step / steps)]
        parts = [
            f"{adapter.name} ({adapter.variant.label})",
            f"{faces} {'face' if faces == 1 else 'faces'}",
            f"weight {unit.weight:.2f}",
            *([f"structure {unit.structure:.2f}"] if adapter.variant.shortcut else []),
            *([f"LoRA {self.lora:.2f}"] if self.lora else []),
            f"steps {acting[0]}-{acting[-1]} of {steps}" if acting else f"none of {steps} steps",
            f"{len(adapter.to_k_ip)} layers",
        ]
        return f"FaceID {self.number}: " + " · ".join(parts)


class Job:
    """The state of one running job. Closing it twice, or before it was ever attached, is harmless."""

    def __init__(self, units: Sequence[Unit], models: Models) -> None:
        self._models = models
        self._units = [(number, unit) for number, unit in enumerate(units) if unit.acts]
        self._prepared: dict[int, tuple[Prepared, ...]] = {}
        self._hooks = ExitStack()
        self._attached: tuple[nn.Module, bool] | None = None
        self.injection: Injection | None = None
        self.calls = 0
        """UNet calls in which an identity acted, over all UNets of the job."""
        self.seconds = 0.0
        """Time spent on getting ready."""

    def prepare(self, unet: nn.Module) -> tuple[Prepared, ...]:
        """Return the units, ready for this UNet. A second checkpoint in one job chooses its adapters anew.

        Raises FaceIDError, naming the unit, when one cannot be drawn.
        """
        dim = cross_attention_dim(unet)
        if dim not in self._prepared:
            began = time.perf_counter()
            self._prepared[dim] = tuple(self._prepare_unit(number, unit, dim) for number, unit in self._units)
            self.seconds += time.perf_counter() - began
        return self._prepared[dim]

    @property
    def prepared(self) -> list[Prepared]:
        """The units as they were prepared so far, for one checkpoint after the other."""
        return [prepared for group in self._prepared.values() for prepared in group]

    def attach(self, unet: nn.Module, *, hires: bool = False) -> Injection:
        """Return the injection into this UNet for one pass, moving the hooks there if they are on another one."""
        if self.injection is None or self._attached != (unet, hires):
            self.detach()
            contributions = [one.contribution for one in self.prepare(unet) if one.unit.acts_in(hires=hires)]
            began = time.perf_counter()
            self.injection = self._hooks.enter_context(inject(unet, contributions))
            self._attached = (unet, hires)
            self.seconds += time.perf_counter() - began
        return self.injection

    def detach(self) -> None:
        """Take the hooks out of the UNet, if they are in one."""
        if self.injection is not None:
            self.calls += self.injection.calls
        self.injection = self._attached = None
        self._hooks.close()

    close = detach

    def loras(self, unet: nn.Module, *, hires: bool = False) -> list[tuple[Adapter, float]]:
        """Return each adapter's LoRA once: units that share an adapter share its LoRA, at the largest strength."""
        strengths: dict[Adapter, float] = {}
        for prepared in self.prepare(unet):
            if prepared.lora and prepared.unit.acts_in(hires=hires):
                strengths[prepared.adapter] = max(prepared.lora, strengths.get(prepared.adapter, 0.0))
        return list(strengths.items())

    def _prepare_unit(self, number: int, unit: Unit, dim: int) -> Prepared:
        try:
            return self._ready(number, unit, dim)
        except FaceIDError as error:
            raise type(error)(f"Unit {number}: {error}") from error

    def _ready(self, number: int, unit: Unit, dim: int) -> Prepared:
        adapter, note = choose_adapter(unit, self._models, dim)
        identity = self._identity(unit, adapter)
        contribution = Contribution(adapter, (identity,), unit.weight, unit.structure, unit.start, unit.end)
        return Prepared(number, unit, contribution, note)

    def _identity(self, unit: Unit, adapter: Adapter) -> Identity:
        # Text is a picture in base64, never a path: what a request says must not open a file.
        photo = decode_base64(unit.image) if isinstance(unit.image, str) else unit.image
        clip = self._models.clip_vision() if adapter.variant.needs_clip else None
        return identity_from_photos([photo], analyser=self._models.face_analyser(), clip=clip)


def choose_adapter(unit: Unit, models: Models, dim: int) -> tuple[Adapter, str]:
    """Return the unit's adapter for a UNet of that cross attention dimension, and what was assumed in choosing it.

    "Auto" is the best variant found that can be used right now (VARIANTS is in order of preference). Raises
    MissingModelError where there is none, HostError for a checkpoint that FaceID does not exist for.
    """
    if dim not in _FAMILIES:
        found = "SD 2" if dim == 1024 else f"of another family (cross attention {dim})"
        raise HostError(f"FaceID exists for SD 1.5 and SDXL only; the loaded checkpoint is {found}.")
    files = models.adapter_files()
    if unit.adapter != AUTO:
        adapter = load_adapter(file_of(unit.adapter, files), None if unit.variant == AUTO else unit.variant)
        if adapter.cross_attention_dim != dim:
            raise MismatchError(
                f"{adapter.name} is for {adapter.family}, but the loaded checkpoint is {_FAMILIES[dim]}. Choose an "
                f"adapter for {_FAMILIES[dim]}, or '{AUTO}'."
            )
        return adapter, adapter.assumed
    found, unreadable = _readable(files)
    fitting = [adapter for adapter in found if adapter.cross_attention_dim == dim]
    fitting.sort(key=lambda adapter: VARIANTS.index(adapter.variant))
    if not fitting:
        raise MissingModelError(_none_found(found, unreadable, dim))
    return _best(fitting, models)


def file_of(name: str, files: Sequence[Path]) -> Path:
    """Return the file of that name, with or without its extension. Raises MissingModelError, naming what is there."""
    for path in files:
        if name in (path.name, path.stem):
            return path
    there = ", ".join(path.name for path in files) or "none at all"
    raise MissingModelError(f"There is no adapter '{name}'. Found: {there}. Put the file into models/faceid.")


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
            found.append(load_adapter(path))
        except FileError as error:  # noqa: PERF203 - a handful of files
            if "faceid" in path.name.lower():
                unreadable.append(str(error))
    return found, unreadable


def _none_found(found: Sequence[Adapter], unreadable: Sequence[str], dim: int) -> str:
    others = ", ".join(f"{adapter.name} ({adapter.family})" for adapter in found) or "none at all"
    wanted = f"ip-adapter-faceid-plusv2_{'sd15' if dim == 768 else 'sdxl'}.bin"
    return " ".join(
        [
            f"No FaceID adapter for {_FAMILIES[dim]} was found (found: {others}).",
            *unreadable,
            f"Put {wanted}, from h94/IP-Adapter-FaceID on Hugging Face (non-commercial), into models/faceid.",
        ]
    )
