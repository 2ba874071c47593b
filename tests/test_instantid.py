"""InstantID beside FaceID: its own recogniser or none, and a person who is drawn with it from a photo."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from unets import identity_of

from lib_faceid.errors import FaceIDError, MismatchError, MissingModelError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.keypoints import KeyPoints, draw_points
from lib_faceid.faces.packs import find_face_pack, require_face_pack
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.inventory.check import Row, check_setup
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.expected import analyser_of_people
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.jobs.reading import analyser_of_unit
from lib_faceid.jobs.recording import used_unit
from lib_faceid.methods.loading import load_adapter
from lib_faceid.methods.nets import find_net
from lib_faceid.methods.registry import by_id
from lib_faceid.miniature import write_controlnet
from lib_faceid.models.catalogue import entry
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.folders import Roots
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from lib_faceid.units.region import WHOLE
from lib_faceid.units.unit import Photo, Unit

SDXL = 2048
GLINT, W600K = "glintr100-4ab1d643", "w600k_r50-4c06341c"


def of(recogniser: str) -> Identity:
    return Identity(identity_of(1).id_embeddings, recogniser=recogniser)


def no_encoder(_encoder: str) -> NoReturn:
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
    other = replace(prepared, adapter=replace(prepared.adapter, variant=by_id("faceid")))
    assert analyser_of_people([prepared, other], models).recogniser.startswith("w600k")


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


# --------------------------------------------------------------------------------------------------------- IdentityNet
@pytest.fixture(scope="module")
def net_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_controlnet(tmp_path_factory.mktemp("nets") / "identitynet_sdxl.safetensors", "sdxl")


@pytest.fixture(scope="module")
def with_net(models: Models, net_path: Path) -> Models:
    return replace(models, adapter_files=lambda: [*models.adapter_files(), net_path])


@pytest.fixture(scope="module")
def unet(miniature_checkpoint: Callable[[str], Path]) -> nn.Module:
    return load_parts(miniature_checkpoint("sdxl")).modules["unet"]


@torch.no_grad()
def called(unet: nn.Module, rows: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    latents, context = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(rows, 77, SDXL, generator=generator)
    told = {"text_embeds": torch.randn(rows, 256, generator=generator), "time_ids": torch.full((rows, 6), 128.0)}
    latents = latents.expand(rows, -1, -1, -1)
    return unet(latents, torch.tensor(500), encoder_hidden_states=context, added_cond_kwargs=told).sample


def drawn(unet: nn.Module, job: Job, now: Pass | None = None) -> torch.Tensor:
    """What the UNet predicts for an uncond and a cond row in a job."""
    injection = job.attach(unet, *([now] if now else []))
    try:
        injection.set_rows([0, 1])
        return called(unet)
    finally:
        job.close()


def pictures_of(job: Job, now: Pass | None = None) -> list[np.ndarray]:
    """What the ControlNets of a job's units are shown, at 128x128."""
    guides = [job._guide(one, now or Pass()) for one in job.prepared]
    return [one.drawn((128, 128), WHOLE) for guide in guides if guide for one in guide.effect.pictures]


def test_a_unit_draws_with_it_and_without(unet: nn.Module, models: Models, with_net: Models, unit: Unit) -> None:
    plain = called(unet)
    alone = drawn(unet, Job([replace(unit, net_weight=0.0)], with_net))
    both, again = (drawn(unet, Job([unit], with_net)) for _ in range(2))
    assert torch.equal(both, again)
    assert (both - alone).abs().max() > 1e-2
    assert (alone - plain).abs().max() > 1e-2
    missing = Job([unit], models)
    assert torch.equal(drawn(unet, missing), alone)
    assert "IdentityNet is not here, so the adapter draws alone" in " ".join(missing.prepared[0].notes)
    off = Job([replace(unit, weight=0.0)], with_net)
    assert torch.equal(drawn(unet, off), plain)
    assert not off.prepared


def test_what_was_applied_is_said(unet: nn.Module, with_net: Models, unit: Unit) -> None:
    job = Job([replace(unit, net_weight=0.55)], with_net)
    drawn(unet, job)
    (line,) = job.report(lambda _: "all steps")
    assert "IdentityNet 0.55" in line
    assert "identitynet_sdxl.safetensors is taken for IdentityNet by its name" in " ".join(job.prepared[0].notes)
    assert "net_weight: 0.55" in job.prepared[0].infotext()
    control = job.prepared[0].control
    assert control is not None
    assert control.sha256 == sha256_of(control.net.path)
    assert f", net: {control.sha256[:10]}, algo: " in job.prepared[0].infotext()


def test_start_and_end_of_the_net_are_its_own(unet: nn.Module, with_net: Models, unit: Unit) -> None:
    def at(progress: float, **settings: float) -> torch.Tensor:
        job = Job([replace(unit, **settings)], with_net)
        injection = job.attach(unet)
        injection.set_progress(progress)
        injection.set_rows([0, 1])
        found = called(unet)
        assert job.is_applied == (settings.get("end", 1) > progress or settings.get("net_end", 1) > progress)
        job.close()
        return found

    alone, both = at(0.0, net_weight=0.0), at(0.0)
    assert torch.equal(at(0.6, net_end=0.5), alone)
    assert torch.equal(at(0.4, net_end=0.5), both)
    assert torch.equal(at(0.4, net_start=0.5), alone)
    net_only = at(0.6, end=0.5)
    assert not torch.equal(net_only, both)
    assert not torch.equal(net_only, called(unet))
    assert torch.equal(at(0.6, end=0.5, net_end=0.5), called(unet))


def test_the_face_lies_as_in_the_photo_or_in_another(with_net: Models, unit: Unit, data_folder: Path) -> None:
    def shown(**settings: object) -> np.ndarray:
        job = Job([replace(unit, **settings)], with_net)
        job.prepare_for(SDXL)
        (picture,) = pictures_of(job)
        return picture

    own = shown()
    assert own.any()
    other = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    posed, straight = shown(pose=other), shown(keypoints="region")
    assert len({picture.tobytes() for picture in (own, posed, straight)}) == 3
    assert np.array_equal(shown(pose=other, keypoints="region"), straight)
    left = shown(region="left")
    assert left[:, :64].any()
    assert not left[:, 80:].any()
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    masked = shown(region="mask", mask=base64.b64encode(buffer.getvalue()).decode())
    assert masked[:, 64:].any()
    assert not masked[:, :48].any()


def test_a_saved_person_looks_straight_out_unless_there_is_a_pose(
    with_net: Models, unit: Unit, data_folder: Path
) -> None:
    saved = replace(unit, images=(), person="Anna")
    (prepared,) = Job([saved], with_net).prepare_for(SDXL)
    assert "The saved person has no photo here, so the face looks straight out" in " ".join(prepared.notes)
    pose = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    (posed,) = Job([replace(saved, pose=pose)], with_net).prepare_for(SDXL)
    assert not [note for note in posed.notes if "straight out" in note]


def test_each_image_of_a_batch_has_its_face(with_net: Models, unit: Unit, data_folder: Path) -> None:
    second = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    both = replace(unit, images=(*unit.images, Photo(second)), batch="one each")
    job = Job([both], with_net)
    job.prepare_for(SDXL)
    first, other, again = pictures_of(job, Pass(images=range(3)))
    assert not np.array_equal(first, other)
    assert np.array_equal(first, again)


def test_with_auto_the_face_is_where_it_is_seen(
    unet: nn.Module, with_net: Models, unit: Unit, data_folder: Path
) -> None:
    """Before anything was drawn, in the unit's column; in a picture that is drawn again, on the face itself."""
    job = Job([replace(unit, region="auto")] * 2, with_net)
    job.prepare(unet)
    before = pictures_of(job)
    assert not before[0][:, 80:].any()
    assert not before[1][:, :48].any()
    picture = read_photo(data_folder / "photos" / "astronaut.png")
    job.see(unet, [picture])
    first, second = pictures_of(job)
    assert not np.array_equal(first, before[0])
    (points,) = (one.points for one in with_net.face_analyser().detect(picture))
    size = picture.shape[1], picture.shape[0]
    seen = KeyPoints(points, size).placed(WHOLE, (128, 128))
    assert any(np.array_equal(one, draw_points(seen, (128, 128))) for one in (first, second))


@pytest.fixture
def drawing(with_net: Models, unit: Unit) -> tuple[Models, Unit]:
    """Everything that is needed."""
    return with_net, unit


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pose": "no_face.jpeg"}, "No face found in the pose photo"),
        ({"pose": "aGk="}, "Unit 0: "),
        ({"carries": True}, "IdentityNet needs residuals of a ControlNet, which this program cannot apply.*net_weight"),
        ({"damaged": True}, "identitynet_sdxl.safetensors is cut off"),
        ({"foreign": True}, "is for another UNet|is a ControlNet for another UNet"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(
    change: dict[str, object],
    sentence: str,
    unet: nn.Module,
    with_net: Models,
    unit: Unit,
    data_folder: Path,
    tmp_path: Path,
) -> None:
    used = with_net
    if pose := change.get("pose"):
        path = data_folder / "photos" / str(pose)
        unit = replace(unit, pose=base64.b64encode(path.read_bytes()).decode() if path.is_file() else pose)
    if change.get("carries"):
        used = replace(used, carries=frozenset({"tokens", "lora"}))
    path = tmp_path / "identitynet_sdxl.safetensors"
    if change.get("damaged"):
        path.write_bytes(used.adapter_files()[-1].read_bytes()[:1000])
    if change.get("foreign"):
        write_controlnet(path, "sd15")
    if path.is_file():
        used = replace(used, adapter_files=lambda: [*with_net.adapter_files()[:-1], path])
    with pytest.raises(FaceIDError, match=sentence):
        drawn(unet, Job([unit], used))
    without = replace(unit, net_weight=0.0)
    assert (drawn(unet, Job([without], used)) - called(unet)).abs().max() > 1e-2


def test_how_identitynet_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hash, whatever its name; by a name, of the file or of the folders around it; never any other ControlNet."""
    net = by_id("instantid").net
    assert net
    folder = tmp_path / "models" / "ControlNet"
    official = folder / "InstantID" / "ControlNetModel" / "diffusion_pytorch_model.safetensors"
    other = folder / "diffusers_xl_canny.safetensors"
    for seed, path in enumerate((official, other)):
        write_controlnet(path, "sdxl", seed=seed)
    assert find_net(net, [other]) == (None, "")
    found, how = find_net(net, [other, official])
    assert found == official
    assert how == "diffusion_pytorch_model.safetensors is taken for IdentityNet by its name."
    known = net._replace(size_bytes=other.stat().st_size, sha256=sha256_of(other))
    assert find_net(known, [official, other]) == (other, "")
    small = write_controlnet(tmp_path / "identitynet_small.safetensors", "sd15")
    widths = {64, 128}
    assert find_net(net, [small, official], widths)[0] == official
    assert find_net(net, [small], widths)[0] == small, "for the error that says why"


def test_the_setup_check_has_its_row(net_path: Path, tmp_path: Path) -> None:
    roots = Roots(models=(tmp_path / "models",))

    def row() -> Row:
        (found,) = [one for one in check_setup(roots, SDXL).rows if one.kind == "controlnet"]
        return found

    assert (row().status, row().entry) == ("missing", entry("identitynet_sdxl"))
    here = roots.models[0] / "faceid" / net_path.name
    here.parent.mkdir(parents=True)
    shutil.copy(net_path, here)
    assert (row().status, row().paths) == ("found", (here,))
    assert "taken for IdentityNet by its name. Random numbers" in row().note
    here.write_bytes(b"")
    assert row().status == "damaged"
    assert row().note.startswith(f"{here.name} is empty (0 bytes).")
    assert not [one for one in check_setup(roots, 768).rows if one.kind == "controlnet"]


def test_the_net_of_a_variant_is_in_the_catalogue() -> None:
    net = by_id("instantid").net
    assert net
    published = entry(net.id)
    assert (published.kind, published.variant, published.label) == ("controlnet", "instantid", f"{net.label} for SDXL")
    assert (published.sha256, published.size_bytes, published.file_name) == (net.sha256, net.size_bytes, net.file_name)


def test_a_person_is_saved_by_the_recogniser_that_the_adapter_reads(models: Models, unit: Unit) -> None:
    named = replace(unit, adapter="ip-adapter_instant_id_sdxl", variant="Auto")
    assert analyser_of_unit(named, models).recogniser.startswith("glintr100")
    assert analyser_of_unit(replace(named, adapter="Auto"), models).recogniser.startswith("w600k")


def test_a_pose_photo_is_not_silently_left_out_when_a_picture_is_drawn_again(
    with_net: Models, unit: Unit, data_folder: Path
) -> None:
    pose = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    (prepared,) = Job([replace(unit, pose=pose)], with_net).prepare_for(SDXL)
    assert ", pose: photo" in prepared.infotext()
    assert used_unit(prepared, "").settings["pose"] == "photo"
    (without,) = Job([unit], with_net).prepare_for(SDXL)
    assert "pose" not in without.infotext()
    assert "pose" not in used_unit(without, "").settings
