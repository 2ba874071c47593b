"""What several test files share: the data folder, and miniatures, written once, when asked for."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision

PROJECT = Path(__file__).resolve().parent.parent


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
