"""Photos become a person: largest faces, averages, a small cache that keeps no photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lib_faceid import references
from lib_faceid.clip_vision import ClipVision, load_clip_vision
from lib_faceid.errors import NoFaceError, PhotoError
from lib_faceid.faces import FaceAnalyser, largest, load_face_analyser
from lib_faceid.photo import read_photo
from lib_faceid.references import forget_all, identity_from_photos


@pytest.fixture(scope="module")
def photos(data_folder: Path) -> Path:
    return data_folder / "photos"


@pytest.fixture
def analyser(face_models: Path) -> FaceAnalyser:
    forget_all()
    return load_face_analyser(face_models)


@pytest.fixture
def clip(miniature_clip: Path) -> ClipVision:
    return load_clip_vision(miniature_clip)


def test_one_photo(analyser: FaceAnalyser, photos: Path) -> None:
    person = identity_from_photos([photos / "astronaut.png"], analyser=analyser)
    (face,) = analyser.detect(read_photo(photos / "astronaut.png"))
    assert torch.allclose(person.id_embeddings[0], torch.from_numpy(face.id_embedding), atol=1e-5)
    assert person.clip_hidden is None
    assert person.recogniser == analyser.recogniser


def test_the_analyser_of_the_usual_places(face_models: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEID_FACE_MODELS", str(face_models))
    assert identity_from_photos([photos / "Bryan.png"]).recogniser.startswith("w600k_mbf_dequant_f32-")


def test_several_photos(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / "Paul.jpeg", str(photos / "Paul2.jpeg")]
    both = identity_from_photos(sources, analyser=analyser, combine="concatenate")
    assert both.num_faces == 2
    mean = identity_from_photos(sources, analyser=analyser)
    assert mean.num_faces == 1
    alike = mean.normed_embeddings @ both.normed_embeddings.T
    assert alike.min() > 0.85  # nearer to each photo than these are to each other
    assert both.normed_embeddings[0] @ both.normed_embeddings[1] < 0.7


def test_the_largest_face_of_a_group(analyser: FaceAnalyser, photos: Path) -> None:
    group = read_photo(photos / "solvay_conference_1927.png")[600:1300, :1200]
    person = identity_from_photos([group], analyser=analyser)
    face = largest(analyser.detect(group))
    assert torch.allclose(person.id_embeddings[0], torch.from_numpy(face.id_embedding), atol=1e-5)


def test_with_clip(analyser: FaceAnalyser, clip: ClipVision, photos: Path) -> None:
    sources = [photos / "Bryan.png", photos / "Luciano.png"]
    person = identity_from_photos(sources, analyser=analyser, clip=clip, combine="concatenate")
    assert person.clip_hidden is not None
    assert person.clip_hidden_uncond is not None
    crops = [largest(analyser.detect(read_photo(source))).crop_rgb for source in sources]
    assert torch.equal(person.clip_hidden, clip.encode(crops).half().float())
    assert torch.equal(person.clip_hidden_uncond, clip.encode_uncond())
    assert person.clip_hidden.dtype == torch.float32


def test_a_photo_without_a_face_is_named(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / "Bryan.png", photos / "no_face.jpeg", photos / "Luciano.png"]
    with pytest.raises(NoFaceError, match=r"^No face found in reference 2 of 3 \('no_face\.jpeg', 400x400 px; "):
        identity_from_photos(sources, analyser=analyser)


def test_bad_photos(analyser: FaceAnalyser, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="There is no reference photo"):
        identity_from_photos([], analyser=analyser)
    with pytest.raises(PhotoError, match=r"gone\.png does not exist"):
        identity_from_photos([tmp_path / "gone.png"], analyser=analyser)


def test_a_photo_is_analysed_once(
    analyser: FaceAnalyser, clip: ClipVision, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    search, encode = analyser.search, clip.encode
    monkeypatch.setattr(analyser, "search", lambda image: (calls.append("search"), search(image))[1])
    monkeypatch.setattr(clip, "encode", lambda crops: (calls.append("encode"), encode(crops))[1])
    source = photos / "Bryan.png"
    first = identity_from_photos([source], analyser=analyser, clip=clip)
    again = identity_from_photos([source.read_bytes()], analyser=analyser, clip=clip)  # the same pixels
    assert calls == ["search", "encode"]
    assert torch.equal(first.id_embeddings, again.id_embeddings)
    assert torch.equal(first.clip_hidden, again.clip_hidden)  # pyright: ignore[reportArgumentType]
    identity_from_photos([source], analyser=analyser)  # other options
    assert calls == ["search", "encode", "search"]
    forget_all()
    identity_from_photos([source], analyser=analyser, clip=clip)
    assert calls == ["search", "encode", "search", "search", "encode"]


def test_the_cache_stays_small(analyser: FaceAnalyser, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 entries of at most 660 KB, none with pixels in it."""
    found = analyser.search(read_photo(photos / "Bryan.png"))
    monkeypatch.setattr(analyser, "search", lambda image: found)
    for shade in range(100):
        identity_from_photos([np.full((9, 9, 3), shade, np.uint8)], analyser=analyser)
    entries = references._recent._entries
    assert len(entries) == 64
    assert {tuple(entry.id_embedding.shape) for entry in entries.values()} == {(512,)}
