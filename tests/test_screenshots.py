"""The pictures of the docs: small, all of them used, and the people on them nobody's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from screenshots.__main__ import MAX_KIB_IN_ALL
from screenshots.drawings import DRAWINGS
from screenshots.nobody import ADA, BEN, draw
from screenshots.recipes import SHOTS, WEBUI_SHOT
from screenshots.shooting import MAX_KIB, save

from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.report import judge

PROJECT = Path(__file__).resolve().parent.parent
IMAGES = PROJECT / "docs" / "images"
CURVES = ("training_joint", "training_vae")  # of `python -m training`


def pages() -> list[Path]:
    return [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]


def shown(page: Path) -> list[Path]:
    """The pictures of a page."""
    names = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8"))
    return [(page.parent / name).resolve() for name in names]


def test_each_recipe_has_its_picture_and_each_picture_its_recipe() -> None:
    recipes = {*(shot.name for shot in (*SHOTS, WEBUI_SHOT)), *DRAWINGS, *CURVES}
    assert {path.stem for path in IMAGES.glob("*")} == recipes


def test_every_picture_is_shown_and_every_shown_picture_is_there() -> None:
    used = [path for page in pages() for path in shown(page)]
    assert not [path for path in used if not path.is_file()]
    assert set(IMAGES.glob("*")) <= set(used)


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size / 1024 for path in IMAGES.glob("*")}
    assert not {name: size for name, size in sizes.items() if size > MAX_KIB}
    assert sum(sizes.values()) <= MAX_KIB_IN_ALL


def test_what_does_not_fit_loses_colours_until_it_does(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 500, 3), np.uint8)
    assert save(Image.fromarray(noise), tmp_path / "noise.png") <= MAX_KIB


def test_nobody_looks_the_same_each_time() -> None:
    first, again, other = (np.asarray(draw([look], (192, 192))) for look in (ADA, ADA, BEN))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_drawn_people_are_found(analyser: FaceAnalyser) -> None:
    """Photographs to the detector and to the report, though there is nobody."""
    pixels = np.asarray(draw([ADA, BEN], (768, 480)))
    faces = analyser.search(pixels).faces
    assert [judge(face, pixels).verdict for face in faces] == ["good", "good"]
