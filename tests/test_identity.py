"""A person as numbers: checked when made, averaged, joined, saved whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import write
from torch import Tensor
from unets import identity_of

from lib_faceid.errors import FileError, MismatchError
from lib_faceid.models.checkpoint import read_metadata, read_tensors
from lib_faceid.references.files import PERSON as FORMAT
from lib_faceid.references.identity import Identity


def same(one: Identity, other: Identity) -> bool:
    pairs = [
        (one.id_embeddings, other.id_embeddings),
        (one.clip_hidden, other.clip_hidden),
        (one.clip_hidden_uncond, other.clip_hidden_uncond),
    ]
    equal = [a is b is None or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs]
    return all(equal) and one.recogniser == other.recogniser


# ----------------------------------------------------------------------------------------------------- what it may hold
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id_embeddings": torch.ones(512)}, r"id_embeddings has shape \[512\], \[1, 512\] was expected"),
        ({"id_embeddings": torch.ones(2, 128)}, r"has shape \[2, 128\], \[2, 512\] was expected"),
        ({"id_embeddings": torch.ones(0, 512)}, r"has shape \[0, 512\], \[1, 512\] was expected"),
        ({"id_embeddings": torch.ones(1, 1, 512)}, r"\[1, 1, 512\]"),
        ({"id_embeddings": torch.full((1, 512), torch.nan)}, "values that are not numbers"),
        ({"id_embeddings": torch.full((1, 512), torch.inf)}, "values that are not numbers"),
        ({"id_embeddings": torch.zeros(1, 512)}, "all zeros: that is nobody"),
        ({"id_embeddings": torch.eye(2, 512) * torch.tensor([[1.0], [0.0]])}, "all zeros: that is nobody"),
        ({"id_embeddings": torch.ones(1, 512).half()}, r"is torch\.float16 on cpu; torch\.float32 on the CPU"),
        ({"id_embeddings": torch.ones(1, 512).double()}, r"is torch\.float64 on cpu"),
        ({"clip_hidden": torch.ones(1, 257, 1280)}, "clip_hidden and clip_hidden_uncond together, or neither"),
        ({"clip_hidden_uncond": torch.ones(257, 1280)}, "together, or neither"),
        (
            {"clip_hidden": torch.ones(2, 257, 1280), "clip_hidden_uncond": torch.ones(257, 1280)},
            r"clip_hidden has shape \[2, 257, 1280\], \[1, 257, 1280\] was expected",
        ),
        (
            {"clip_hidden": torch.ones(1, 257, 1280), "clip_hidden_uncond": torch.ones(1, 257, 1280)},
            r"clip_hidden_uncond has shape \[1, 257, 1280\], \[257, 1280\] was expected",
        ),
        (
            {"clip_hidden": torch.ones(1, 257, 1024), "clip_hidden_uncond": torch.ones(257, 1280)},
            r"\[1, 257, 1024\]",
        ),
    ],
)
def test_what_it_may_not_hold_is_said_in_words(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(MismatchError, match=told):
        Identity(**dict[str, Any](id_embeddings=torch.ones(1, 512)) | fields)


def test_unit_vectors() -> None:
    person = identity_of(1, faces=3)
    assert torch.allclose(person.normed_embeddings.norm(dim=-1), torch.ones(3))
    assert (person.id_embeddings.norm(dim=-1) > 10).all()
    assert person.num_faces == 3


@pytest.mark.parametrize(
    "vector",
    [
        [0.5] * 512,
        np.full(512, 0.5, dtype=np.float32),
        np.full(512, 0.5, dtype=np.float64),
        torch.full((512,), 0.5),
        torch.full((1, 512), 0.5, dtype=torch.float16),
    ],
    ids=["list", "numpy", "numpy float64", "tensor", "a row, float16"],
)
def test_from_one_embedding(vector: Any) -> None:
    person = Identity.from_embedding(vector)
    assert torch.equal(person.id_embeddings, torch.full((1, 512), 0.5))
    assert person.clip_hidden is None


def test_from_one_embedding_with_clip() -> None:
    person = identity_of(1, clip=True)
    assert person.clip_hidden is not None
    for hidden in (person.clip_hidden, person.clip_hidden[0]):
        assert same(Identity.from_embedding(person.id_embeddings[0], hidden, person.clip_hidden_uncond), person)


def test_from_embeddings_that_are_not_one() -> None:
    with pytest.raises(MismatchError, match=r"embedding has shape \[2, 512\], \[512\]"):
        Identity.from_embedding(torch.ones(2, 512))
    with pytest.raises(MismatchError, match=r"clip_hidden has shape \[2, 257, 1280\]"):
        Identity.from_embedding(torch.ones(512), torch.ones(2, 257, 1280), torch.ones(257, 1280))


# -------------------------------------------------------------------------------------------------------- several faces
def test_the_average_of_several_faces() -> None:
    """The formula, written out: the mean direction, at the mean length, with the CLIP features of the nearest face."""
    person = identity_of(5, faces=4, clip=True)
    units = torch.stack([vector / vector.norm() for vector in person.id_embeddings])
    direction = units.sum(dim=0) / units.sum(dim=0).norm()
    length = sum(vector.norm() for vector in person.id_embeddings) / 4
    nearest = max(range(4), key=lambda i: float(units[i] @ direction))

    assert nearest != 0, "the first face proves nothing"

    average = person.averaged()
    assert average.num_faces == 1
    assert torch.allclose(average.id_embeddings[0], direction * length, atol=1e-5)
    assert person.clip_hidden is not None
    assert average.clip_hidden is not None
    assert torch.equal(average.clip_hidden[0], person.clip_hidden[nearest])


def test_the_average_of_one_face_is_that_face() -> None:
    person = identity_of(1, clip=True)
    assert same(person.averaged(), person)


def test_a_loud_vector_counts_no_more_than_a_quiet_one() -> None:
    one, other = identity_of(1).id_embeddings, identity_of(2).id_embeddings
    quiet, loud = (Identity(torch.cat([one, other * factor])).averaged() for factor in (1.0, 9.0))
    assert torch.allclose(quiet.normed_embeddings, loud.normed_embeddings, atol=1e-6)


def test_opposite_faces_have_no_average() -> None:
    vector = identity_of(1).id_embeddings
    with pytest.raises(MismatchError, match="that is nobody"):
        Identity(torch.cat([vector, -vector])).averaged()


def test_joining_keeps_every_face_in_order() -> None:
    one, other = identity_of(1, clip=True), identity_of(2, faces=2, clip=True)
    both = Identity.joined([one, other])
    assert torch.equal(both.id_embeddings, torch.cat([one.id_embeddings, other.id_embeddings]))
    assert both.clip_hidden is not None
    assert both.clip_hidden.shape == (3, 257, 1280)
    assert same(Identity.joined([one]), one)


def test_joining_with_one_that_has_no_clip_features_drops_them_all() -> None:
    for people in ([identity_of(1, clip=True), identity_of(2)], [identity_of(2), identity_of(1, clip=True)]):
        both = Identity.joined(people)
        assert both.num_faces == 2
        assert both.clip_hidden is both.clip_hidden_uncond is None


def test_vectors_of_two_recognisers_are_not_mixed() -> None:
    vector = torch.ones(1, 512)
    with pytest.raises(MismatchError, match=r"different recognisers \(buffalo_l and unknown\)"):
        Identity.joined([Identity(vector, recogniser="buffalo_l"), Identity(vector)])


# ------------------------------------------------------------------------------------------------------ saving, loading
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("faces", [1, 3])
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, faces: int, clip: bool) -> None:
    made = identity_of(1, faces=faces, clip=clip)
    person = Identity(made.id_embeddings, made.clip_hidden, made.clip_hidden_uncond, recogniser="w600k_r50 é")
    path = tmp_path / "Zoë.safetensors"
    person.save(path)
    assert same(Identity.load(path), person)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert set(read_tensors(path)) <= {"id_embeddings", "clip_hidden", "clip_hidden_uncond"}
    assert read_metadata(path) == {"format": FORMAT, "recogniser": person.recogniser}


def test_views_and_strides_are_saved(tmp_path: Path) -> None:
    person = Identity(torch.randn(512, 3).T)
    person.save(tmp_path / "a.safetensors")
    assert same(Identity.load(tmp_path / "a.safetensors"), person)


def test_a_loaded_identity_does_not_hold_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    identity_of(1).save(path)
    loaded = Identity.load(path)
    before = loaded.id_embeddings.clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(loaded.id_embeddings, before)


@pytest.mark.parametrize("broken", ["write_bytes", "replace"])
def test_a_failed_save_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "a.safetensors"
    old = identity_of(1)
    old.save(path)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        identity_of(2).save(path)
    monkeypatch.undo()
    assert same(Identity.load(path), old)
    identity_of(2).save(path)
    assert same(Identity.load(path), identity_of(2))


def test_what_is_no_saved_identity(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    cases: list[tuple[dict[str, Tensor], dict[str, str] | None, str]] = [
        ({"a": torch.ones(1)}, None, r'a\.safetensors is not a saved identity \(\["a"\] was found'),
        ({"id_embeddings": torch.ones(1, 512)}, {"format": "faceid-identity-9"}, "is not a saved identity"),
        ({"a": torch.ones(1)}, {"format": FORMAT}, "is not a saved identity"),
        ({"id_embeddings": torch.ones(512)}, {"format": FORMAT}, r"a\.safetensors cannot be used: .*\[512\]"),
        (
            {"id_embeddings": torch.ones(1, 512), "clip_hidden": torch.ones(1, 257, 1280)},
            {"format": FORMAT},
            "cannot be used: .*together, or neither",
        ),
    ]
    for tensors, metadata, told in cases:
        with pytest.raises(FileError, match=told):
            Identity.load(write(tensors, path, metadata))
    torch.save({"id_embeddings": torch.ones(1, 511)}, tmp_path / "b.pt")
    for name, told in (("b.pt", "is not a saved identity"), ("missing", "does not exist")):
        with pytest.raises(FileError, match=told):
            Identity.load(tmp_path / name)


def test_the_fingerprint_tells_what_draws_another_picture() -> None:
    two = torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    same = {Identity(two).fingerprint, Identity(two.clone()).fingerprint}
    others = {
        Identity(two + 1e-6).fingerprint,
        Identity(two[:1]).fingerprint,
        Identity(two, recogniser="another").fingerprint,
        Identity(two, weights=(1.0, 2.0)).fingerprint,
        Identity(two, tokens="average").fingerprint,
        Identity(two, torch.zeros(2, 257, 1280), torch.zeros(257, 1280)).fingerprint,
    }
    assert len(same) == 1
    assert len(same | others) == 7
