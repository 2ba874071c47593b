"""A live WebUI v1.10.1 for the tests of this folder: only where `FACEID_WEBUI_DIR` names a checkout of it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.folder import write_data_folder
from tests.webui.server import KINDS, Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run everything in each WebUI that the environment names a checkout of."""
    if "webui_dir" in metafunc.fixturenames:
        named = [kind for kind in KINDS.values() if f"FACEID_{kind.variable}_DIR" in os.environ]
        shown = [pytest.param(kind.name, marks=pytest.mark.forge if kind.is_forge else ()) for kind in named]
        metafunc.parametrize("webui_dir", shown or ["webui"], indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is live, and leave out of a WebUI what is said to be another one's."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.webui)
        callspec = getattr(item, "callspec", None)
        kind = callspec.params.get("webui_dir") if callspec else None
        for not_in in item.iter_markers("not_in"):
            if kind in not_in.args:
                item.add_marker(pytest.mark.skip(reason=f"not in {kind}: {not_in.kwargs['why']}"))


@pytest.fixture(scope="session")
def webui_dir(request: pytest.FixtureRequest) -> Path:
    named = os.environ.get(f"FACEID_{KINDS[request.param].variable}_DIR")
    if not named:
        pytest.skip("FACEID_WEBUI_DIR names no WebUI v1.10.1 checkout with its own Python: nothing live was tested")
    return Path(named)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory, data_folder: Path, webui_dir: Path) -> Path:
    """A WebUI data folder: miniature models of both families, this project and a probe as extensions."""
    return write_data_folder(tmp_path_factory.mktemp("webui") / "data", data_folder)


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
