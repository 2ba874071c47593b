"""A host that the package does not know: a UNet and a loop. What a host's folder has to hold, and no more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn
from unets import call

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.hosts.attached import AttachedJob
from lib_faceid.hosts.host import Progress, Settings
from lib_faceid.hosts.merged import MergedLoras
from lib_faceid.hosts.usual import models_of
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.models.folders import Roots


@dataclass
class ToyHost:
    """The program: `hosts.host.Host`."""

    unet: nn.Module
    found: Models | None = None
    folders: Roots = field(default_factory=Roots)
    name: str = "the toy"
    carries: frozenset[EffectKind] = frozenset({"tokens", "lora"})

    def roots(self) -> Roots:
        return self.folders

    def base(self) -> int | None:
        return 768

    def settings(self) -> Settings:
        return Settings(only_approved=True)

    def models(self) -> Models:
        return self.found or models_of(self)

    def draw(self, sampling: ToySampling, job: Job, inputs: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Give what the UNet says in each step, cond and uncond in one call."""
        with AttachedJob(job, sampling) as attached:
            steps: list[Tensor] = []
            for step in range(sampling.steps):
                sampling.step = step
                attached.begin_step()
                steps.append(call(self.unet, inputs))
                attached.end_step()
            attached.report(lambda _: "in some steps")
        return steps


@dataclass
class ToySampling:
    """The program while it draws one job: `hosts.host.Sampling`."""

    unet: nn.Module
    steps: int = 4
    step: int = 0
    is_interrupted: bool = False
    current_pass: Pass = Pass()
    said: list[str] = field(default_factory=list)
    merged: MergedLoras = field(default_factory=MergedLoras)

    def progress(self) -> Progress:
        return Progress(self.step / self.steps, 1 / self.steps)

    @contextmanager
    def rows(self, injection: Injection) -> Generator[None]:
        injection.set_rows([0, 1])
        yield

    def put_loras(self, loras: Sequence[tuple[LoraWeights, float]]) -> None:
        self.merged.put(self.unet, loras)

    def say(self, message: str) -> None:
        self.said.append(message)
