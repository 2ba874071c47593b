"""A WebUI's data folder with miniature models of both families, this project and a probe as extensions."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision
from tests.webui.server import PROJECT

__all__ = ["VARIANTS", "write_data_folder"]

VARIANTS = {"sd15": ("faceid", "plus", "plusv2", "portrait"), "sdxl": ("faceid", "plusv2", "portrait_unnorm")}


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
    write_clip_vision(models / "clip_vision" / "CLIP-ViT-H-14.safetensors")
    (models / "insightface" / "models").mkdir(parents=True)
    pack = test_data / "face_models" / "models" / "buffalo_sc_f32"
    (models / "insightface" / "models" / "buffalo_sc").symlink_to(pack)
    return data
