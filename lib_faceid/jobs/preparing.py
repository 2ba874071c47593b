"""A unit made ready for a UNet: its adapter is chosen, its photos are looked at, its place is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from lib_faceid.effects.injection import Contribution
from lib_faceid.errors import FaceIDError, MissingModelError, UnitError
from lib_faceid.faces.recognisers import unknown_note, untrained_note
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.passes import region_of
from lib_faceid.methods.adapter import Adapter
from lib_faceid.references.identity import Identity
from lib_faceid.references.joining import Joined
from lib_faceid.references.negative import Against
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.units.infotext import unit_to_infotext
from lib_faceid.units.layer_weights import read_factors
from lib_faceid.units.unit import Unit

__all__ = ["ONE_EACH", "Prepared", "contribution_of", "prepare_unit", "told_steps"]

ONE_EACH = "one each"


@dataclass(frozen=True)
class Prepared:
    """One unit, ready for the UNet."""

    number: int | str
    """The unit's place in the page, or `tag 0` for the first one that the prompt calls."""
    unit: Unit
    contribution: Contribution
    notes: tuple[str, ...] = ()
    """What was assumed, skipped or doubted on the way."""
    references: tuple[str, ...] = ()
    """Short hashes of the photos, by which they are found again."""
    unlike: tuple[str, ...] = ()
    """Short hashes of the photos of whom the person is led away from."""

    @property
    def whose(self) -> str:
        """How errors call the unit."""
        return _whose(self.number, self.unit)

    @property
    def adapter(self) -> Adapter:
        """The adapter that was given or chosen."""
        return self.contribution.adapter

    @property
    def lora(self) -> float:
        """The strength at which the adapter's LoRA is wanted; 0 where it has none."""
        return self.unit.lora if self.adapter.lora else 0.0

    def infotext(self, *, has_hashes: bool = True) -> str:
        """Return what a picture's metadata say of the unit, with or without the hashes of its photos."""
        hashes = (self.references, self.unlike) if has_hashes else ()
        return unit_to_infotext(self.unit, self.adapter.name, self.adapter.variant.id, *hashes)

    def plan(self, steps: int) -> str:
        """Return in words in which of so many steps it acts."""
        return told_steps([at for at in range(steps) if self.contribution.weight_at(at / steps, 1 / steps)], steps)

    def summary(self, when: str) -> str:
        """Return one line that says what is applied; `when`: in which steps."""
        unit, adapter = self.unit, self.adapter
        faces = self.contribution.identities[0].num_faces
        parts = [
            f"{adapter.name} ({adapter.variant.label})",
            f"{faces} {'face' if faces == 1 else 'faces'}",
            f"weight {unit.weight:.2f}",
            *([f"structure {unit.structure:.2f}"] if adapter.variant.shortcut else []),
            *([f"LoRA {self.lora:.2f}"] if self.lora else []),
            when,
            self._reach,
        ]
        return f"FaceID {self.number}: " + " · ".join(parts)

    @property
    def _reach(self) -> str:
        """Which parts of the UNet it acts in, in words."""
        layers = self.contribution.layers
        if layers.is_even:
            return f"{len(self.adapter.to_k_ip)} layers"
        factors = layers.factors(self.adapter.family)
        name = "own layer weights" if read_factors(layers.own) else layers.weight_type
        return f"{name} in {sum(map(bool, factors))} of {len(factors)} blocks"


def told_steps(acting: Collection[int], steps: int) -> str:
    """Return in words which of so many steps act, given by their numbers from 0."""
    return f"steps {min(acting) + 1}-{max(acting) + 1} of {steps}" if acting else f"none of {steps} steps"


def prepare_unit(number: int | str, unit: Unit, models: Models, dim: int) -> Prepared:
    """Return a unit ready for a UNet of that cross attention dimension. Raises FaceIDError, naming the unit."""
    try:
        return _ready(number, unit, models, dim)
    except FaceIDError as error:
        raise type(error)(f"{_whose(number, unit)}: {error}") from error


def _whose(number: int | str, unit: Unit) -> str:
    return f"Unit {number}" if isinstance(number, int) else f"Prompt {number} ({unit.person})"


def _ready(number: int | str, unit: Unit, models: Models, dim: int) -> Prepared:
    saved = [models.person(name) for name in _names(unit)]
    adapter, note = choose_adapter(unit, _without_clip(models, saved), dim)
    joined = [Joined(person, (), ()) for person in saved] or _from_photos(unit, models, adapter)
    unit.layers.factors(adapter.family)  # raises where they were made for the other family
    region = region_of(unit, models.policy())
    stranger = _from_photos(_stranger(unit), models, adapter)[0] if unit.unlike else None
    contribution = replace(
        contribution_of(unit, adapter, tuple(one.identity for one in joined)),
        against=Against(stranger and stranger.identity, unit.noise),
        regions=(region,) if region else (),
    )
    notes = [note, *_ignored(unit), *_messages(joined, adapter)]
    references = _hashes(joined) or tuple(one.identity.fingerprint[:8] for one in joined)
    unlike = _hashes([stranger]) if stranger else ()
    return Prepared(number, unit, contribution, tuple(filter(None, notes)), references, unlike)


def _messages(joined: Sequence[Joined], adapter: Adapter) -> list[str]:
    """Return what there is to say of the people; of their recogniser, what it means to this adapter."""
    messages: list[str] = []
    for one in joined:
        recogniser = one.identity.recogniser
        messages += [message for message in one.messages if message != untrained_note(recogniser)]
        note = untrained_note(recogniser, adapter.recogniser) if recogniser else unknown_note()
        messages += [note] if note and note not in messages else []
    return messages


def _hashes(joined: Sequence[Joined]) -> tuple[str, ...]:
    return tuple(use.sha256[:8] for one in joined for use in one.photos if use.is_used)


def _from_photos(unit: Unit, models: Models, adapter: Adapter) -> list[Joined]:
    """Return the person in a unit's photos; or, where it says so, one person for each of them."""
    analyser, policy = models.face_analyser(), models.policy()
    clip = models.clip_vision() if adapter.variant.needs_clip else None
    groups = [(photo,) for photo in unit.images] if unit.batch == ONE_EACH else [unit.images]
    return [join_unit(replace(unit, images=group), analyser, clip, policy) for group in groups]


def _stranger(unit: Unit) -> Unit:
    """Return a unit whose photos are those of whom this one's person is led away from."""
    return replace(unit, images=unit.unlike, batch="together", combine="average", face="largest")


def _names(unit: Unit) -> list[str]:
    """Return the saved people that a unit names: one, or one for each image of a batch."""
    names = [name.strip() for name in unit.person.split("|") if name.strip()]
    if len(names) > 1 and unit.batch != ONE_EACH:
        raise UnitError(
            f"person names {len(names)} people ({unit.person}). Set batch to '{ONE_EACH}', so that each image of a "
            f"batch shows another of them, or use a unit for each."
        )
    return names


def contribution_of(unit: Unit, adapter: Adapter, people: Sequence[Identity]) -> Contribution:
    """Return what the unit's settings make of people (one for each image of a batch) and an adapter."""
    return Contribution(
        adapter,
        people,
        weight=unit.weight,
        structure=unit.structure,
        start=unit.start,
        end=unit.end,
        fade=unit.fade,
        layers=unit.layers,
    )


def _without_clip(models: Models, saved: Sequence[Identity]) -> Models:
    """Return the models, without the CLIP encoder where a saved person was made without its features."""
    if all(person.clip_hidden is not None for person in saved):
        return models

    def missing() -> NoReturn:
        raise MissingModelError("the saved person was made without CLIP features.")

    return replace(models, clip_vision=missing)


def _ignored(unit: Unit) -> tuple[str, ...]:
    is_ignored = unit.person and unit.images
    return ("The saved person is drawn; the photos beside it are ignored.",) if is_ignored else ()
