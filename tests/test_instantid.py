"""InstantID beside FaceID: its own recogniser or none, and a person who is drawn with it from a photo."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from unets import identity_of

from lib_faceid.errors import FaceIDError, MismatchError, MissingModelError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.packs import find_face_pack, require_face_pack
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.expected import analyser_of_people
from lib_faceid.jobs.job import Job
from lib_faceid.methods.loading import load_adapter
from lib_faceid.models.folders import Roots
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Photo, Unit

SDXL = 2048
GLINT, W600K = "glintr100-4ab1d643", "w600k_r50-4c06341c"


def of(recogniser: str) -> Identity:
    return Identity(identity_of(1).id_embeddings, recogniser=recogniser)


def no_encoder(_encoder: str) -> None:
    raise MissingModelError("CLIP ViT-H is not here.")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, face_models: Path) -> Roots:
    """Two packs. The second holds the files of the first under other names: what they find does not matter here."""
    folder = tmp_path_factory.mktemp("models") / "models"
    packs = folder / "insightface" / "models"
    shutil.copytree(face_models, packs / "buffalo_sc")
    nested = packs / "antelopev2" / "antelopev2"  # as the published archive unpacks
    nested.mkdir(parents=True)
    pack = require_face_pack(face_models)
    shutil.copy(pack.detector, nested / "scrfd_10g_bnkps.onnx")
    shutil.copy(pack.recogniser, nested / "glintr100.onnx")
    return Roots(models=(folder,))


@pytest.fixture(scope="module")
def models(roots: Roots, miniature_adapter: Callable[..., Path]) -> Models:
    def analyser(recogniser: str = "") -> FaceAnalyser:
        return load_face_analyser(require_face_pack(roots=roots, recogniser=recogniser).detector.parent)

    files = [miniature_adapter("instantid", "sdxl"), miniature_adapter("plusv2", "sdxl")]
    return Models(lambda: files, analyser, no_encoder, lambda _: of(GLINT), analyser_of=analyser)


@pytest.fixture(scope="module")
def unit(data_folder: Path) -> Unit:
    photo = base64.b64encode((data_folder / "photos" / "astronaut.png").read_bytes()).decode()
    return Unit(enabled=True, images=(Photo(photo),), variant="instantid")


def test_a_pack_is_chosen_by_its_recogniser(roots: Roots) -> None:
    usual, other = find_face_pack(roots), find_face_pack(roots, "glintr100")
    assert usual
    assert usual.detector.parent.name == "buffalo_sc"
    assert other
    assert other.recogniser.name == "glintr100.onnx"
    assert find_face_pack(roots, "another") is None
    with pytest.raises(MissingModelError, match=r"glintr100 \(antelopev2\) are not here.*models/antelopev2"):
        require_face_pack(roots=Roots(models=(roots.models[0] / "nothing",)), recogniser="glintr100")


@pytest.mark.parametrize("recogniser", [W600K, "w600k_mbf-9cc6e4a7", "glintr10-12345678"])
def test_another_recognisers_vectors_are_refused(miniature_adapter: Callable[..., Path], recogniser: str) -> None:
    adapter = load_adapter(miniature_adapter("instantid", "sdxl"))
    with pytest.raises(
        MismatchError, match=r"The recogniser is .*trained on glintr100 \(antelopev2\), and draws a ran"
    ):
        adapter.tokens(of(recogniser))
    for right in (GLINT, "glintr100", "renamed-4ab1d643", ""):
        adapter.tokens(of(right))


def test_others_take_them_and_say_so(miniature_adapter: Callable[..., Path]) -> None:
    adapter = load_adapter(miniature_adapter("faceid", "sdxl"))
    adapter.tokens(of(GLINT))


def test_a_photo_is_read_by_its_recogniser(models: Models, unit: Unit) -> None:
    (prepared,) = Job([unit], models).prepare_for(SDXL)
    assert prepared.references[0].recogniser.startswith("glintr100-")
    assert not [note for note in prepared.notes if "recogniser" in note]
    assert analyser_of_people([prepared], models).recogniser == prepared.references[0].recogniser
    usual = Job([replace(unit, variant="plusv2")], models)
    with pytest.raises(FaceIDError, match="CLIP ViT-H is not here"):
        usual.prepare_for(SDXL)


def test_people_of_two_recognisers_are_looked_at_with_the_usual_one(models: Models, unit: Unit) -> None:
    (prepared,) = Job([unit], models).prepare_for(SDXL)
    other = replace(prepared, adapter=replace(prepared.adapter, variant=load_variant("faceid")))
    assert analyser_of_people([prepared, other], models).recogniser.startswith("w600k")


def load_variant(name: str) -> object:
    from lib_faceid.methods.registry import by_id

    return by_id(name)


def test_auto_takes_it_only_with_its_recogniser(models: Models, unit: Unit) -> None:
    auto = replace(unit, variant="Auto")
    adapter, note = choose_adapter(auto, models, SDXL)
    assert (adapter.variant.id, "plusv2_sdxl cannot be used: CLIP" in note) == ("instantid", True)

    def missing(_recogniser: str) -> FaceAnalyser:
        raise MissingModelError("glintr100 is not here.")

    without = replace(models, analyser_of=missing)
    assert choose_adapter(auto, without, SDXL)[0].variant.id == "plusv2", "so that its error is said"
    with pytest.raises(MissingModelError, match=r"Unit 0: glintr100 is not here\."):
        Job([unit], without).prepare_for(SDXL)


@pytest.mark.parametrize(("recogniser", "variant"), [(GLINT, "instantid"), (W600K, "plusv2")])
def test_auto_looks_at_who_made_a_saved_person(models: Models, recogniser: str, variant: str) -> None:
    saved = [of(recogniser)]
    assert choose_adapter(Unit(enabled=True, person="x"), models, SDXL, saved)[0].variant.id == variant
