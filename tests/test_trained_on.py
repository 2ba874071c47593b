"""An adapter's file says on whose vectors it was trained; whoever is drawn with it is compared with that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_faceid.faces.recognisers import unknown_note
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.preparing import prepare_unit
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.trained import RECOGNISER, TRAINED_ADAPTER
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

NAMES = {"large": "w600k_r50", "small": "w600k_mbf-12345678"}


def notes(adapter: Path, recogniser: str) -> tuple[str, ...]:
    """What is said when somebody saved with a recogniser is drawn with an adapter."""

    def nothing(*_: object) -> NoReturn:
        raise AssertionError("nobody's photo is looked at")

    somebody = Identity(torch.eye(512)[:1], recogniser=recogniser)
    models = Models(lambda: [adapter], nothing, nothing, lambda _: somebody)
    return prepare_unit(0, Unit(enabled=True, person="somebody", adapter=adapter.stem), models, 768).notes


@pytest.fixture
def published(miniature_adapter: Callable[..., Path]) -> Path:
    """A file like the published ones, which say nothing."""
    return miniature_adapter("faceid", "sd15", ".safetensors")


@pytest.fixture
def own(published: Path, tmp_path: Path) -> Path:
    """The same with a recogniser in its metadata."""
    path = tmp_path / published.name
    save_file(load_file(published), path, metadata={"recogniser": RECOGNISER})
    return path


def test_the_file_says_it(published: Path, own: Path) -> None:
    assert load_adapter(published).recogniser == "w600k_r50"
    assert load_adapter(own).recogniser == load_adapter(TRAINED_ADAPTER).recogniser == RECOGNISER


def test_a_saved_person_of_another_recogniser_is_warned_about(published: Path, own: Path) -> None:
    assert notes(published, NAMES["large"]) == notes(own, NAMES["small"]) == ()
    (published_note,), (own_note,) = notes(published, NAMES["small"]), notes(own, NAMES["large"])
    assert "the published adapters expect w600k_r50" in published_note
    assert "this adapter was trained on w600k_mbf" in own_note
    assert notes(own, "") == (unknown_note("w600k_mbf"),)
