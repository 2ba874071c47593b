"""The shipped miniature drawn through the engine, many pictures in one UNet call, each looked at by the face models.

Whom it draws: strangers whom its training never saw (`tests/strangers`, made by `training/never_seen.py`). Two groups:
"never_seen", blends of faces whose parts training knows, and "new_parents", blends of faces that it never had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from lib_faceid.app.beginnings import TRAINED
from lib_faceid.app.resources import Resources, load_pipeline
from lib_faceid.faces.analyser import Face, FaceAnalyser, largest
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.likeness.judging import cosines
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.models.folders import Roots
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit
from training.captions import COLOUR_NAMES, COLOURS_RGB, caption

__all__ = ["BLUE", "STRANGERS", "Drawn", "Gallery", "identity_of", "photo_of", "strangers"]

STRANGERS = Path(__file__).parent / "strangers"
SIDE_PX = 128
CORNER_PX = 12
PLACES = {2: ("left", "right"), 3: ("left third", "middle third", "right third")}
BATCH = 12  # pictures in one UNet call
BLUE = COLOUR_NAMES.index("blue")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture, and who is in it."""

    pixels: NDArray[np.uint8]
    faces: Sequence[Face]

    def likeness(self, person: Identity) -> float:
        """The cosine of the largest face to a person; 0 where no face is found."""
        return _cosine(largest(self.faces), person) if self.faces else 0.0

    def likeness_from_left(self, *people: Identity) -> list[float]:
        """The same for several who stand side by side: of the largest face of each column to its person."""
        width = self.pixels.shape[1] / len(people)
        columns = [[face for face in self.faces if int(_middle(face) // width) == at] for at in range(len(people))]
        return [_cosine(largest(faces), who) if faces else 0.0 for faces, who in zip(columns, people, strict=True)]

    @property
    def colour(self) -> int:
        """Which of the captions' colours is nearest to the upper corners."""
        top = self.pixels[:CORNER_PX]
        mean = np.concatenate((top[:, :CORNER_PX], top[:, -CORNER_PX:])).reshape(-1, 3).mean(0)
        return int(np.square(np.array(COLOURS_RGB) - mean).sum(1).argmin())


def strangers(group: str = "", count: int | None = None) -> dict[str, Identity]:
    """Return the first people of a group (of both where none is named), as the face models saw their photos."""
    with safe_open(STRANGERS / "embeddings.safetensors", "pt") as file:
        recogniser = file.metadata()["recogniser"]
        names = sorted(name for name in file.keys() if name.startswith(group))[:count]  # noqa: SIM118 - no mapping
        return {name: Identity(file.get_tensor(name)[None], recogniser=recogniser) for name in names}


def photo_of(name: str) -> Path:
    """Return the photo of a stranger."""
    return STRANGERS / f"{name}.jpg"


def identity_of(id_embeddings: Sequence[NDArray[np.float32]], analyser: FaceAnalyser) -> Identity:
    """Return the person with these embeddings, as the analyser saw them."""
    return Identity(torch.from_numpy(np.stack(id_embeddings)), recogniser=analyser.recogniser)


def _cosine(face: Face, person: Identity) -> float:
    return float(cosines([person], [face])[0, 0])


def _middle(face: Face) -> float:
    return float(face.box[0] + face.box[2]) / 2


class Gallery:
    """Draws people with the miniature."""

    def __init__(
        self,
        folder: Path,
        checkpoint: Path,
        analyser: FaceAnalyser,
        people: Mapping[str, Identity],
        steps: int = TRAINED.steps,
        adapter: Path = TRAINED_ADAPTER,
    ) -> None:
        """Take a folder for files, the miniature, who judges, who can be drawn, in how many steps, and with what."""
        self.people, self._adapter = dict(people), adapter
        self._steps, self._analyser, self._folder = steps, analyser, folder
        self._pipeline = load_pipeline(checkpoint)
        for name, person in people.items():
            person.save(self._file(name))
        self._resources = Resources(Roots((folder,)), adapters=(adapter,), identities=tuple(map(self._file, people)))

    def draw(
        self,
        names: Sequence[str],
        seeds: Sequence[int],
        colours: Sequence[int],
        *,
        style: int = 0,
        cfg: float = TRAINED.cfg,
        **settings: Any,
    ) -> list[Drawn]:
        """Return a picture of each person, with that noise and before that wall; `settings` are the unit's."""
        drawn: list[Drawn] = []
        for at in range(0, len(names), BATCH):
            part = slice(at, at + BATCH)
            units = [self._unit(names[part], **settings)]
            prompts = [caption(colour, style=style) for colour in colours[part]]
            drawn += self._draw(units, prompts, seeds[part], cfg)
        return drawn

    def draw_nobody(self, seeds: Sequence[int], colours: Sequence[int]) -> list[Drawn]:
        """Return pictures without anybody."""
        return self._draw([], [caption(colour) for colour in colours], seeds, TRAINED.cfg)

    def draw_pairs(self, pairs: Sequence[tuple[str, str]], seeds: Sequence[int], colours: Sequence[int]) -> list[Drawn]:
        """Return a wide picture of each pair, the first of them on the left."""
        return self.draw_groups(pairs, seeds, colours)

    def draw_groups(
        self, groups: Sequence[tuple[str, ...]], seeds: Sequence[int], colours: Sequence[int]
    ) -> list[Drawn]:
        """Return a wide picture of each group of two or three (all of one size), from left to right."""
        drawn: list[Drawn] = []
        columns = len(groups[0])
        for at in range(0, len(groups), BATCH // 2):
            part = slice(at, at + BATCH // 2)
            each = zip(PLACES[columns], zip(*groups[part], strict=True), strict=True)
            units = [self._unit(names, region=side) for side, names in each]
            prompts = [caption(colour, people=2) for colour in colours[part]]
            drawn += self._draw(units, prompts, seeds[part], TRAINED.cfg, columns=columns)
        return drawn

    def job_of(self, names: Sequence[str]) -> Job:
        """Return a job with a unit for each of these people, ready for the miniature's UNet."""
        job = Job([self._unit([name]) for name in names], self._resources.models())
        job.prepare(self._pipeline.unet)
        return job

    def _draw(
        self, units: list[Unit], prompts: list[str], seeds: Sequence[int], cfg: float, columns: int = 1
    ) -> list[Drawn]:
        job, count = Job(units, self._resources.models()), len(prompts)
        with self._pipeline.attached(job):
            injection = job.attach(self._pipeline.unet, Pass(images=range(count)))
            images = [image + 1 for image in range(count)] if job.differs_by_image else [1] * count
            negatives = [-image if job.differs_by_image else 0 for image in images]
            injection.set_rows([*negatives, *images] if cfg > 1 else images)
            injection.set_progress(0, 1 / self._steps)

            def step_done(_pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
                injection.set_progress((step + 1) / self._steps, 1 / self._steps)
                return {}

            pipeline = self._pipeline._diffusers
            pixels = pipeline(
                prompt=prompts,
                negative_prompt=[""] * count,
                width=columns * SIDE_PX,
                height=SIDE_PX,
                num_inference_steps=self._steps,
                guidance_scale=cfg,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                callback_on_step_end=step_done,
                output_type="np",
            ).images
        pictures = (pixels * 255).round().astype(np.uint8)
        return [Drawn(picture, self._analyser.detect(picture)) for picture in pictures]

    def _unit(self, names: Sequence[str], **settings: Any) -> Unit:
        people = "|".join(str(self._file(name)) for name in names)
        batch = {"batch": "one each"} if len(names) > 1 else {}
        return Unit(enabled=True, person=people, adapter=str(self._adapter), **batch, **settings)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.identity.safetensors"
