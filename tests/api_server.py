"""An app with our routes over small parts, for the tests of the HTTP API and of its documents."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastapi import FastAPI
from journal_runs import run_of
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from lib_faceid.api.api import PREFIX, add_routes
from lib_faceid.api.services import ApiServices
from lib_faceid.errors import MissingModelError
from lib_faceid.faces.face import Face, FaceSearch
from lib_faceid.inventory.check import check_setup
from lib_faceid.journal.journal import Journal
from lib_faceid.models.folders import Roots
from lib_faceid.people.library import People
from lib_faceid.pictures.requested import RequestPolicy


class ColourAnalyser:
    """Takes a picture for a face of its mean colour, and black for nobody."""

    recogniser = "colour-00000000"

    def search(self, image_rgb: NDArray[np.uint8]) -> FaceSearch:
        height, width = image_rgb.shape[:2]
        colour = image_rgb.reshape(-1, 3).mean(axis=0)
        if not colour.any() or min(height, width) < 8:
            return FaceSearch((), 0.1, (width, height))
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32) * (width, height)
        embedding = np.resize(colour - 100, 512).astype(np.float32)
        crop = np.zeros((224, 224, 3), np.uint8)
        face = Face((0.0, 0.0, float(width), float(height)), points.astype(np.float32), 0.9, embedding, crop)
        return FaceSearch((face,), 0.9, (width, height))


class Fixture:
    """An app with our routes over parts that a test can exchange."""

    def __init__(self, dependencies: Sequence[Any] = ()) -> None:
        self.folder = TemporaryDirectory()
        self.people = People(Path(self.folder.name) / "faces")
        self.analyser: Any = ColourAnalyser()
        self.policy = RequestPolicy()
        self.unloaded = 0
        self.journal = Journal(Path(self.folder.name) / "journal.sqlite")
        self.journal.add_many([run_of("Anna", likeness=0.4), run_of("Anna", weight=1.0)], finds_parent=True)
        self.services = ApiServices(
            setup=lambda: check_setup(Roots()),
            face_analyser=lambda: self.analyser,
            clip_vision=self._no_clip,
            people=lambda: self.people,
            policy=lambda: self.policy,
            unload=self._unload,
            journal=lambda: self.journal,
        )
        self.app = FastAPI()
        add_routes(self.app, self.services, dependencies)
        self.client: Any = TestClient(self.app, raise_server_exceptions=False)

    def _no_clip(self, _encoder: str) -> Any:
        raise MissingModelError("CLIP ViT-H is not here.")

    def _unload(self) -> None:
        self.unloaded += 1

    def get(self, path: str, **arguments: Any) -> Any:
        return told(self.client.get(PREFIX + path, **arguments))

    def post(self, path: str, body: Any = None) -> Any:
        return told(self.client.post(PREFIX + path, json=body))

    def delete(self, path: str) -> Any:
        return told(self.client.delete(PREFIX + path))


def told(response: Any) -> Any:
    """What a route answered; its sentence where it refused."""
    answer = response.json()
    return answer if response.status_code == 200 else (response.status_code, answer["detail"])


def picture(rgb: tuple[int, int, int] = (200, 90, 40), size_px: int = 64) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (size_px, size_px), rgb).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
