"""One job: units in, identities in the UNet, and not a trace afterwards. A host drives it; it knows no host."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from torch import nn

from lib_faceid.adapters.adapter import Adapter
from lib_faceid.choosing import Models, choose_adapter
from lib_faceid.errors import FaceIDError, MissingModelError
from lib_faceid.people.identity import Identity
from lib_faceid.people.references import Joined
from lib_faceid.people.unit_identity import join_unit
from lib_faceid.unet.injection import Contribution, Injection, inject
from lib_faceid.unet.layers import cross_attention_dim
from lib_faceid.unit import Unit

if TYPE_CHECKING:
    pass

__all__ = ["Job", "Prepared", "contribution_of"]


@dataclass(frozen=True)
class Prepared:
    """One unit, ready for the UNet."""

    number: int
    unit: Unit
    contribution: Contribution
    notes: tuple[str, ...] = ()
    """What was assumed, skipped or doubted on the way."""
    references: tuple[str, ...] = ()
    """Short hashes of the photos, by which they are found again."""

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
        acting = [step + 1 for step in range(steps) if self.contribution.weight_at(step / steps, 1 / steps)]
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
        person = self._models.person(unit.person) if unit.person else None
        adapter, note = choose_adapter(unit, _without_clip(self._models, person), dim)
        if person is None:
            clip = self._models.clip_vision() if adapter.variant.needs_clip else None
            joined = join_unit(unit, self._models.face_analyser(), clip, self._models.policy())
        else:
            joined = Joined(person, (), _ignored(unit))
        contribution = contribution_of(unit, adapter, joined.identity)
        references = tuple(use.sha256[:8] for use in joined.photos if use.is_used) or (joined.identity.fingerprint[:8],)
        return Prepared(number, unit, contribution, tuple(filter(None, (note, *joined.messages))), references)


def contribution_of(unit: Unit, adapter: Adapter, identity: Identity) -> Contribution:
    """Return what the unit's settings make of a person and an adapter."""
    return Contribution(
        adapter,
        (identity,),
        weight=unit.weight,
        structure=unit.structure,
        start=unit.start,
        end=unit.end,
        fade=unit.fade,
    )


def _without_clip(models: Models, person: Identity | None) -> Models:
    """Return the models, without the CLIP encoder where a saved person was made without its features."""
    if person is None or person.clip_hidden is not None:
        return models

    def missing() -> NoReturn:
        raise MissingModelError("the saved person was made without CLIP features.")

    return replace(models, clip_vision=missing)


def _ignored(unit: Unit) -> tuple[str, ...]:
    return ("The saved person is drawn; the photos beside it are ignored.",) if unit.images else ()
