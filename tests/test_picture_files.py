"""Pictures on the disk: a folder for each day, a name that is free, and a sentence where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_faceid.app.picture_files import KeptPictures
from lib_faceid.app.session import GeneratedImage
from lib_faceid.hosts.diffusers.request import Request


@pytest.fixture
def picture() -> GeneratedImage:
    return GeneratedImage(Image.new("RGB", (8, 8)), Request("a prompt", seed=7), "a prompt\nSteps: 1, Seed: 7", 0.1)


def test_the_same_seed_twice_is_two_files_with_settings(tmp_path: Path, picture: GeneratedImage) -> None:
    kept = KeptPictures(tmp_path / "ui")
    first, second = kept.keep(picture), kept.keep(picture)
    assert first
    assert second
    assert (first.name, second.name) == ("seed7.png", "seed7-2.png")
    with Image.open(second) as image:
        assert image.info["parameters"] == picture.parameters
    assert kept.words == f"Kept in {first.parent.as_posix()}: seed7.png, seed7-2.png."


def test_without_a_folder_nothing_is_kept_or_said(picture: GeneratedImage) -> None:
    kept = KeptPictures(None)
    assert kept.keep(picture) is None
    assert kept.words == ""


def test_a_folder_that_cannot_be_made_is_said_and_ends_nothing(tmp_path: Path, picture: GeneratedImage) -> None:
    (tmp_path / "ui").write_text("a file")
    kept = KeptPictures(tmp_path / "ui")
    assert kept.keep(picture) is None
    assert kept.words.startswith("Not kept on the disk: ")
