"""What comes before the first step: a face, an adapter, their keys and values, a LoRA; and people looked up."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from builders import CONTAINERS, parts_of, sd15_widths
from PIL import Image
from torch import nn
from unets import identity_of

from bench.networks import fill, in_half_precision
from bench.results import Figure, figure_of
from lib_faceid.effects import bank
from lib_faceid.effects.lora import merge_lora
from lib_faceid.encoders.clip_vision import IMAGE_SIZE_PX, ClipVision, load_clip_vision
from lib_faceid.errors import MissingModelError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.methods import loading as adapters
from lib_faceid.miniature import write_clip_vision
from lib_faceid.people.library import People
from lib_faceid.references import analysis
from lib_faceid.units.unit import Photo, Unit

__all__ = ["data_folder", "job_figures", "library_figures", "photo_figures"]

SECTION = "Before the first step, SD 1.5, FaceID Plus v2 with its LoRA: milliseconds"
SECOND_JOB_MS = 50
PHOTO_PX = 3000  # a side of what a phone takes, about


def data_folder() -> Path | None:
    """Return where photos and face models are; None where there are none."""
    named = os.environ.get("FACEID_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


class Machine:
    """Everything that a job asks for: adapters in files, two photos, face models; saved people where there are none."""

    def __init__(self, folder: Path, unet: nn.Module, channels: int) -> None:
        self.unet = unet
        parts = in_half_precision(parts_of("plusv2", 768, rank=128, widths=sd15_widths(channels)))
        self.files: dict[str, Path] = {}
        for kind in ("safetensors", "bin"):
            suffix, write = CONTAINERS[kind]
            self.files[kind] = folder / f"plusv2-{kind}{suffix}"
            write(parts, self.files[kind])
        data = data_folder()
        self.photos = _photos(data, folder) if data else []
        models = data / "face_models" / "models" / "buffalo_sc_f32" if data else None
        self.analyser = load_face_analyser(models) if models else None
        self.clip = load_clip_vision(write_clip_vision(folder / "clip" / "model.safetensors"))

    def unit(self, person: int, kind: str = "safetensors") -> Unit:
        """Return a unit that shows the first or the second of them, in the file of that kind."""
        who: dict[str, Any] = {"images": (Photo(self.photos[person]),)} if self.photos else {"person": str(person)}
        return Unit(enabled=True, adapter=self.files[kind].name, variant="plusv2", **who)

    def models(self) -> Models:
        """Return where the job finds it all."""
        return Models(
            lambda: list(self.files.values()), lambda: self.analyser or _missing(), lambda _encoder: self.clip,
            lambda name: identity_of(int(name), clip=True),
        )  # fmt: skip

    def before_sampling(self, unit: Unit) -> float:
        """Return how many milliseconds go by until a job's hooks are set. Its LoRA is not merged meanwhile."""
        began = time.perf_counter()
        job = Job([unit], self.models())
        job.prepare(self.unet)
        job.attach(self.unet)
        seconds = time.perf_counter() - began
        job.close()
        return 1000 * seconds

    def forget(self) -> None:
        """Forget whatever was kept of earlier jobs."""
        analysis.forget_all()
        bank.forget_all()
        adapters._load.cache_clear()


def job_figures(folder: Path, unet: nn.Module, channels: int, runs: int) -> list[Figure]:
    """Return how long it takes until sampling can begin: at first, again, with others, and with the LoRA."""
    machine = Machine(folder, unet, channels)
    found: dict[str, list[float]] = {}

    def note(name: str, milliseconds: float) -> None:
        found.setdefault(name, []).append(milliseconds)

    for _ in range(runs):
        machine.forget()
        for kind, path in machine.files.items():
            note(f"an adapter read, .{kind}", _milliseconds(lambda path=path: adapters.load_adapter(path, "plusv2")))
        machine.forget()
        note("a job, everything for the first time", machine.before_sampling(machine.unit(0)))
        note("the same face again", machine.before_sampling(machine.unit(0)))
        note("another face", machine.before_sampling(machine.unit(1)))
        note("the same face, another adapter file", machine.before_sampling(machine.unit(0, "bin")))
        adapter = adapters.load_adapter(machine.files["safetensors"], "plusv2")
        with _timed(lambda ms: note("its LoRA merged and taken out again", ms)), merge_lora(unet, adapter, 0.6):
            pass
    again = "the same face again"
    return [
        figure_of(SECTION, name, values, "ms", target=SECOND_JOB_MS if name == again else None)
        for name, values in found.items()
    ]


def photo_figures(runs: int, *, is_full: bool) -> list[Figure]:
    """Return how long a new photo takes to be looked at: by the face models, and by CLIP in its published size."""
    figures: list[Figure] = []
    section = "One new photo: milliseconds"
    data = data_folder()
    if data:
        analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
        photo = np.asarray(Image.open(data / "photos" / "astronaut.png").convert("RGB"))
        values = [_milliseconds(lambda: analyser.detect(photo)) for _ in range(runs)]
        figures.append(figure_of(section, "faces found and recognised (buffalo_sc, 512 px)", values, "ms"))
    if is_full:
        clip = _vit_h()
        crop = np.zeros((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3), np.uint8)
        clip.encode([crop])
        values = [_milliseconds(lambda: clip.encode([crop])) for _ in range(runs)]
        figures.append(figure_of(section, "seen by CLIP ViT-H (632 million weights)", values, "ms"))
    return figures


def library_figures(sizes: tuple[int, ...], runs: int) -> list[Figure]:
    """Return how long it takes to find somebody among so many, by name and by likeness."""
    figures: list[Figure] = []
    section = "Somebody found in the library: milliseconds"
    with tempfile.TemporaryDirectory(prefix="faceid-library-") as folder:
        library = People(Path(folder))
        saved = 0
        for size in sizes:
            for number in range(saved, size):
                library.save(f"person {number}", identity_of(number))
            saved = size
            by_name = [_milliseconds(partial(library.load, f"person {size - 1}")) for _ in range(runs)]
            first, *alike = [
                _milliseconds(partial(library.most_alike, identity_of(size // 2))) for _ in range(runs + 1)
            ]
            figures.append(figure_of(section, f"by name, among {size:,}", by_name, "ms"))
            figures.append(figure_of(section, f"by likeness, among {size:,}, for the first time", [first], "ms"))
            figures.append(figure_of(section, f"by likeness, among {size:,}, again", alike, "ms"))
    return figures


def _photos(data: Path, folder: Path) -> list[Path]:
    """Return two portraits as a phone would give them: 9 megapixels, JPEG."""
    large: list[Path] = []
    for name in ("astronaut.png", "Luciano.png"):
        path = folder / f"{Path(name).stem}.jpg"
        Image.open(data / "photos" / name).convert("RGB").resize((PHOTO_PX, PHOTO_PX)).save(path, quality=90)
        large.append(path)
    return large


def _vit_h() -> ClipVision:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=16, patch_size=14,
        hidden_act="gelu",
    )  # fmt: skip
    with torch.device("meta"):
        model = CLIPVisionModel(config)
    model = model.to_empty(device="cpu").eval().requires_grad_(requires_grad=False)
    fill(model)
    model.vision_model.embeddings.position_ids = torch.arange(257)[None]
    return ClipVision(model, "random")


def _missing() -> NoReturn:
    raise MissingModelError("There are no face models here.")


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _timed(note: Callable[[float], None]) -> Generator[None]:
    began = time.perf_counter()
    yield
    note(1000 * (time.perf_counter() - began))
