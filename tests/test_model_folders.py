"""Models are found where other tools keep them, in a documented order, and a missing one comes with directions."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lib_faceid.errors import MissingModelError
from lib_faceid.faces.packs import find_face_pack, require_face_pack
from lib_faceid.inventory.check import check_setup
from lib_faceid.inventory.text import as_text
from lib_faceid.models.catalogue import entry
from lib_faceid.models.folders import (
    Roots,
    adapter_folders,
    clip_vision_files,
    face_pack_folders,
    find_adapters,
    find_clip_vision,
    place_of,
    require_clip_vision,
    usual_roots,
)
from lib_faceid.models.image_encoders import IMAGE_ENCODERS


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def pack(folder: Path, detector: str = "det_10g.onnx", recogniser: str = "w600k_r50.onnx") -> Path:
    """Write the names of a pack, with those that must be passed over."""
    for name in ("1k3d68.onnx", "2d106det.onnx", "genderage.onnx", detector, recogniser):
        touch(folder / name)
    return folder


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(
        models=(tmp_path / "webui/models",),
        controlnet=tmp_path / "webui/extensions/sd-webui-controlnet",
        comfyui_models=tmp_path / "comfyui/models",
        home=tmp_path / "home",
    )


# ----------------------------------------------------------------------------------------------------- face models
def test_the_order_of_places(roots: Roots, tmp_path: Path) -> None:
    places = [
        "webui/models/insightface/models",
        "webui/extensions/sd-webui-controlnet/annotator/downloads/insightface/models",
        "comfyui/models/insightface/models",
        "home/.insightface/models",
    ]
    assert face_pack_folders(roots) == tuple(tmp_path / place for place in places)
    for place in reversed(places):
        folder = pack(tmp_path / place / "buffalo_l")
        found = find_face_pack(roots)
        assert found is not None
        assert (found.detector, found.recogniser) == (folder / "det_10g.onnx", folder / "w600k_r50.onnx")


def test_buffalo_l_anywhere_before_another_pack(roots: Roots, tmp_path: Path) -> None:
    pack(tmp_path / "webui/models/insightface/models/antelopev2", "scrfd_10g_bnkps.onnx", "glintr100.onnx")
    assert require_face_pack(roots=roots).recogniser.name == "glintr100.onnx"
    pack(tmp_path / "home/.insightface/models/buffalo_l")
    assert require_face_pack(roots=roots).recogniser.name == "w600k_r50.onnx"


@pytest.mark.parametrize(
    ("detector", "recogniser"),
    [
        ("det_10g.onnx", "w600k_r50.onnx"),
        ("det_500m.onnx", "w600k_mbf.onnx"),
        ("det_500m.onnx", "w600k_mbf_dequant_f32.onnx"),
        ("det_2.5g.onnx", "w600k_r50.onnx"),
        ("scrfd_10g_bnkps.onnx", "glintr100.onnx"),
        ("DET_10G.onnx", "W600K_R50.onnx"),
    ],
)
def test_names_in_packs(detector: str, recogniser: str, roots: Roots, tmp_path: Path) -> None:
    pack(tmp_path / "home/.insightface/models/any_name", detector, recogniser)
    found = require_face_pack(roots=roots)
    assert (found.detector.name, found.recogniser.name) == (detector, recogniser)


def test_one_extra_folder_is_accepted(roots: Roots, tmp_path: Path) -> None:
    """As when antelopev2.zip is unpacked into a folder of its name."""
    pack(tmp_path / "home/.insightface/models/buffalo_l/buffalo_l")
    assert require_face_pack(roots=roots).detector.parent.name == "buffalo_l"


def test_half_a_pack_is_none(roots: Roots, tmp_path: Path) -> None:
    touch(tmp_path / "home/.insightface/models/buffalo_l/det_10g.onnx")
    assert find_face_pack(roots) is None


@pytest.mark.parametrize("inside", ["", "models/buffalo_l", "buffalo_l", "models/mine", "models/mine/mine"])
def test_a_named_folder_wins(inside: str, roots: Roots, tmp_path: Path) -> None:
    pack(tmp_path / "webui/models/insightface/models/buffalo_l")
    folder = pack(tmp_path / "named" / inside, "det_500m.onnx", "w600k_mbf.onnx")
    named = usual_roots(environ={"FACEID_FACE_MODELS": str(tmp_path / "named")})
    assert require_face_pack(roots=named).detector.parent == folder
    assert require_face_pack(tmp_path / "named", roots).detector.parent == folder


def test_a_named_folder_without_models_is_an_error(roots: Roots, tmp_path: Path) -> None:
    pack(tmp_path / "webui/models/insightface/models/buffalo_l")
    with pytest.raises(MissingModelError, match=r"nowhere holds no face models: .* were expected in it"):
        require_face_pack(tmp_path / "nowhere", roots)


def test_missing_face_models_come_with_directions(roots: Roots) -> None:
    with pytest.raises(MissingModelError) as caught:
        require_face_pack(roots=roots)
    place = face_pack_folders(roots)[0] / "buffalo_l"
    assert str(caught.value) == (
        "There are no face models. Put det_10g.onnx (16.1 MiB) and w600k_r50.onnx (166 MiB) of the pack buffalo_l "
        f"in {place}. No network was used."
    )
    with pytest.raises(MissingModelError):
        require_face_pack(roots=Roots())


# ----------------------------------------------------------------------------------------------------- image encoder
def encoder_file(path: Path, width: int = 1280, positions: int = 257) -> Path:
    """A file with the three tensors that say which encoder it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = "vision_model.embeddings"
    tensors = {
        f"{before}.class_embedding": torch.zeros(width),
        f"{before}.patch_embedding.weight": torch.zeros(width, 3, 14, 14),
        f"{before}.position_embedding.weight": torch.zeros(positions, width),
    }
    save = save_file if path.suffix == ".safetensors" else torch.save
    save(tensors, path)
    return path


H, BIGG = "clip_vit_h", "clip_vit_bigg"


@pytest.mark.parametrize(
    ("encoder", "place"),
    [
        (H, "webui/models/faceid/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"),
        (H, "webui/models/faceid/image_encoder/model.safetensors"),
        (H, "webui/models/clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K/model.safetensors"),
        (H, "webui/models/ControlNetPreprocessor/CLIP-ViT-H-14.safetensors"),
        (H, "webui/extensions/sd-webui-controlnet/annotator/downloads/clip_vision/clip_h.pth"),
        (H, "comfyui/models/clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"),
        (H, "comfyui/models/clip_vision/SD1.5/pytorch_model.bin"),
        (H, "comfyui/models/clip_vision/any/name.safetensors"),
        (BIGG, "webui/models/faceid/CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors"),
        (BIGG, "webui/models/ipadapter/sdxl_models/image_encoder/model.safetensors"),
        (BIGG, "webui/extensions/sd-webui-controlnet/annotator/downloads/clip_vision/clip_g.pth"),
        (BIGG, "comfyui/models/clip_vision/clip_vision_g.safetensors"),
        (BIGG, "comfyui/models/clip_vision/CLIP-ViT-H-14.safetensors"),
        (BIGG, "webui/models/clip_vision/my encoder.safetensors"),
    ],
)
def test_where_an_encoder_is_found(encoder: str, place: str, roots: Roots, tmp_path: Path) -> None:
    """By its content: in the folders with nothing but encoders, names are free."""
    assert find_clip_vision(roots, encoder) is None
    path = encoder_file(tmp_path / place, IMAGE_ENCODERS[encoder].width)
    assert find_clip_vision(roots, encoder) == require_clip_vision(roots, encoder) == path
    assert find_clip_vision(roots, BIGG if encoder == H else H) is None


def test_the_right_content_comes_before_the_right_name(roots: Roots, tmp_path: Path) -> None:
    folder = tmp_path / "webui/models/clip_vision"
    named_h = encoder_file(folder / "CLIP-ViT-H-14.safetensors", 1664)
    assert find_clip_vision(roots) is None
    assert find_clip_vision(roots, BIGG) == named_h
    other = encoder_file(folder / "zz.safetensors")
    assert find_clip_vision(roots) == require_clip_vision(roots) == other


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>"])
def test_a_damaged_file_is_found_by_its_name_alone(content: bytes, roots: Roots, tmp_path: Path) -> None:
    path = touch(tmp_path / "webui/models/clip_vision/image_encoder/model.safetensors")
    path.write_bytes(content)
    assert find_clip_vision(roots) == path
    assert find_clip_vision(roots, BIGG) is None
    whole = encoder_file(tmp_path / "comfyui/models/clip_vision/whole.safetensors")
    assert find_clip_vision(roots) == whole


def test_an_encoder_that_is_no_vit_h_is_no_vit_h(tmp_path: Path, roots: Roots) -> None:
    encoder_file(tmp_path / "webui/models/clip_vision/a.safetensors", 1024)
    encoder_file(tmp_path / "webui/models/clip_vision/b.safetensors", 1280, positions=730)
    assert [find_clip_vision(roots, encoder) for encoder in IMAGE_ENCODERS] == [None, None, None]


def test_a_replaced_file_is_looked_at_again(roots: Roots, tmp_path: Path) -> None:
    path = encoder_file(tmp_path / "webui/models/clip_vision/a.safetensors")
    assert find_clip_vision(roots) == path
    encoder_file(path, 1664)
    assert find_clip_vision(roots) is None


def test_safetensors_come_before_pickles() -> None:
    for encoder, one in IMAGE_ENCODERS.items():
        count = len(one.file_names)
        suffixes = [path.suffix for path in clip_vision_files(Roots(models=(Path("models"),)), encoder)[:count]]
        assert suffixes == sorted(suffixes, key=[".safetensors", ".pth", ".bin"].index)
        assert ".pth" in suffixes or ".bin" in suffixes or not one.has_class_token


@pytest.mark.parametrize("name", ["mine.safetensors", "model.safetensors", "clip_h.pth"])
def test_a_named_encoder_wins(name: str, tmp_path: Path) -> None:
    path = encoder_file(tmp_path / name)
    named = path if name == "mine.safetensors" else tmp_path
    assert require_clip_vision(usual_roots(environ={"FACEID_CLIP_VISION": str(named)})) == path


def test_a_named_folder_may_hold_both(tmp_path: Path) -> None:
    for name, encoder in (("one", H), ("two", BIGG)):
        encoder_file(tmp_path / f"{name}.safetensors", IMAGE_ENCODERS[encoder].width)
        assert require_clip_vision(Roots(clip_vision=tmp_path), encoder).stem == name


def test_what_a_named_place_does_not_hold_is_in_the_usual_ones(roots: Roots, tmp_path: Path) -> None:
    named = encoder_file(tmp_path / "named" / "mine.safetensors")
    usual = encoder_file(tmp_path / "webui/models/clip_vision/a.safetensors", 1664)
    encoder_file(tmp_path / "webui/models/clip_vision/b.safetensors")
    for place in (named, named.parent):
        chosen = replace(roots, clip_vision=place)
        assert find_clip_vision(chosen) == named
        assert find_clip_vision(chosen, BIGG) == usual


def test_a_named_file_of_another_kind_is_not_passed_over(roots: Roots, tmp_path: Path) -> None:
    encoder_file(tmp_path / "webui/models/clip_vision/a.safetensors")
    named = encoder_file(tmp_path / "named.safetensors", 1024)
    assert find_clip_vision(replace(roots, clip_vision=named)) == named
    assert find_clip_vision(replace(roots, clip_vision=tmp_path / "gone")) is None


def test_the_place_of_an_encoder_is_never_that_of_another(roots: Roots, tmp_path: Path) -> None:
    named = replace(roots, clip_vision=tmp_path / "mine.safetensors")
    assert place_of(entry(H), named) == tmp_path / "mine.safetensors"
    encoder_file(tmp_path / "mine.safetensors")
    assert place_of(entry(H), named) == tmp_path / "mine.safetensors"
    assert place_of(entry(BIGG), named) == place_of(entry(BIGG), roots)
    folder = replace(roots, clip_vision=tmp_path)
    assert len({place_of(entry(encoder), folder) for encoder in IMAGE_ENCODERS}) == 3


def test_a_missing_encoder_comes_with_directions(roots: Roots, tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"Put models/image_encoder/model\.safetensors .* at .*clip_vision"):
        require_clip_vision(roots)
    with pytest.raises(
        MissingModelError,
        match=r"CLIP ViT-bigG \(3\.7 GB\) is not here\. Put sdxl_models/image_encoder/model\.safe.*bigG",
    ):
        require_clip_vision(roots, BIGG)
    with pytest.raises(MissingModelError, match=r"at .*nowhere"):
        require_clip_vision(Roots(clip_vision=tmp_path / "nowhere"))


# ---------------------------------------------------------------------------------------------------------- adapters
def test_adapters(roots: Roots, tmp_path: Path) -> None:
    wanted = [
        touch(tmp_path / place)
        for place in (
            "webui/models/faceid/a.bin",
            "webui/models/ipadapter/B.safetensors",
            "webui/models/ipadapter/c.SafeTensors",
            "webui/models/ControlNet/sub/ip-adapter.pth",
            "comfyui/models/ipadapter/d.bin",
            "webui/extensions/sd-webui-controlnet/models/e.pth",
        )
    ]
    touch(tmp_path / "webui/models/faceid/readme.txt")
    touch(tmp_path / "webui/models/faceid/faces/Anna.safetensors")  # somebody saved
    touch(tmp_path / "webui/models/Stable-diffusion/sd15.safetensors")
    (tmp_path / "webui/models/faceid/folder.bin").mkdir()
    assert find_adapters(roots) == tuple(wanted)


def test_a_file_is_listed_once(roots: Roots, tmp_path: Path) -> None:
    path = touch(tmp_path / "webui/models/faceid/a.bin")
    link = tmp_path / "webui/models/ipadapter/a.bin"
    link.parent.mkdir()
    os.link(path, link)
    assert find_adapters(roots) == (path,)


# ---------------------------------------------------------------------------------------------------- locked folders
def lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a folder answer as one does that this program may not read: tests that run as root may read everything."""

    def guarded(real: Callable[..., Any], *, itself: bool) -> Callable[..., Any]:
        def call(path: Path | str, *args: Any, **options: Any) -> Any:
            if folder in Path(path).parents or (itself and Path(path) == folder):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **options)

        return call

    monkeypatch.setattr(Path, "stat", guarded(Path.stat, itself=False))
    monkeypatch.setattr(Path, "iterdir", guarded(Path.iterdir, itself=True))
    monkeypatch.setattr(os, "scandir", guarded(os.scandir, itself=True))


@pytest.mark.parametrize("locked", ["webui/models/faceid", "webui/models/insightface", "webui/models/clip_vision"])
def test_a_locked_folder_hides_no_other(
    locked: str, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "webui/models/faceid/a.bin")
    adapter = touch(tmp_path / "webui/models/ipadapter/b.bin")
    pack(tmp_path / "webui/models/insightface/models/buffalo_l")
    pack(tmp_path / "home/.insightface/models/buffalo_l")
    touch(tmp_path / "webui/models/clip_vision/model.safetensors")
    encoder = encoder_file(tmp_path / "comfyui/models/clip_vision/any.safetensors")
    lock(tmp_path / locked, monkeypatch)
    assert adapter in find_adapters(roots)
    assert find_clip_vision(roots) == encoder
    assert find_face_pack(roots) is not None
    report = check_setup(roots)
    assert any(one.startswith(f"{tmp_path / locked}") for one in report.warnings)
    assert "cannot be read (Permission denied)" in as_text(report)


# ------------------------------------------------------------------------------------------------------------- roots
def test_roots_of_a_webui(tmp_path: Path) -> None:
    roots = usual_roots(tmp_path, comfyui=tmp_path / "comfy", environ={})
    assert roots.models == (tmp_path / "models",)
    assert adapter_folders(roots)[-1] == tmp_path / "extensions/sd-webui-controlnet/models"
    assert roots.all_models[-1] == tmp_path / "comfy/models"
    assert roots.home == Path.home()
    moved = usual_roots(tmp_path, tmp_path / "elsewhere", environ={"FACEID_MODELS": "/first"})
    assert moved.models == (Path("/first"), tmp_path / "elsewhere")


def test_roots_without_a_webui() -> None:
    roots = usual_roots(environ={})
    project = Path(__file__).resolve().parent.parent
    assert roots.models == (Path("models"), project / "models")
    assert roots.controlnet is None
    assert roots.face_models is None


def test_listing_candidates_does_not_touch_the_disk(monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the disk was touched")

    for name in ("stat", "iterdir", "glob", "rglob", "open"):
        monkeypatch.setattr(Path, name, refuse)
    assert face_pack_folders(roots)
    assert clip_vision_files(roots)
    assert adapter_folders(roots)
