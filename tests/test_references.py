"""Photos become a person: which face, which photos, in what mixture, and what the user is told about it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.degrade import degraded
from bench.joining import share_of_wins
from examples import examples

from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
from lib_faceid.errors import MismatchError, NoFaceError, PhotoError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.crops import clip_crop
from lib_faceid.faces.face import FaceSearch, largest
from lib_faceid.methods.loading import load_adapter
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references import analysis
from lib_faceid.references.combining import geometric_median, likeness_to_rest, mean_direction, relative_weights
from lib_faceid.references.identity import Identity
from lib_faceid.references.joining import Look, forget_all, identity_from_photos, join_photos


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
    assert torch.equal(person.id_embeddings[0], torch.from_numpy(face.id_embedding))
    assert person.clip_hidden is None
    assert person.recogniser == analyser.recogniser


def test_the_analyser_of_the_usual_places(face_models: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEID_FACE_MODELS", str(face_models))
    assert identity_from_photos([photos / "Bryan.png"]).recogniser.startswith("w600k_mbf_dequant_f32-")


# -------------------------------------------------------------------------------------------------------- which face
def test_the_largest_face_of_a_group(analyser: FaceAnalyser, photos: Path) -> None:
    group = read_photo(photos / "solvay_conference_1927.png")[600:1300, :1200]
    person = identity_from_photos([group], analyser=analyser)
    face = largest(analyser.detect(group))
    assert torch.equal(person.id_embeddings[0], torch.from_numpy(face.id_embedding))


def test_a_face_by_its_number(analyser: FaceAnalyser, photos: Path) -> None:
    group = read_photo(photos / "solvay_conference_1927.png")[600:1300, :1200]
    faces = analyser.detect(group)
    for number in (1, len(faces)):
        joined = join_photos([group], analyser=analyser, look=Look(face=number))
        assert torch.equal(joined.identity.id_embeddings[0], torch.from_numpy(faces[number - 1].id_embedding))
        assert (joined.photos[0].face_number, joined.photos[0].num_faces) == (number, len(faces))
    number = len(faces) + 1
    with pytest.raises(NoFaceError, match=rf"no face {number} in reference 1 of 1: it has {len(faces)}\. Count"):
        join_photos([group], analyser=analyser, look=Look(face=number))
    with pytest.raises(UnitError, match=r"^face is 0; .*the number of a face from 1 on"):
        Look(face=0)


def test_a_saved_person_in_a_group(analyser: FaceAnalyser, photos: Path) -> None:
    bryan, luciano = (read_photo(photos / name) for name in ("Bryan.png", "Luciano.png"))
    both = np.zeros((400, 800, 3), np.uint8)
    both[140:255, 140:255], both[:, 400:] = bryan, luciano
    for number, alone in enumerate((bryan, luciano), 1):
        person = identity_from_photos([alone], analyser=analyser)
        joined = join_photos([both], analyser=analyser, look=Look(face=person))
        assert joined.photos[0].face_number == number
    chris = identity_from_photos([photos / "Chris.jpeg"], analyser=analyser)
    with pytest.raises(NoFaceError, match=r"saved person is not in reference 1 of 1: of 2 faces .* 0\.3 was expected"):
        join_photos([both], analyser=analyser, look=Look(face=chris))
    with pytest.raises(MismatchError, match="different recognisers"):
        join_photos([both], analyser=analyser, look=Look(face=Identity(torch.ones(1, 512), recogniser="w600k_r50")))


# ---------------------------------------------------------------------------------------------------- several photos
def test_several_photos(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / "Paul.jpeg", str(photos / "Paul2.jpeg")]
    both = identity_from_photos(sources, analyser=analyser, combine="concatenate")
    assert both.num_faces == 2
    mean = identity_from_photos(sources, analyser=analyser)
    assert mean.num_faces == 1
    alike = mean.normed_embeddings @ both.normed_embeddings.T
    assert alike.min() > 0.85  # nearer to each photo than these are to each other
    assert both.normed_embeddings[0] @ both.normed_embeddings[1] < 0.7
    tokens = identity_from_photos(sources, analyser=analyser, combine="tokens")
    assert (tokens.num_faces, tokens.tokens, both.tokens) == (2, "average", "concatenate")


def test_weights(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / "Paul.jpeg", photos / "Paul2.jpeg"]
    alone = identity_from_photos(sources[:1], analyser=analyser).normed_embeddings[0]

    def likeness(*weights: float) -> float:
        person = identity_from_photos(sources, analyser=analyser, weights=weights)
        return float(person.normed_embeddings[0] @ alone)

    assert likeness(1, 0) == pytest.approx(1)
    assert likeness(9, 1) > likeness(1, 1) > likeness(1, 9) > likeness(0, 1)
    joined = join_photos(sources, analyser=analyser, weights=(1, 0))
    assert [use.is_used for use in joined.photos] == [True, False]
    assert joined.messages[:2] == ("1 of 2 references used.", "'Paul2.jpeg' was skipped: its weight is 0")


@pytest.mark.parametrize("weights", [(1,), (1, -1), (0, 0), (1, float("nan")), (1, float("inf"))])
def test_impossible_weights(weights: tuple[float, ...], analyser: FaceAnalyser, photos: Path) -> None:
    with pytest.raises(
        UnitError,
        match=r"2 numbers from 0 on, not all of them 0, were expected|weights\[1\] is .*; a number from 0 on was",
    ):
        identity_from_photos([photos / "Paul.jpeg", photos / "Paul2.jpeg"], analyser=analyser, weights=weights)


def test_the_better_photo_counts_more(analyser: FaceAnalyser, photos: Path) -> None:
    small = degraded(read_photo(photos / "Paul.jpeg"), "resize", 40, 392)
    joined = join_photos([small, photos / "Paul2.jpeg"], analyser=analyser)
    assert joined.photos[0].weight < joined.photos[1].weight / 1.5
    equal = identity_from_photos([small, photos / "Paul2.jpeg"], analyser=analyser, weights=(1, 1))
    better = identity_from_photos([photos / "Paul2.jpeg"], analyser=analyser).normed_embeddings[0]
    assert joined.identity.normed_embeddings[0] @ better > equal.normed_embeddings[0] @ better


def test_skipped_photos_are_named(analyser: FaceAnalyser, photos: Path, tmp_path: Path) -> None:
    blurred = degraded(read_photo(photos / "Luciano.png"), "blur", 0.05, 177)
    sources = [photos / "Luciano.png", photos / "no_face.jpeg", tmp_path / "gone.png", blurred]
    joined = join_photos(sources, analyser=analyser)
    assert torch.equal(
        joined.identity.id_embeddings, identity_from_photos(sources[:1], analyser=analyser).id_embeddings
    )
    assert [use.is_used for use in joined.photos] == [True, False, False, False]
    first, no_face, gone, poor, recogniser = joined.messages
    assert first == "1 of 4 references used."
    assert no_face.startswith("'no_face.jpeg' was skipped: No face found in reference 2 of 4 ('no_face.jpeg', 400x400")
    assert gone.startswith("'gone.png' was skipped: gone.png does not exist")
    assert poor.startswith("reference 4 was skipped: it is poor (0.")
    assert "out of focus" in poor
    assert "published adapters expect w600k_r50" in recogniser
    assert [note.sha256 for note in joined.record.photos] == [joined.photos[0].sha256]


def test_a_poor_photo_is_better_than_none(analyser: FaceAnalyser, photos: Path) -> None:
    blurred = degraded(read_photo(photos / "Luciano.png"), "blur", 0.05, 177)
    joined = join_photos([blurred, photos / "no_face.jpeg"], analyser=analyser)
    assert joined.identity.num_faces == 1
    assert any(message.startswith("reference 1 is poor (0.") for message in joined.messages)


def test_nothing_left(analyser: FaceAnalyser, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(NoFaceError, match=r"^No face found in reference 1 of 1 \('no_face\.jpeg', 400x400 px; "):
        identity_from_photos([photos / "no_face.jpeg"], analyser=analyser)
    with pytest.raises(PhotoError, match=r"^gone\.png does not exist"):
        identity_from_photos([tmp_path / "gone.png"], analyser=analyser)
    with pytest.raises(NoFaceError, match=r"^None of the 2 photos can be used\. No face found .* gone\.png does not"):
        identity_from_photos([photos / "no_face.jpeg", tmp_path / "gone.png"], analyser=analyser)


@pytest.mark.parametrize("number", [0, 21])
def test_too_few_and_too_many(number: int, analyser: FaceAnalyser, photos: Path) -> None:
    with pytest.raises(PhotoError, match="Give 1 to 20 photos of the person"):
        identity_from_photos([photos / "Bryan.png"] * number, analyser=analyser)


def test_another_person_is_named(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / name for name in ("Paul.jpeg", "Paul2.jpeg", "Chris.jpeg")]
    joined = join_photos(sources, analyser=analyser)
    odd = [message for message in joined.messages if "another person" in message]
    assert len(odd) == 1
    assert odd[0].startswith("'Chris.jpeg' looks like another person than the rest: cosine ")
    assert all(use.is_used for use in joined.photos)
    same = join_photos(sources[:2], analyser=analyser)
    assert not any("another person" in message for message in same.messages)


def test_the_median_is_not_moved_by_a_wrong_photo(analyser: FaceAnalyser, photos: Path) -> None:
    sources = [photos / name for name in ("Paul.jpeg", "Paul2.jpeg", "Paul2.jpeg", "Chris.jpeg")]
    right, wrong = (identity_from_photos([sources[i]], analyser=analyser).normed_embeddings[0] for i in (1, 3))
    mean = identity_from_photos(sources, analyser=analyser, weights=(1, 1, 1, 1)).normed_embeddings[0]
    median = identity_from_photos(sources, analyser=analyser, combine="median", weights=(1, 1, 1, 1))
    assert median.normed_embeddings[0] @ right > mean @ right + 0.03
    assert median.normed_embeddings[0] @ wrong < mean @ wrong - 0.1


@pytest.mark.slow("16 trials of up to eight photos, so that nine in ten means something")
def test_averaging_pays(analyser: FaceAnalyser, photos: Path) -> None:
    """Three to eight bad photos joined are nearer to the clean one than the best of them, in 9 of 10 trials."""
    shares = share_of_wins([photos / name for name in ("Luciano.png", "Paul2.jpeg", "astronaut.png")], analyser, 16)
    assert sum(shares.values()) / len(shares) >= 0.9, shares


@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait"])
def test_the_average_of_tokens(variant: str, miniature_adapter: Callable[..., Path]) -> None:
    """As many tokens as one face has: the weighted mean of what each face says alone."""
    adapter = load_adapter(miniature_adapter(variant, "sd15"))
    numbers = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 257, 1280, generator=numbers) if adapter.variant.encoders else None
    uncond = torch.randn(257, 1280, generator=numbers) if adapter.variant.encoders else None
    vectors = torch.randn(3, 512, generator=numbers)
    together = Identity(vectors, hidden, uncond, weights=(1, 2, 1), tokens="average")
    said = adapter.encode(together)
    alone = [
        adapter.encode(Identity(vectors[i : i + 1], None if hidden is None else hidden[i : i + 1], uncond))
        for i in range(3)
    ]
    assert said.cond.shape == alone[0].cond.shape
    expected = 0.25 * alone[0].cond + 0.5 * alone[1].cond + 0.25 * alone[2].cond
    assert torch.allclose(said.cond, expected, atol=1e-5)
    assert torch.allclose(said.uncond, alone[0].uncond, atol=1e-5)
    every = adapter.encode(replace(together, tokens="concatenate"))
    assert every.cond.shape[0] == 3 * said.cond.shape[0]


# ------------------------------------------------------------------------------------------------------- the numbers
def test_means_and_medians_of_vectors() -> None:
    units = torch.eye(4)[:3]
    equal = relative_weights((), 3)
    assert equal.tolist() == pytest.approx([1 / 3] * 3)
    assert torch.allclose(mean_direction(units, equal), torch.tensor([1.0, 1, 1, 0]) / 3**0.5)
    assert torch.allclose(geometric_median(units, equal), torch.tensor([1.0, 1, 1, 0]) / 3**0.5, atol=1e-4)
    mostly = torch.stack([units[0], units[0], units[0], units[1]])
    assert torch.allclose(geometric_median(mostly, relative_weights((), 4)), units[0], atol=1e-3)
    assert likeness_to_rest(mostly).tolist() == pytest.approx([1, 1, 1, 0], abs=1e-3)
    assert likeness_to_rest(units[:1]).tolist() == [1]


# -------------------------------------------------------------------------------------------------------------- CLIP
def test_with_clip(analyser: FaceAnalyser, clip: ClipVision, photos: Path) -> None:
    sources = [photos / "Bryan.png", photos / "Luciano.png"]
    person = identity_from_photos(sources, analyser=analyser, clip=clip, combine="concatenate")
    assert person.clip_hidden is not None
    assert person.clip_hidden_uncond is not None
    crops = [largest(analyser.detect(read_photo(source))).crop_rgb for source in sources]
    assert torch.equal(person.clip_hidden, clip.encode(crops).half().float())
    assert torch.equal(person.clip_hidden_uncond, clip.blank())
    assert person.clip_hidden.dtype == torch.float32


def test_three_crops(analyser: FaceAnalyser, clip: ClipVision, photos: Path) -> None:
    image = read_photo(photos / "Chris.jpeg")
    (face,) = analyser.detect(image)
    aligned, head, whole = (clip_crop(image, face.points, sees) for sees in ("face", "head", "whole"))
    assert np.array_equal(aligned, face.crop_rgb)
    inner = head[42:182, 42:182].astype(float)  # the head crop holds the face crop, 1.6 times as small
    small = np.asarray(aligned[::8, ::8], float)[:28, :28]
    shown = inner[np.ix_(np.linspace(0, 139, 28).astype(int), np.linspace(0, 139, 28).astype(int))]
    assert np.corrcoef(small.ravel(), shown.ravel())[0, 1] > 0.9
    assert whole.shape == (224, 224, 3)
    assert np.abs(whole.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 3
    hidden = [
        identity_from_photos([image], analyser=analyser, clip=clip, look=Look(clip_sees=sees)).clip_hidden
        for sees in ("face", "head", "whole")
    ]
    assert all(one is not None for one in hidden)
    assert not torch.equal(hidden[0], hidden[1])  # pyright: ignore[reportArgumentType]
    assert not torch.equal(hidden[1], hidden[2])  # pyright: ignore[reportArgumentType]


# ------------------------------------------------------------------------------------------------------------ caches
def test_a_photo_is_analysed_once(
    analyser: FaceAnalyser, clip: ClipVision, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    search, encode = analyser.search, clip.encode_outputs
    monkeypatch.setattr(analyser, "search", lambda image: (calls.append("search"), search(image))[1])
    monkeypatch.setattr(clip, "encode_outputs", lambda *given: (calls.append("encode"), encode(*given))[1])
    source = photos / "Bryan.png"
    first = identity_from_photos([source], analyser=analyser, clip=clip)
    again = identity_from_photos([source.read_bytes()], analyser=analyser, clip=clip)  # the same pixels
    assert calls == ["search", "encode"]
    assert torch.equal(first.id_embeddings, again.id_embeddings)
    assert torch.equal(first.clip_hidden, again.clip_hidden)  # pyright: ignore[reportArgumentType]
    identity_from_photos([source], analyser=analyser, look=Look(face=1))
    assert calls == ["search", "encode"]
    identity_from_photos([source], analyser=analyser, clip=clip, look=Look(clip_sees="head"))  # other options
    assert calls == ["search", "encode", "encode"]
    forget_all()
    with ThreadPoolExecutor(4) as pool:  # at the same time, too
        list(pool.map(lambda _: identity_from_photos([source], analyser=analyser), range(8)))
    assert calls == ["search", "encode", "encode", "search"]


def test_hundreds_of_photos_do_not_grow_memory(
    analyser: FaceAnalyser, clip: ClipVision, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real caches, with the networks replaced: what grows is what is kept. In a thorough run 3,000 photos."""
    psutil = pytest.importorskip("psutil")
    if sys.platform == "win32":
        pytest.skip("what the heap holds is not told there")
    image = read_photo(photos / "Bryan.png")
    found = analyser.search(image)
    monkeypatch.setattr(analyser, "search", lambda image: FaceSearch(found.faces, 0.9, (115, 115)))
    monkeypatch.setattr(clip, "encode", lambda crops, output: torch.rand(len(crops), 257, 1280))

    def person(number: int) -> None:
        photo = image.copy()
        photo[0, 0] = (number // 256, number % 256, 0)
        identity_from_photos([photo], analyser=analyser, clip=clip)

    def kept() -> int:
        gc.collect()
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # holes between blocks are nobody's
            libc.malloc_trim(0)
        return psutil.Process().memory_info().rss

    person(0)
    before = kept()
    for number in range(1, examples(300) + 1):
        person(number)
    assert kept() - before < 60 * 1024 * 1024
    assert len(analysis._photos) <= 256
    assert len(analysis._hidden) <= 24


def test_an_error_is_not_kept(analyser: FaceAnalyser, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(analyser, "search", fail)
    with pytest.raises(MemoryError):
        identity_from_photos([photos / "Bryan.png"], analyser=analyser)
    monkeypatch.undo()
    assert identity_from_photos([photos / "Bryan.png"], analyser=analyser).num_faces == 1


def test_eight_threads_give_what_one_gives(analyser: FaceAnalyser, photos: Path) -> None:
    """Each photo comes twice, so that threads meet at the cache; in a thorough run 200 of them."""
    face = read_photo(photos / "Bryan.png")
    shifts = [(down, right) for down in range(-5, 5) for right in range(-5, 5)][: examples(20)]
    pictures = [np.roll(face, shift, axis=(0, 1)) for shift in shifts] * 2
    expected = [identity_from_photos([picture], analyser=analyser).id_embeddings for picture in pictures]
    forget_all()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda p: identity_from_photos([p], analyser=analyser).id_embeddings, pictures))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
