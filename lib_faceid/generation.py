"""One job: units in, identities in the UNet, and not a trace afterwards. A host drives it; it knows no host."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lib_faceid.adapters.adapter import Adapter
from lib_faceid.choosing import Models, choose_adapter
from lib_faceid.errors import FaceIDError, MissingModelError
from lib_faceid.passes import Pass, Places, is_auto, region_of
from lib_faceid.people.identity import Identity
from lib_faceid.people.references import Joined
from lib_faceid.people.unit_identity import join_unit
from lib_faceid.unet.injection import Contribution, Injection, inject
from lib_faceid.unet.layers import cross_attention_dim
from lib_faceid.unet.regions import Region
from lib_faceid.unit import Unit

__all__ = ["Job", "Pass", "Prepared", "contribution_of"]


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


FIRST_PASS = Pass()


class Job:
    """The state of one running job. Closing it twice, or before it was ever attached, is harmless."""

    def __init__(self, units: Sequence[Unit], models: Models) -> None:
        self._models = models
        self._units = [(number, unit) for number, unit in enumerate(units) if unit.acts]
        self._prepared: dict[int, tuple[Prepared, ...]] = {}
        self._hooks = ExitStack()
        self._attached: tuple[nn.Module, Pass] | None = None
        self._places = Places([number for number, unit in self._units if is_auto(unit)])
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

    def attach(self, unet: nn.Module, now: Pass = FIRST_PASS) -> Injection:
        """Return the injection into this UNet for one pass, moving the hooks there if they are on another one."""
        if not self.differs_by_image:
            now = replace(now, images=range(1))  # one attachment serves all
        if self.injection is None or self._attached != (unet, now):
            self.detach()
            contributions = [
                self._contribution(one, now) for one in self.prepare(unet) if one.unit.acts_in(hires=now.hires)
            ]
            began = time.perf_counter()
            self.injection = self._hooks.enter_context(inject(unet, contributions, now.view))
            self._attached = (unet, now)
            self.seconds += time.perf_counter() - began
        return self.injection

    @property
    def follows_faces(self) -> bool:
        """Whether a unit acts where its face is, so that `see` should be called before a pass that can use it."""
        return any(is_auto(unit) for _, unit in self._units)

    @property
    def differs_by_image(self) -> bool:
        """Whether a unit does something else in one image of a batch than in another."""
        return self.follows_faces

    def see(self, unet: nn.Module, pictures: Sequence[NDArray[np.uint8]], first: int = 0) -> list[str]:
        """Look where the people are (uint8 RGB [H, W, 3]), for the coming passes, and return what was missed.

        first: the number of the first picture, counted through the job. Raises FaceIDError where no face can be looked
        for; then the units keep the places they have.
        """
        if not pictures:
            return []
        self.detach()
        people = [one.contribution.identities[0] for one in self.prepare(unet) if is_auto(one.unit)]
        return self._places.see(first, pictures, people, self._models.face_analyser())

    def _contribution(self, prepared: Prepared, now: Pass) -> Contribution:
        """Return what a unit contributes in a pass."""
        if not is_auto(prepared.unit):
            return prepared.contribution
        boxes = self._places.of(prepared.number, now.images)
        return replace(prepared.contribution, regions=[Region(box, feather_px=prepared.unit.feather) for box in boxes])

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
        region = region_of(unit, self._models.policy())
        contribution = replace(contribution_of(unit, adapter, joined.identity), regions=(region,) if region else ())
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
