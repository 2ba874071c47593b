"""What several test files share: photos, face models, a browser, UNets to put people into; miniatures, written once."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from parity import Measure, measuring
from played_webui import Host, played_host
from torch import nn
from unets import SMALL, adapter_for, diffusers_copy, identity_of, ldm_unet, snapshot

from lib_faceid.effects.injection import Contribution
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.methods.adapter import Adapter
from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision
from lib_faceid.pictures.photo import read_photo

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ("running",)

PROJECT = Path(__file__).resolve().parent.parent
# A camera without a camera, so that a snapshot can be taken.
BROWSER_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]  # fmt: skip


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Photos and face models, which are not part of the project."""
    folder = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; FACEID_TEST_DATA may name another place")
    return folder


@pytest.fixture(scope="session")
def face_models(data_folder: Path) -> Path:
    """A folder for `load_face_analyser`."""
    return data_folder / "face_models" / "models" / "buffalo_sc_f32"


@pytest.fixture(scope="module")
def analyser(face_models: Path) -> FaceAnalyser:
    """The real face models, loaded."""
    return load_face_analyser(face_models)


@pytest.fixture(scope="module")
def photo(data_folder: Path) -> Callable[[str], np.ndarray]:
    """photo("astronaut.png") is that photo's pixels."""
    return lambda name: read_photo(data_folder / "photos" / name)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium. One for all: Playwright runs only once in a process."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("no chromium here: the page was not tested")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def miniature_folder() -> Iterator[Path]:
    """A folder for large files, gone after the session (pytest would keep those of three)."""
    with tempfile.TemporaryDirectory(prefix="faceid-miniatures-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def miniature_checkpoint(miniature_folder: Path) -> Callable[[str], Path]:
    """miniature_checkpoint("sd15") is the path of a miniature checkpoint; treat it as read-only."""

    @lru_cache
    def checkpoint(family: str) -> Path:
        return write_checkpoint(miniature_folder / f"miniature_{family}.safetensors", family)

    return checkpoint


@pytest.fixture(scope="session")
def miniature_adapter(miniature_folder: Path) -> Callable[..., Path]:
    """miniature_adapter("plusv2", "sd15", ".bin") is the path of a miniature adapter; read-only."""

    @lru_cache
    def adapter(variant: str, family: str, suffix: str = ".safetensors") -> Path:
        return write_adapter(miniature_folder / (published_name(variant, family) + suffix), variant, family)

    return adapter


@pytest.fixture(scope="session")
def miniature_clip(miniature_folder: Path) -> Path:
    """The path of a miniature CLIP ViT-H; treat it as read-only."""
    return write_clip_vision(miniature_folder / "clip_vision" / "model.safetensors")


@pytest.fixture(scope="module")
def ldm() -> nn.Module:
    """Stability's own UNet, small."""
    return ldm_unet(channels=SMALL)


@pytest.fixture(scope="module", params=["ldm", "diffusers"])
def unet(request: pytest.FixtureRequest, ldm: nn.Module) -> nn.Module:
    """The same weights in the two classes of UNets."""
    return ldm if request.param == "ldm" else diffusers_copy(ldm)


@pytest.fixture
def host(
    ldm: nn.Module, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    """The WebUI, played, with `ldm` loaded."""
    folder = tmp_path_factory.getbasetemp() / "adapter of the host"
    folder.mkdir(exist_ok=True)
    adapter_for(folder)
    with played_host(ldm, next(folder.iterdir()), tmp_path, monkeypatch) as host:
        yield host


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """A random adapter for `ldm` and `unet`."""
    return adapter_for(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """Another one, of another variant."""
    return adapter_for(tmp_path_factory.mktemp("portrait"), "portrait", seed=5)


@pytest.fixture
def one(adapter: Adapter) -> Contribution:
    """Somebody."""
    return Contribution(adapter, [identity_of(1)])


@pytest.fixture
def other(portrait: Adapter) -> Contribution:
    """Somebody else, by another adapter, from two photos."""
    return Contribution(portrait, [identity_of(2, faces=2)], weight=0.5)


@pytest.fixture
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test not one hook, replaced forward or changed weight is left on the UNets."""
    unets = [request.getfixturevalue(name) for name in ("unet", "ldm") if name in request.fixturenames]
    before = [snapshot(module) for module in unets]
    yield
    assert [snapshot(module) for module in unets] == before


@pytest.fixture
def measure(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Measure:
    """Show figures to whoever runs the tests, and record them."""
    return measuring(request.node.name, record_property)
