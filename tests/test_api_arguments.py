"""The Python API and what people hand it: paths as text or Path, one photo or many; all else is refused by name."""

# Wrong types are what is tried here.
# pyright: reportArgumentType=false

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from unets import identity_of

import lib_faceid
from lib_faceid import (
    Adapter,
    Contribution,
    FaceAnalyser,
    FaceIDError,
    Identity,
    Look,
    People,
    Schedule,
    Unit,
    identity_from_photos,
    inject,
    join_photos,
    load_adapter,
    load_clip_vision,
    load_face_analyser,
    merge_lora,
)
from lib_faceid.references.record import Record, read_record

NAN = float("nan")
WRONG_PATHS = [None, 5, 1.5, object(), ["a"], {}, "", " ", "a\0b", io.BytesIO()]
WRONG_NUMBERS = [None, NAN, float("inf"), "0.8", True, [0.8], 1j, object()]
WRONG_WORDS = ["mean", "Average", "avg", "", None, 1, ["average"]]


def named(value: object) -> str:
    """A test's name, the same in every process: without the address of an object."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def refused(name: str, call: Callable[[], object]) -> str:
    """The sentence that refuses an argument, which it names."""
    with pytest.raises(FaceIDError) as raised:
        call()
    assert name in str(raised.value), raised.value
    return str(raised.value)


@pytest.fixture
def portrait_file(data_folder: Path) -> Path:
    return data_folder / "photos" / "astronaut.png"


def test_a_path_may_be_text_or_a_path_everywhere(
    tmp_path: Path, face_models: Path, miniature_adapter: Callable[..., Path], miniature_clip: Path
) -> None:
    person = identity_of(1)
    for kind in (str, Path):
        file = kind(tmp_path / "people" / "Anna.safetensors")
        Path(file).parent.mkdir(exist_ok=True)
        person.save(file, Record(notes="a friend"))
        assert Identity.load(file).fingerprint == person.fingerprint
        assert read_record(file).notes == "a friend"
        assert People(kind(tmp_path / "people")).names() == ("Anna",)
        assert load_face_analyser(kind(face_models)) is load_face_analyser(face_models)
        assert load_adapter(kind(miniature_adapter("faceid", "sd15"))).variant.id == "faceid"
        assert load_clip_vision(kind(miniature_clip)).source == str(miniature_clip)


@pytest.mark.parametrize("value", WRONG_PATHS, ids=named)
def test_what_is_no_path_is_refused_by_name(value: Any) -> None:
    for call in (Identity.load, identity_of(1).save, read_record, load_adapter):
        refused("path is ", lambda call=call: call(value))
    if value is not None:  # the usual places
        refused("path is ", lambda: load_clip_vision(value))
        refused("folder is ", lambda: load_face_analyser(value))
    refused("folder is ", lambda: People(value))


def test_one_photo_or_many_in_any_form(portrait_file: Path, analyser: FaceAnalyser) -> None:
    pixels, content = np.asarray(Image.open(portrait_file).convert("RGB")), portrait_file.read_bytes()
    expected = identity_from_photos([portrait_file], analyser=analyser)
    sources: list[Any] = [str(portrait_file), portrait_file, Image.open(portrait_file), pixels, content]
    sources += [bytearray(content), memoryview(content), io.BytesIO(content)]
    for source in sources:
        assert identity_from_photos(source, analyser=analyser).fingerprint == expected.fingerprint
    twice = identity_from_photos([portrait_file, portrait_file], analyser=analyser, combine="concatenate")
    both: list[Any] = [(portrait_file, str(portrait_file)), iter([pixels, content]), np.stack([pixels, pixels])]
    with portrait_file.open("rb") as one, portrait_file.open("rb") as other:
        both.append([one, other])
        for photos in both:
            joined = join_photos(photos, analyser=analyser, combine="concatenate", weights=np.array([1, 1]))
            assert torch.equal(joined.identity.id_embeddings, twice.id_embeddings)


@pytest.mark.parametrize("value", [None, 5, NAN, {}, torch.zeros(3, 8, 8), object(), io.StringIO("x")], ids=named)
def test_what_is_no_photo_is_no_damaged_photo(value: Any, analyser: FaceAnalyser) -> None:
    said = refused("photos", lambda: identity_from_photos([value], analyser=analyser))
    is_shown = value is None or isinstance(value, (int, float))
    assert said.startswith(f"photos[0] is {value};" if is_shown else "photos[0] is a")
    assert "damaged" not in said
    if not isinstance(value, torch.Tensor):
        assert refused("photos", lambda: identity_from_photos(value, analyser=analyser)).startswith("photos is ")
    assert "image_rgb is " in refused("image_rgb", lambda: analyser.detect(value))


def test_an_array_that_is_no_picture_says_its_shape(analyser: FaceAnalyser) -> None:
    for wrong in (np.zeros((8, 8)), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)):
        assert str(list(wrong.shape)) in refused("image_rgb", lambda wrong=wrong: analyser.search(wrong))


@pytest.mark.parametrize("word", WRONG_WORDS, ids=named)
def test_an_unknown_word_is_refused(word: Any, portrait_file: Path) -> None:
    """At once, before a model is loaded: there is none here."""
    said = refused("combine", lambda: join_photos([portrait_file] * 2, combine=word))
    assert "average, median, tokens, concatenate" in said
    refused("clip_sees is ", lambda: Look(clip_sees=word))
    refused("device is ", lambda: load_face_analyser(device=word))
    refused("tokens is ", lambda: Identity(torch.ones(1, 512), tokens=word))
    for field in ("combine", "clip_crop", "hires", "batch", "adetailer", "weight_type", "region"):
        refused(f"{field} is ", lambda field=field: Unit(**{field: word}))


@pytest.mark.parametrize("face", ["biggest", "0", "-1", "box 1 2 3 4", "2.5"])
def test_an_unknown_face_is_refused_when_it_is_said(face: str) -> None:
    refused("face is ", lambda: Unit(face=face))
    refused("face is ", lambda: Look(face=face))
    for number in (0, -1, True, 1.0, None):
        refused("face is ", lambda number=number: Look(face=number))


@pytest.mark.parametrize("value", WRONG_NUMBERS, ids=named)
def test_what_is_no_number_is_refused(value: Any, adapter: Adapter, ldm: nn.Module) -> None:
    person = identity_of(1)
    for name in ("weight", "start", "end", "fade"):
        refused(f"{name} is ", lambda name=name: Schedule(**{name: value}))
        refused(f"{name} is ", lambda name=name: Unit(**{name: value}))
    refused("strength is ", lambda: merge_lora(ldm, adapter, value).__enter__())
    refused("structure is ", lambda: adapter.encode(person, {"structure": value}))
    with inject(ldm, Contribution(adapter.tokens(person))) as injection:
        refused("progress is ", lambda: injection.set_progress(value))
        if value is not True:
            refused("slots[1] is ", lambda: injection.set_rows([0, value]))
        if value is not None:  # off
            refused("slots is ", lambda: injection.set_rows(value if value != [0.8] else 0.8))
    refused("weights", lambda: join_photos(["a.png", "b.png"], weights=[1, value]))
    if not isinstance(value, list):
        refused("weights", lambda: join_photos(["a.png", "b.png"], weights=value))


def test_one_person_or_many_and_nobody_else(adapter: Adapter, ldm: nn.Module, untouched: None) -> None:
    person = identity_of(1)
    one = Contribution(adapter.tokens(person))
    with inject(ldm, one), inject(ldm, (each for each in [one] * 2)):
        pass
    for wrong in (None, "me.safetensors", 5, torch.ones(1, 512), [person, "Ben"], b"x"):
        refused("references", lambda wrong=wrong: adapter.tokens(wrong))
    refused("identities", lambda: Identity.joined([]))
    for wrong in (None, "adapter.bin", 5, person):
        refused("effect is ", lambda wrong=wrong: Contribution(wrong))
        refused("adapter is ", lambda wrong=wrong: merge_lora(ldm, wrong, 1).__enter__())
        refused("contributions", lambda wrong=wrong: inject(ldm, wrong).__enter__())
    for wrong in (None, "unet", object()):
        refused("unet is ", lambda wrong=wrong: inject(wrong, []).__enter__())
        refused("unet is ", lambda wrong=wrong: merge_lora(wrong, adapter, 1).__enter__())
    refused("reference is ", lambda: adapter.encode("Anna"))


def test_numbers_of_numpy_are_numbers(adapter: Adapter) -> None:
    assert Schedule(weight=np.float32(0.5), start=np.int64(0)).weight == 0.5
    assert Unit(weight=np.float32(0.5)).weight == 0.5
    assert Unit(images="iVBOR").images == Unit(images=["iVBOR"]).images == Unit.from_dict({"image": "iVBOR"}).images


VECTOR = torch.arange(1.0, 513.0)


@pytest.mark.parametrize(
    "value",
    [
        VECTOR, VECTOR[None], VECTOR[None, None], VECTOR.half(), VECTOR.double(), VECTOR.int(), VECTOR.numpy(),
        VECTOR.tolist(), tuple(VECTOR.tolist()), VECTOR.clone().requires_grad_(), torch.nn.Parameter(VECTOR.clone()),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_vector_in_any_form_is_a_person(value: Any) -> None:
    person = Identity.from_embedding(value, recogniser="w600k_r50")
    assert torch.equal(person.id_embeddings[0], VECTOR)  # halves hold whole numbers up to 2048
    assert person.fingerprint == Identity.from_embedding(person.id_embeddings, recogniser="w600k_r50").fingerprint


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "None"), ("me.npy", "'me.npy'"), ({"embedding": VECTOR}, "a dict"), (5, "[]"), (object(), "an object"),
        (torch.complex(VECTOR, VECTOR), "complex"), (VECTOR > 3, "bool"), (torch.ones(2, 1, 512), "[2, 1, 512]"),
        (torch.ones(511), "[511]"), (torch.ones(16, 32), "[16, 32]"), (["a"] * 512, "a list"),
        ([[1], [1, 2]], "a list"),
        (VECTOR * NAN, "not numbers"), (VECTOR * 0, "nobody"), (VECTOR.to_sparse(), "sparse"),
        (torch.ones(1).expand(10**10), "[10000000000]"), (torch.empty(512, device="meta"), "[512]"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_what_is_no_vector_is_refused(value: Any, found: str) -> None:
    assert found in refused("embedding", lambda: Identity.from_embedding(value))


def test_a_unit_says_how_many_photos_and_which_is_wrong() -> None:
    assert "21 photos" in refused("images", lambda: Unit.from_dict({"images": ["x"] * 21}))
    assert "photo 2 has the weight 11" in refused(
        "images", lambda: Unit.from_dict({"images": ["x", {"image": "x", "weight": 11}]})
    )
    assert "photo 1 has no picture" in refused("negative_images", lambda: Unit(negative_images=[None]))
    for wrong in (None, 5, "x", [], [("weight", 1)]):
        refused("a unit is ", lambda wrong=wrong: Unit.from_dict(wrong))


def test_the_public_names_are_listed_and_the_version_is_that_of_the_project() -> None:
    assert set(lib_faceid.__all__) <= set(dir(lib_faceid))
    project = (Path(lib_faceid.__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    assert f'version = "{lib_faceid.__version__}"' in project
    assert (Path(lib_faceid.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_that_no_float_can_hold_is_refused(digits: int) -> None:
    """Of thousands of digits Python itself refuses to make a text."""
    refused("weight is a whole number of more than 60 digits", lambda: Unit(weight=10**digits))
    refused("start is a whole number of more than 60 digits", lambda: Schedule(start=-(10**digits)))
