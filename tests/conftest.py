"""What several test files share: photos, face models, a browser, UNets to put people into; miniatures, written once."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from contributions import contribution
from examples import examples
from filelock import FileLock
from parity import Measure, measuring
from played_webui import Host, played_host
from torch import nn
from unets import SMALL, adapter_for, diffusers_copy, identity_of, ldm_unet, snapshot

from lib_faceid.effects.injection import Contribution
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.methods.adapter import Adapter
from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision
from lib_faceid.miniature.trained import TRAINED_NAME, write_trained_checkpoint
from lib_faceid.pictures.photo import read_photo

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from lib_faceid.hosts.diffusers.pipeline import Pipeline

pytest_plugins = ("running",)
SHARED_FOLDER = "FACEID_TEST_MINIATURES"  # an environment variable, which the workers of a run inherit

PROJECT = Path(__file__).resolve().parent.parent
# A camera without a camera, so that a snapshot can be taken.
BROWSER_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if find_spec("hypothesis"):
        from hypothesis import settings

        settings.register_profile("check", max_examples=examples(40))  # of property tests that name no number
        settings.load_profile("check")
    if not hasattr(config, "workerinput"):
        os.environ[SHARED_FOLDER] = tempfile.mkdtemp(prefix="faceid-miniatures-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SHARED_FOLDER), ignore_errors=True)


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
def miniature_folder() -> Path:
    """A folder for large files, gone after the run (pytest would keep those of three); all workers share it."""
    return Path(os.environ[SHARED_FOLDER])


def made_once(path: Path, write: Callable[[Path], object]) -> Path:
    """The path of a file that one worker writes while the others wait."""
    done = path.with_name(f"{path.name}.done")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not done.exists():
            write(path)
            done.touch()
    return path


@pytest.fixture(scope="session")
def miniature_checkpoint(miniature_folder: Path) -> Callable[[str], Path]:
    """miniature_checkpoint("sd15") is the path of a miniature checkpoint; treat it as read-only."""

    def checkpoint(family: str) -> Path:
        path = miniature_folder / f"miniature_{family}.safetensors"
        return made_once(path, lambda path: write_checkpoint(path, family))

    return checkpoint


@pytest.fixture(scope="session")
def trained_checkpoint(miniature_folder: Path) -> Path:
    """The path of the miniature that is trained; treat it as read-only."""
    return made_once(miniature_folder / f"{TRAINED_NAME}.safetensors", write_trained_checkpoint)


@pytest.fixture(scope="session")
def miniature_adapter(miniature_folder: Path) -> Callable[..., Path]:
    """miniature_adapter("plusv2", "sd15", ".bin") is the path of a miniature adapter; read-only."""

    def adapter(variant: str, family: str, suffix: str = ".safetensors") -> Path:
        path = miniature_folder / (published_name(variant, family) + suffix)
        return made_once(path, lambda path: write_adapter(path, variant, family))

    return adapter


@pytest.fixture(scope="session")
def miniature_clip(miniature_folder: Path) -> Path:
    """The path of a miniature CLIP ViT-H; treat it as read-only."""
    return made_once(miniature_folder / "clip_vision" / "model.safetensors", write_clip_vision)


@pytest.fixture(scope="session")
def pipelines() -> dict[tuple[Path, bool], Pipeline]:
    """The checkpoints that `loaded_once` has loaded, by file and precision."""
    return {}


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    """Each base model in turn."""
    return request.param


@pytest.fixture(scope="module")
def pipeline(family: str, miniature_checkpoint: Callable[[str], Path]) -> Pipeline:
    """The miniature of a family, loaded on our own host."""
    from lib_faceid.hosts.diffusers.pipeline import load_pipeline

    return load_pipeline(miniature_checkpoint(family))


@pytest.fixture
def loaded_once(pipelines: dict[tuple[Path, bool], Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads a checkpoint that a test before has loaded gets that one: a job leaves nothing in it."""
    from lib_faceid.hosts.diffusers import pipeline as host

    load = host.load_pipeline

    def load_once(checkpoint: Path, *, full_precision: bool = False) -> Pipeline:
        key = (checkpoint.resolve(), full_precision)
        pipeline = pipelines.get(key) or load(checkpoint, full_precision=full_precision)
        pipeline.name = checkpoint.stem
        return pipelines.setdefault(key, pipeline)

    monkeypatch.setattr(host, "load_pipeline", load_once)


@pytest.fixture(scope="session")
def miniature_bigg(miniature_folder: Path) -> Path:
    """The path of a miniature CLIP ViT-bigG; treat it as read-only."""
    return write_clip_vision(miniature_folder / "clip_vision" / "bigg.safetensors", "clip_vit_bigg", feed_forward=256)


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
    return contribution(adapter, [identity_of(1)])


@pytest.fixture
def other(portrait: Adapter) -> Contribution:
    """Somebody else, by another adapter, from two photos."""
    return contribution(portrait, [identity_of(2, faces=2)], weight=0.5)


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
