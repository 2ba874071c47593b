"""A live WebUI v1.10.1 for the tests of this folder: only where `FACEID_WEBUI_DIR` names a checkout of it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision
from tests.webui.server import PROJECT, Server

VARIANTS = {"sd15": ("faceid", "plus", "plusv2", "portrait"), "sdxl": ("faceid", "plusv2", "portrait_unnorm")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.webui)


@pytest.fixture(scope="session")
def webui_dir() -> Path:
    named = os.environ.get("FACEID_WEBUI_DIR")
    if not named:
        pytest.skip("FACEID_WEBUI_DIR names no WebUI v1.10.1 checkout with its own Python: nothing live was tested")
    return Path(named)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A WebUI data folder: miniature models of both families, this project and a probe as extensions."""
    data = tmp_path_factory.mktemp("webui")
    (data / "extensions").mkdir()
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
    pack = data_folder / "face_models" / "models" / "buffalo_sc_f32"
    (models / "insightface" / "models" / "buffalo_sc").symlink_to(pack)
    return data


@pytest.fixture(scope="session")
def server(webui_dir: Path, data_dir: Path) -> Iterator[Server]:
    """The WebUI with the SD 1.5 miniature, shared by the whole session."""
    server = Server(webui_dir, data_dir)
    server.start("--ckpt", str(data_dir / "models/Stable-diffusion/mini_sd15.safetensors"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def photo(data_folder: Path) -> str:
    """A photo with one face, as base64."""
    return base64.b64encode((data_folder / "photos" / "astronaut.png").read_bytes()).decode()


@pytest.fixture(scope="session")
def person(photo: str) -> dict[str, Any]:
    """A unit of the plain variant, strong enough to be seen."""
    return {"image": photo, "adapter": "ip-adapter-faceid_sd15", "weight": 0.8}
