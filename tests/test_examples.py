"""The programs in examples/, run as they are, on the miniature."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from gallery import strangers

from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.hosts.diffusers.pipeline import load_pipeline
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.trained import STRANGER_PHOTO, TRAINED_ADAPTER
from lib_faceid.pictures.photo import read_photo

EXAMPLES = Path(__file__).parent.parent / "examples"
PROMPT = "a photo of a person, blue background"


@pytest.fixture(scope="module")
def pipeline(trained_checkpoint: Path) -> Any:
    """diffusers' own pipeline of the miniature."""
    pipeline = load_pipeline(trained_checkpoint)._diffusers
    pipeline.unet.register_to_config(sample_size=16)  # draws 128x128 unless it is asked for more
    return pipeline


def lines_of(path: Path) -> int:
    """How many lines it has behind its docstring, empty ones aside."""
    code = path.read_text("utf-8").split('"""', 2)[2]
    return len([line for line in code.splitlines() if line.strip() and "__future__" not in line])


def cosine(analyser: FaceAnalyser, picture: Any, photo: Any) -> float:
    (drawn,), (meant,) = analyser.detect(picture), analyser.detect(photo)
    unit = [torch.nn.functional.normalize(torch.from_numpy(one.id_embedding), dim=0) for one in (drawn, meant)]
    return float(unit[0] @ unit[1])


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"photo_to_picture.py", "own_pipeline.py"}


def test_a_photo_becomes_a_picture_in_15_lines(
    pipeline: Any, analyser: FaceAnalyser, face_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = EXAMPLES / "photo_to_picture.py"
    assert lines_of(path) <= 15
    pipeline.save_pretrained(tmp_path / "model")
    absent = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    load = StableDiffusionPipeline.from_pretrained
    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", lambda model: load(model, **absent))
    monkeypatch.setenv("FACEID_FACE_MODELS", str(face_models))
    arguments = [str(STRANGER_PHOTO), str(TRAINED_ADAPTER), str(tmp_path / "model"), str(tmp_path / "robin.png")]
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")
    assert cosine(analyser, read_photo(tmp_path / "robin.png"), read_photo(STRANGER_PHOTO)) > 0.4


def test_a_loop_of_ones_own_draws_each_person(pipeline: Any) -> None:
    example = module_at(EXAMPLES / "own_pipeline.py")
    adapter, before = load_adapter(TRAINED_ADAPTER), [one.clone() for one in pipeline.unet.parameters()]
    people = list(strangers("never_seen", 2).values())
    plain = example.pictures_of(pipeline, adapter, people, PROMPT, steps=4, weight=0)
    both = example.pictures_of(pipeline, adapter, people, PROMPT, steps=4)
    turned = example.pictures_of(pipeline, adapter, people[::-1], PROMPT, steps=4)
    assert both.shape == (2, 3, 128, 128)
    for picture in range(2):
        assert (both[picture] - plain[picture]).abs().mean() > 0.02
        assert (both[picture] - turned[picture]).abs().mean() > 0.005, "each picture has its own person"
    assert all(torch.equal(*pair) for pair in zip(before, pipeline.unet.parameters(), strict=True))


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
