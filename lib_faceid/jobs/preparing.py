"""A unit made ready for a UNet: its adapter is chosen, its references are read, its effects are known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lib_faceid.effects.contribution import Contribution, Guide, InContext
from lib_faceid.effects.effect import ContextTokens, Control, CrossAttention, Effect, Lora, require_carried
from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.text import Text
from lib_faceid.errors import FaceIDError
from lib_faceid.jobs.choosing import Models, choose_adapter, read_as
from lib_faceid.jobs.nets import control_of
from lib_faceid.jobs.passes import region_of
from lib_faceid.jobs.reading import AnyJoined, read_negative, read_references, read_saved, recogniser_note
from lib_faceid.jobs.texts import require_writable
from lib_faceid.methods.adapter import Adapter
from lib_faceid.models.hashes import SHORT
from lib_faceid.models.person_suffixes import is_person_file
from lib_faceid.references.joining import Joined
from lib_faceid.references.reference import Reference
from lib_faceid.unet.regions import Region
from lib_faceid.units.infotext import unit_to_infotext
from lib_faceid.units.layer_weights import read_factors
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import FIELDS, Range, Unit

__all__ = ["Prepared", "contribution_of", "prepare_unit", "schedule_of", "shown_as", "step_range"]


MIXED = ("average", "together")
KEPT_APART = "Set combine to 'concatenate' to have each with tokens of its own, as strong as its weight."


@dataclass(frozen=True, eq=False)
class Prepared:
    """One unit, ready for the UNet."""

    number: int | str
    """The unit's place in the page, or `tag 0` for the first one that the prompt names."""
    unit: Unit
    adapter: Adapter
    """The adapter that was given or chosen."""
    references: tuple[Reference, ...]
    """One for all images of a batch, or one for each."""
    effects: tuple[Effect, ...]
    """What it does to the job."""
    regions: tuple[Region, ...] = ()
    """Where it acts; empty for everywhere, and for auto, which each pass decides."""
    notes: tuple[str, ...] = ()
    """What was assumed, skipped or doubted on the way."""
    hashes: tuple[str, ...] = ()
    """Short hashes of the photos, by which they are found again."""
    negative_images: tuple[str, ...] = ()
    """Short hashes of the negative reference photos."""

    @property
    def label(self) -> str:
        """How errors call the unit."""
        return _label(self.number, self.unit)

    @property
    def tokens(self) -> CrossAttention | None:
        """Its effect on the cross-attention, if it has one."""
        return _tokens(self.effects)

    @property
    def context(self) -> ContextTokens | None:
        """Its tokens in a transformer's context, if it has some."""
        return next((effect for effect in self.effects if isinstance(effect, ContextTokens)), None)

    @property
    def control(self) -> Control | None:
        """Its ControlNet, if it has one."""
        return next((effect for effect in self.effects if isinstance(effect, Control)), None)

    @property
    def text(self) -> Text | None:
        """What it writes into the prompt, if it does."""
        return next((effect for effect in self.effects if isinstance(effect, Text)), None)

    @property
    def lora(self) -> float:
        """The strength at which the adapter's LoRA is merged; 0 where it has none."""
        return sum(effect.strength for effect in self.effects if isinstance(effect, Lora))

    @property
    def contribution(self) -> Contribution | None:
        """Its tokens with the unit's weight, steps and layers; None where it has no tokens."""
        return None if self.tokens is None else contribution_of(self.unit, self.tokens, self.regions)

    @property
    def in_context(self) -> InContext | None:
        """Its tokens in a context with the unit's weight, steps and place; None where it has none there."""
        return None if self.context is None else InContext(self.context, self.schedule, self.regions)

    @property
    def guide(self) -> Guide | None:
        """Its ControlNet with the unit's strength, steps and place; None where it has none."""
        unit, control = self.unit, self.control
        schedule = Schedule(unit.net_weight, unit.net_start, unit.net_end)
        return None if control is None else Guide(control, schedule, self.regions)

    @property
    def schedule(self) -> Schedule:
        """When it acts, and how strongly."""
        return schedule_of(self.unit)

    def infotext(self, *, has_hashes: bool = True) -> str:
        """Return what a picture's metadata say of the unit, with or without the hashes of its photos."""
        hashes = (self.hashes, self.negative_images) if has_hashes else ()
        pose = "photo" if self.control and self.unit.pose is not None else ""
        more = {"pose": pose, "net": self.control.sha256[:SHORT] if self.control else ""}
        return unit_to_infotext(self.unit, self.adapter.name, self.adapter.variant.id, *hashes, more=more)

    def plan(self, steps: int) -> str:
        """Return in words in which of so many steps it acts."""
        return step_range([at for at in range(steps) if self.schedule.weight_at(at / steps, 1 / steps)], steps)

    def summary(self, when: str) -> str:
        """Return one line that says what is applied; `when`: in which steps."""
        unit, adapter = self.unit, self.adapter
        number, what = self.references[0].num_pictures, "face" if adapter.variant.reads_face else "image"
        parts = [
            f"{adapter.name} ({adapter.variant.label})",
            f"{number} {what if number == 1 else f'{what}s'}",
            f"weight {unit.weight:.2f}",
            *(f"{name} {_in_words(unit, name)}" for name in adapter.variant.network_settings),
            *([f"LoRA {self.lora:.2f}"] if self.lora else []),
            *([f"{self.control.label} {unit.net_weight:.2f}"] if self.control else []),
            when,
            self._reach,
            shown_as(unit),
            *([] if unit.region == EVERYWHERE else [unit.region]),
        ]
        return f"FaceID {self.number}: " + " · ".join(parts)

    @property
    def _reach(self) -> str:
        """Which parts of the UNet it acts in, in words."""
        layers = self.unit.layers
        if self.text:
            return f"at '{self.text.trigger}' in the prompt"
        if self.context:
            return "in the context"
        if layers.is_even:
            return f"{len(self.adapter.to_k_ip)} layers"
        factors = layers.factors(self.adapter.base)
        name = "own layer weights" if read_factors(layers.own) else layers.weight_type
        return f"{name} in {sum(map(bool, factors))} of {len(factors)} blocks"


def _in_words(unit: Unit, name: str) -> str:
    kind, value = FIELDS[name].kind, getattr(unit, name)
    return f"{value:g}" if isinstance(kind, Range) and kind.step >= 1 else f"{value:.2f}"


def _tokens(effects: Sequence[Effect]) -> CrossAttention | None:
    return next((effect for effect in effects if isinstance(effect, CrossAttention)), None)


def shown_as(unit: Unit) -> str:
    """Return whom a unit shows: saved people by their names; what files are called is not said anywhere."""
    if unit.person:
        return " | ".join("person" if is_person_file(name) else name for name in unit.names)
    return "photo" if unit.purpose == "person" else "image"


def step_range(acting: Collection[int], steps: int) -> str:
    """Return in words which of so many steps act, given by their numbers from 0."""
    return f"steps {min(acting) + 1}-{max(acting) + 1} of {steps}" if acting else f"none of {steps} steps"


def prepare_unit(number: int | str, unit: Unit, models: Models, dim: int, widths: Sequence[int] = ()) -> Prepared:
    """Return a unit ready for a UNet of that cross attention dimension, and of layers of those widths.

    Raises FaceIDError, naming the unit.
    """
    try:
        return _ready(number, unit, models, dim, widths)
    except FaceIDError as error:
        raise type(error)(f"{_label(number, unit)}: {error}") from error


def _label(number: int | str, unit: Unit) -> str:
    return f"Unit {number}" if isinstance(number, int) else f"Prompt {number} ({unit.person})"


def contribution_of(unit: Unit, tokens: CrossAttention, regions: Sequence[Region | None] = ()) -> Contribution:
    """Return tokens with the weight, steps and layers that a unit sets."""
    return Contribution(tokens, schedule_of(unit), regions, unit.layers)


def schedule_of(unit: Unit) -> Schedule:
    """Return when a unit acts, and how strongly."""
    return Schedule(unit.weight, unit.start, unit.end, unit.fade)


def _ready(number: int | str, unit: Unit, models: Models, dim: int, widths: Sequence[int]) -> Prepared:
    models.allow(unit)
    saved = read_saved(unit, models)
    adapter, note = choose_adapter(unit, models, dim, saved, widths)
    require_carried(adapter.effect_kinds, models.carries, adapter.name, models.host)
    require_writable(unit, adapter)
    joined = [_of_saved(reference, adapter) for reference in saved] or _read(unit, adapter, models)
    unit.layers.factors(adapter.base)  # raises where they were made for another base model
    region = region_of(unit, models.policy())
    negative, negative_images = read_negative(unit, adapter, models)
    settings = {name: getattr(unit, name) for name in (*adapter.variant.network_settings, "lora")}
    effects = adapter.effects([one.identity for one in joined], settings, negative)
    control, of_net = control_of(unit, adapter, joined, _tokens(effects), region, models)
    messages = dict.fromkeys(message for one in joined for message in one.messages)  # each once
    return Prepared(
        number,
        unit,
        adapter,
        tuple(one.identity for one in joined),
        (*effects, *([control] if control else [])),
        regions=(region,) if region else (),
        notes=tuple(filter(None, [note, adapter.variant.caution, *_ignored(unit, adapter), *messages, *of_net])),
        hashes=_hashes(joined) or tuple(one.identity.fingerprint[:8] for one in joined),
        negative_images=_hashes([negative_images]) if negative_images else (),
    )


def _read(unit: Unit, adapter: Adapter, models: Models) -> Sequence[AnyJoined]:
    """Return the references of a unit's pictures. Errors say where the adapter reads them otherwise than the unit."""
    try:
        return read_references(unit, adapter, models)
    except FaceIDError as error:
        if adapter.purpose == unit.purpose:
            raise
        raise type(error)(f"{read_as(adapter)} {error}") from error


def _of_saved(reference: Reference, adapter: Adapter) -> AnyJoined:
    """Return a saved reference as pictures that were just read: with what is to be known of it, and no pictures."""
    note = recogniser_note(reference, adapter)
    return Joined(reference, (), (note,) if note else ())


def _hashes(joined: Sequence[AnyJoined]) -> tuple[str, ...]:
    return tuple(use.sha256[:8] for one in joined for use in one.photos if use.is_used)


def _ignored(unit: Unit, adapter: Adapter) -> tuple[str, ...]:
    """Return sentences on what of a unit does not act as it seems to."""
    notes = ["The saved person is drawn; the photos beside it are ignored."] if unit.person and unit.images else []
    if adapter.variant.makes == "context" and len(unit.images) > 1 and (unit.combine, unit.batch) == MIXED:
        notes.append(f"The {len(unit.images)} images are averaged place by place. {KEPT_APART}")
    return tuple(notes)
