"""One job: units in, identities in the UNet, and not a trace afterwards. A host drives it; it knows no host."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lib_faceid.effects.contribution import Contribution, Guide, InContext
from lib_faceid.effects.effect import Lora
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.jobs.attaching import injected
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.expected import analyser_of_people, expected_in
from lib_faceid.jobs.passes import Pass, Places, is_auto, of_images
from lib_faceid.jobs.preparing import Prepared, contribution_of, prepare_unit
from lib_faceid.jobs.sentences import INTERRUPTED, LOST, NOT_REACHED, OTHERS, UNCONTROLLED, UNPLACED, UNREACHED
from lib_faceid.jobs.stacked import with_stacked
from lib_faceid.jobs.texts import writing_of
from lib_faceid.likeness.judging import Expected
from lib_faceid.unet.layers import measured
from lib_faceid.unet.regions import Region
from lib_faceid.unet.tag_watch import TagWatch
from lib_faceid.units.control import ControlUnit, acting
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.region import Box
from lib_faceid.units.tags import tag_key
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.jobs.controls import ReadyControl

__all__ = ["Job", "Pass", "Prepared", "contribution_of"]

FIRST_PASS = Pass()
Acting = TypeVar("Acting", Contribution, Guide, InContext)


class Job:
    """The state of one running job. Closing it twice, or before it was ever attached, is harmless."""

    def __init__(
        self, units: Sequence[Unit], models: Models, tagged: Sequence[Unit] = (), controls: Sequence[ControlUnit] = ()
    ) -> None:
        """Units: by their places in the page; tagged: those that the prompt calls besides; controls: ControlNets."""
        self._models = models
        self.asked_controls = controls
        self._controls: dict[int, tuple[ReadyControl, ...]] = {}
        numbered = [*enumerate(units), *((tag_key(at), unit) for at, unit in enumerate(tagged))]
        self._units: list[tuple[int | str, Unit]] = [(number, unit) for number, unit in numbered if unit.acts]
        self._prepared: dict[tuple[int, tuple[int, ...]], tuple[Prepared, ...]] = {}
        self._measured: tuple[nn.Module, int, tuple[int, ...]] | None = None
        self._hooks = ExitStack()
        self._attached: tuple[nn.Module, Pass] | None = None
        self._places = Places([number for number, unit in self._units if is_auto(unit)])
        self.injection: Injection | None = None
        self.taking_part: Sequence[Prepared] = ()
        """The units that act in the pass that it was last attached for, whatever the step."""
        self.calls = 0
        """UNet calls in which an identity acted, over all UNets of the job."""
        self._plain_calls = 0
        self.seconds = 0.0
        """Time spent on getting ready."""
        self._watch = TagWatch()
        self._before_batch = (0, 0, 0)

    def prepare(self, unet: nn.Module) -> tuple[Prepared, ...]:
        """Return the units, ready for this UNet. A second checkpoint in one job chooses its adapters anew.

        Raises FaceIDError, naming the unit, when one cannot be drawn.
        """
        if self._measured is None or self._measured[0] is not unet:
            self._measured = unet, *measured(unet)
        return self.prepare_for(*self._measured[1:])

    def controls_for(self, dim: int) -> tuple[ReadyControl, ...]:
        """Return the job's own ControlNets, ready for a UNet of that cross attention dimension. Raises FaceIDError."""
        if not acting(self.asked_controls):
            return ()
        if dim not in self._controls:
            from lib_faceid.jobs.controls import ready_controls

            self._controls[dim] = ready_controls(
                self.asked_controls, [unit for _, unit in self._units], self._models, dim
            )
        return self._controls[dim]

    @property
    def controls(self) -> list[ReadyControl]:
        """Its ControlNets as they were prepared so far, for one checkpoint after the other."""
        return [control for group in self._controls.values() for control in group]

    def prepare_for(self, dim: int, widths: tuple[int, ...] = ()) -> tuple[Prepared, ...]:
        """Return the units, ready for any UNet of that cross attention dimension: none has to be loaded for it.

        widths: of its cross-attention layers, sorted, where they are known; Auto then takes none that does not fit.
        """
        key = dim, widths
        if key not in self._prepared:
            began = time.perf_counter()
            self._prepared[key] = with_stacked(
                [prepare_unit(number, unit, self._models, dim, widths) for number, unit in self._units]
            )
            self.seconds += time.perf_counter() - began
        return self._prepared[key]

    @property
    def prepared(self) -> list[Prepared]:
        """The units as they were prepared so far, for one checkpoint after the other."""
        return [prepared for group in self._prepared.values() for prepared in group]

    def attach(self, unet: nn.Module, now: Pass = FIRST_PASS) -> Injection:
        """Return the injection into this UNet for one pass, moving the hooks there if they are on another one."""
        everybody = self.prepare(unet)  # first: whether the images differ is known only then
        if not self.differs_by_image:
            now = replace(now, images=range(1))  # one attachment serves all
        if self.injection is None or self._attached != (unet, now):
            self.detach()
            self.taking_part = [one for one in everybody if one.unit.acts_in(hires=now.hires)]
            contributions = [found for one in self.taking_part if (found := self._of_pass(one.contribution, one, now))]
            began = time.perf_counter()
            guides = [found for one in self.taking_part if (found := self._guide(one, now))]
            guides += [one.guide for one in self.controls_for(self._measured[1] if self._measured else 0)]
            readings = [found for one in self.taking_part if (found := self._of_pass(one.in_context, one, now))]
            self.injection = self._hooks.enter_context(injected(unet, contributions, guides, readings, now.view))
            self.injection.watch = self._watch
            self.injection.writing = writing_of(everybody, now.images, hires=now.hires)
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
        return self.follows_faces or any(len(one.references) > 1 for one in self.prepared)

    def see(self, unet: nn.Module, pictures: Sequence[NDArray[np.uint8]], first: int = 0) -> list[str]:
        """Look where the people are (uint8 RGB [H, W, 3]), for the coming passes, and return what was missed.

        first: the number of the first picture, counted through the job. Raises FaceIDError where no face can be looked
        for; then the units keep the places they have.
        """
        if not pictures:
            return []
        self.detach()
        units = [one.references for one in self.prepare(unet) if is_auto(one.unit)]
        people = [
            [references[image % len(references)] for references in units]
            for image in range(first, first + len(pictures))
        ]
        return self._places.see(first, pictures, people, self.face_analyser())

    def face_analyser(self) -> FaceAnalyser:
        """Return the face models to look at the job's pictures with. Raises FaceIDError where there are none."""
        return analyser_of_people(self.prepared, self._models)

    def expected(self, image: int = 0) -> list[Expected]:
        """Return who was asked for in an image, counted from 0 through the job: the people, and where each acts."""
        return expected_in(self.prepared, image, self._places)

    def overlap(self, number: int | str, part: Box, image: int) -> float | None:
        """Return how much of a unit's region in an image lies in a part of it; None for a unit without a region."""
        now = Pass(images=range(image, image + 1))
        found = [self._of_pass(one.contribution, one, now) for one in self.prepared if one.number == number]
        regions = [region for contribution in found if contribution for region in contribution.regions if region]
        return regions[0].share_of(part) if regions else None

    def _of_pass(self, found: Acting | None, prepared: Prepared, now: Pass) -> Acting | None:
        """Return what a unit does in a pass: each of its images has its reference, and its region."""
        if found is None:
            return None
        effect: Any = replace(found.effect, sources=of_images(found.effect.sources, now.images))
        return replace(found, effect=effect, regions=self._regions(prepared, now.images, found.regions))

    def _guide(self, prepared: Prepared, now: Pass) -> Guide | None:
        """Return what a unit's ControlNet does in a pass: as its tokens, and each image has its face."""
        found = self._of_pass(prepared.guide, prepared, now)
        if found is None:
            return None
        pictures = of_images(found.effect.pictures, now.images)
        if is_auto(prepared.unit):
            pictures = self._places.pictures(prepared.number, now.images, pictures)
        return replace(found, effect=replace(found.effect, pictures=pictures))

    def _regions(self, prepared: Prepared, images: range, given: Sequence[Region | None]) -> Sequence[Region | None]:
        """Return where a unit acts in each of these images: as given, or where its face was seen."""
        if not is_auto(prepared.unit):
            return given
        boxes = self._places.of(prepared.number, images)
        return [Region(box, feather_px=prepared.unit.feather) for box in boxes]

    def detach(self) -> None:
        """Take the hooks out of the UNet, if they are in one."""
        if self.injection is not None:
            self.calls += self._calls_now
            self._plain_calls += self.injection.plain_calls
        self.injection = self._attached = None
        self._hooks.close()

    close = detach

    @property
    def _calls_now(self) -> int:
        """UNet calls with an identity in the UNet of now: by tokens, or in the text."""
        if self.injection is None:
            return 0
        written = self.injection.writing.calls if self.injection.writing else 0
        return self.injection.calls + written

    def begin_batch(self) -> None:
        """Count anew for `is_applied`: what follows is another batch."""
        self._before_batch = self._counts()

    @property
    def is_applied(self) -> bool:
        """Whether the people reached the UNet in this batch so far, at least in one step."""
        calls, steps, missed = self._counts_of_batch()
        return calls > 0 and not 0 < steps == missed

    def _counts(self) -> tuple[int, int, int]:
        """Return the UNet calls with an identity, the steps with tags, and how many of these missed people."""
        return self.calls + self._calls_now, self._watch.steps, self._watch.missed()

    def _counts_of_batch(self) -> tuple[int, ...]:
        return tuple(now - then for now, then in zip(self._counts(), self._before_batch, strict=True))

    def report(self, when: Callable[[Prepared], str], batch: str = "", *, is_interrupted: bool = False) -> list[str]:
        """Return a sentence for each unit on what was applied so far, and others on what was not.

        when: gives in words in which steps a unit acted; batch: names the batch where there are several;
        is_interrupted: whether the user ended it before its last step.
        """
        missed, others = self._watch.missed(), self._watch.untagged_calls
        if not self.is_applied:
            why = LOST if self._counts_of_batch()[2] else INTERRUPTED if is_interrupted else NOT_REACHED
            return [f"{infotext_key(one.number)} was NOT applied{batch}: {why}" for one in self.prepared]
        lines = [one.summary(when(one)) for one in self.prepared]
        if missed:
            lines.append(f"FaceID was NOT applied in {missed} of {self._watch.steps} steps: {LOST}")
        elif others and self.prepared:
            lines.append(f"FaceID: {OTHERS} {others}")
        if self._watch.unreached_calls:
            lines.append(f"{UNREACHED} {self._watch.unreached_calls}")
        if self._watch.unplaced_calls:
            has_regions = any(one.regions or is_auto(one.unit) for one in self.prepared)
            sentences = [UNPLACED] if has_regions else []
            sentences += [UNCONTROLLED] if any(one.control for one in self.prepared) else []
            lines += [f"{one} {self._watch.unplaced_calls}" for one in sentences]
        return lines

    def report_controls(self, steps: int, size_px: tuple[int, int] | None = None) -> list[str]:
        """Return a sentence for each of its own ControlNets on what was applied. steps, size_px: of a picture."""
        calls = self._plain_calls + (self.injection.plain_calls if self.injection else 0)
        return [one.line(steps, size_px, is_applied=calls > 0) for one in self.controls]

    def loras(self, unet: nn.Module, *, hires: bool = False) -> list[tuple[LoraWeights, float]]:
        """Return each LoRA once: units that share an adapter share its LoRA, at the largest strength."""
        strengths: dict[LoraWeights, float] = {}
        for prepared in self.prepare(unet):
            if prepared.unit.acts_in(hires=hires):
                for effect in prepared.effects:
                    if isinstance(effect, Lora):
                        strengths[effect.weights] = max(effect.strength, strengths.get(effect.weights, 0.0))
        return list(strengths.items())
