"""Whatever is handed over as a photo: faces or an error of ours, never another exception."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_faceid.errors import FaceIDError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.face import Face
from lib_faceid.faces.report import judge
from lib_faceid.faces.search import VIEWS
from lib_faceid.pictures.photo import read_photo

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
slow = settings(max_examples=examples(8), deadline=None, suppress_health_check=CHECKS, derandomize=True)


@pytest.fixture
def two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the ten views, in all four rotations: an empty picture costs 8 looks and not 40."""
    monkeypatch.setattr("lib_faceid.faces.search.VIEWS", (VIEWS[1], VIEWS[-1]))


def looked_at(source: Any, analyser: FaceAnalyser) -> tuple[Face, ...]:
    try:
        image_rgb = read_photo(source)
        faces = analyser.detect(image_rgb)
    except FaceIDError:
        return ()
    for face in faces:
        assert 0 <= judge(face, image_rgb).score <= 1
    return faces


sides = st.one_of(st.integers(1, 40), st.integers(1, 4096))


@slow
@given(width=sides, height=sides, mode=st.sampled_from(MODES), orientation=st.integers(0, 9), seed=st.integers(0, 9))
@pytest.mark.usefixtures("two_views")
def test_any_size_mode_and_orientation(
    width: int, height: int, mode: str, orientation: int, seed: int, analyser: FaceAnalyser
) -> None:
    width = min(width, 400_000 // height + 1)  # 4096 long, and no minutes of noise
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    image = (
        Image.new(mode, (width, height))
        if mode in ("PA", "I;16", "LAB", "RGBa")
        else Image.fromarray(noise).convert(mode)
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    try:
        image.save(file, "PNG" if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16") else "TIFF", exif=exif)
    except (OSError, ValueError, KeyError):  # no file of that mode can be written: the picture itself, then
        looked_at(image, analyser)
        return
    looked_at(file.getvalue(), analyser)


@slow
@given(
    shape=st.lists(st.integers(0, 40), min_size=0, max_size=4),
    dtype=st.sampled_from(["u1", "u2", "i4", "f4", "f8", "?", "c8", "O", "U1"]),
)
@pytest.mark.usefixtures("two_views")
def test_any_array(shape: list[int], dtype: str, analyser: FaceAnalyser) -> None:
    looked_at(np.zeros(shape, dtype), analyser)


@slow
@given(
    content=st.binary(max_size=300),
    magic=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"II*\0"]),
)
def test_any_bytes(content: bytes, magic: bytes, analyser: FaceAnalyser) -> None:
    looked_at(magic + content, analyser)


@slow
@given(data=st.data())
def test_a_real_face_in_any_frame(data: st.DataObject, analyser: FaceAnalyser, data_folder: Path) -> None:
    """Padded, cut and scaled at random, the same face keeps its number of points and its finite numbers."""
    face = read_photo(data_folder / "photos" / "Bryan.png")
    top, left, bottom, right = (data.draw(st.integers(0, 60)) for _ in range(4))
    padded = np.pad(face, ((top, bottom), (left, right), (0, 0)), mode="edge")
    size = data.draw(st.integers(90, 700))
    picture = np.asarray(Image.fromarray(padded).resize((size, size)))
    faces = looked_at(picture, analyser)
    assert faces
    for found in faces:
        assert np.isfinite(found.id_embedding).all()
        assert np.isfinite(found.points).all()
