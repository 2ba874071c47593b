"""The example in the docstring of each public name, run as it stands there."""

from __future__ import annotations

import doctest
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lib_faceid
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.miniature.trained import STRANGER, STRANGER_PHOTO, TRAINED_ADAPTER

ELSEWHERE = {"METHODS": "Method", "join_photos": "Joined"}  # data has no docstring; a long function
NAMES = sorted({*lib_faceid.__all__} - {*ELSEWHERE})


@pytest.fixture(scope="module")
def unet(trained_checkpoint: Path) -> Any:
    return load_parts(trained_checkpoint).modules["unet"]


@pytest.fixture
def names(
    unet: Any, face_models: Path, miniature_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What an example finds: the public names, a UNet with its inputs, somebody, and files beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEID_FACE_MODELS", str(face_models))
    shutil.copy(STRANGER_PHOTO, "me.jpg")
    shutil.copy(STRANGER, "me.safetensors")
    shutil.copy(TRAINED_ADAPTER, "ip-adapter-faceid_sd15.safetensors")
    Path("clip_vision.safetensors").symlink_to(miniature_clip)
    numbers = torch.randn(512, generator=torch.Generator().manual_seed(0)).tolist()
    return {
        **{name: getattr(lib_faceid, name) for name in lib_faceid.__all__},
        "unet": unet.requires_grad_(False),
        "latents": torch.randn(2, 4, 16, 16),
        "timestep": torch.tensor(500),
        "context": torch.randn(2, 77, 768),
        "numbers": numbers,
        "person": lib_faceid.Identity.from_embedding(numbers, recogniser="a test"),
    }


def examples_of(name: str, names: dict[str, Any]) -> doctest.DocTest:
    public = getattr(lib_faceid, name)
    return doctest.DocTestParser().get_doctest(public.__doc__ or "", names, name, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_gives_what_it_says(name: str, names: dict[str, Any]) -> None:
    found = examples_of(name, names)
    assert found.examples, f"give {name} an example"
    told: list[str] = []
    result = doctest.DocTestRunner().run(found, out=told.append)
    assert result.failed == 0, "".join(told)


def test_those_without_an_example_have_one_elsewhere() -> None:
    for name, other in ELSEWHERE.items():
        assert name in (getattr(lib_faceid, other).__doc__ or "")


def test_a_wrong_example_is_noticed() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner().run(wrong, out=lambda _: None).failed == 1
