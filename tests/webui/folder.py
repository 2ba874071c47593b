"""A WebUI's data folder with miniature models of both families, this project and a probe as extensions."""

from __future__ import annotations

import shutil
from pathlib import Path

from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision, write_controlnet
from tests.webui.forge_repos import FOLDER, write_repos
from tests.webui.server import PROJECT

__all__ = ["ENCODERS", "IDENTITYNET", "VARIANTS", "write_data_folder", "write_instantid"]

IDENTITYNET = "identitynet_sdxl.safetensors"

OF_IMAGES = ("ip_adapter", "ip_adapter_vit_g", "ip_adapter_plus")
VARIANTS = {
    "sd15": ("faceid", "plus", "plusv2", "portrait", *OF_IMAGES),
    "sdxl": ("faceid", "plusv2", "portrait_unnorm", *OF_IMAGES),
}
ENCODERS = {"clip_vit_h": "CLIP-ViT-H-14.safetensors", "clip_vit_bigg": "CLIP-ViT-bigG-14.safetensors"}


def write_data_folder(data: Path, test_data: Path) -> Path:
    """Fill the folder and return it. test_data: what FACEID_TEST_DATA names, with photos and face models."""
    (data / "extensions").mkdir(parents=True)
    (data / "extensions" / "sd-webui-faceid").symlink_to(PROJECT)
    (data / "extensions" / "faceid-probe").symlink_to(PROJECT / "tests" / "webui" / "probe")
    models = data / "models"
    for family in VARIANTS:
        write_checkpoint(models / "Stable-diffusion" / f"mini_{family}.safetensors", family)
    write_checkpoint(models / "Stable-diffusion" / "mini_sd15_other.safetensors", "sd15", seed=1)
    write_checkpoint(models / "Stable-diffusion" / "mini_sd15_inpaint.safetensors", "sd15", seed=2, inpaint=True)
    for family, variants in VARIANTS.items():
        for variant in variants:
            write_adapter(models / "faceid" / f"{published_name(variant, family)}.safetensors", variant, family)
    for encoder, file_name in ENCODERS.items():
        write_clip_vision(models / "clip_vision" / file_name, encoder)
    (models / "insightface" / "models").mkdir(parents=True)
    pack = test_data / "face_models" / "models" / "buffalo_sc_f32"
    (models / "insightface" / "models" / "buffalo_sc").symlink_to(pack)
    write_repos(data / FOLDER)
    return data


def write_instantid(models: Path) -> None:
    """Add InstantID to a data folder's models: adapter, IdentityNet, and face models of its recogniser's name."""
    write_adapter(models / "faceid" / f"{published_name('instantid', 'sdxl')}.safetensors", "instantid", "sdxl")
    write_controlnet(models / "ControlNet" / IDENTITYNET, "sdxl")
    packs = models / "insightface" / "models"
    own = packs / "antelopev2"
    own.mkdir()  # the same files under other names: what they find does not matter here
    shutil.copy(next((packs / "buffalo_sc").glob("det_*.onnx")), own / "scrfd_10g_bnkps_small.onnx")
    shutil.copy(next((packs / "buffalo_sc").glob("w600k_*.onnx")), own / "glintr100_small.onnx")
