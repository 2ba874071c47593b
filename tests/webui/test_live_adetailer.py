"""Two people of a photo whom ADetailer draws again in a real WebUI, by likeness: each stays who they are."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from gallery import photo_of
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from tests.webui.beside.asked import adetailer
from tests.webui.server import TITLE, Answer, Server
from tests.webui.test_live_best_adetailer import AGAIN, SMALL, beside
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_likeness import BLUE, JOB, WHO, Vectors, likeness, photos, vectors
from training.captions import caption

__all__ = ["beside", "photos", "vectors"]

SIDE_PX = 256
LEFT, RIGHT = WHO[:2]
HALVES = {LEFT: slice(0, SIDE_PX), RIGHT: slice(SIDE_PX, 2 * SIDE_PX)}


@pytest.fixture(scope="module")
def both() -> str:
    """A photo of two people beside each other."""
    picture = Image.new("RGB", (2 * SIDE_PX, SIDE_PX))
    for name, half in HALVES.items():
        picture.paste(Image.open(photo_of(name)).convert("RGB").resize((SIDE_PX, SIDE_PX)), (half.start, 0))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def drawn_again(server: Server, both: str, photos: dict[str, str], how: str) -> Answer:
    """The photo with its faces drawn again; the units stand the other way round than the people."""
    units = [
        {"image": photos[name], "adapter": TRAINED_ADAPTER.stem, "lora": 0.6, "adetailer": how}
        for name in (RIGHT, LEFT)
    ]
    request = {name: value for name, value in JOB.items() if not name.startswith("opts_")} | {
        "prompt": caption(BLUE), "batch_size": 1, "width": 2 * SIDE_PX, "height": SIDE_PX, "init_images": [both],
        "override_settings": {"sd_model_checkpoint": "miniature.safetensors"},
    }  # fmt: skip
    tab = {**SMALL, "ad_inpaint_width": 128, "ad_inpaint_height": 128, "ad_use_inpaint_width_height": True}
    scripts = {TITLE: {"args": units}, **adetailer(tab, alone=True)}
    return clean(server.post("/sdapi/v1/img2img", {**request, "alwayson_scripts": scripts}))


def test_by_likeness_each_face_is_drawn_again_as_who_it_was(
    beside: Server, both: str, photos: dict[str, str], vectors: Vectors, analyser: FaceAnalyser
) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for how in ("likeness", "one each"):
        answer = drawn_again(beside, both, photos, how)
        assert answer.log.count(AGAIN) == 2, answer.log
        found[how] = {
            side: [likeness(answer, analyser, _vector(vectors, name), half) for name in (LEFT, RIGHT)]
            for side, half in HALVES.items()
        }
    for at, side in enumerate(HALVES):
        right, crossed = found["likeness"][side], found["one each"][side]
        assert right[at] > right[1 - at], found
        assert right[at] > crossed[at], found


def _vector(vectors: dict[str, Any], name: str) -> NDArray[np.float32]:
    return vectors[name]
