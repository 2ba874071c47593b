"""Who is asked for is who is seen, in a real WebUI: the trained miniature draws, SCRFD and ArcFace look."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery import photo_of, strangers
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.app.beginnings import TRAINED
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import clean
from training.captions import COLOUR_NAMES, caption

WHO = ("never_seen_10", "never_seen_27", "never_seen_29")
BLUE = COLOUR_NAMES.index("blue")

JOB: dict[str, Any] = {
    "opts_sd_model_checkpoint": "miniature.safetensors",
    "steps": TRAINED.steps,
    "cfg_scale": TRAINED.cfg,
    "sampler_name": "DDIM",
    "batch_size": 2,
    "seed": 1000,
}

Vectors = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Each person's embedding, of length 1."""
    people = strangers("never_seen")
    return {name: people[name].normed_embeddings[0].numpy() for name in WHO}


@pytest.fixture(scope="module")
def photos() -> dict[str, str]:
    return {name: base64.b64encode(photo_of(name).read_bytes()).decode() for name in WHO}


@pytest.fixture(scope="module")
def miniature(server: Server, data_dir: Path) -> Iterator[Server]:
    """The WebUI with the miniature among its models."""
    checkpoint = write_trained_checkpoint(data_dir / "models" / "Stable-diffusion" / "miniature.safetensors")
    adapter = data_dir / "models" / "faceid" / TRAINED_ADAPTER.name
    shutil.copyfile(TRAINED_ADAPTER, adapter)
    server.post("/sdapi/v1/refresh-checkpoints", {})
    yield server
    for path in (checkpoint, checkpoint.with_suffix(".yaml"), adapter):
        path.unlink()
    server.post("/sdapi/v1/refresh-checkpoints", {})


def unit(photo: str, **settings: Any) -> dict[str, Any]:
    return {"image": photo, "adapter": TRAINED_ADAPTER.stem, "lora": 0.6, **settings}


def likeness(
    answer: Answer, analyser: FaceAnalyser, vector: NDArray[np.float32], columns: slice = slice(None)
) -> float:
    """The mean cosine of the pictures' largest faces to somebody; where there is no face it counts as 0."""
    found = [analyser.detect(np.ascontiguousarray(image[:, columns])) for image in answer.images]
    faces = [largest(one).id_embedding if one else np.zeros(512, np.float32) for one in found]
    return float(np.mean([face @ vector / max(np.linalg.norm(face), 1e-6) for face in faces]))


@pytest.mark.parametrize("name", WHO)
def test_likeness_comes_with_the_weight_and_is_nobody_elses(
    miniature: Server, vectors: Vectors, photos: dict[str, str], analyser: FaceAnalyser, name: str
) -> None:
    job = {**JOB, "prompt": caption(BLUE)}
    drawn = {weight: clean(miniature.txt2img(unit(photos[name], weight=weight), **job)) for weight in (0, 0.8)}
    alike = {weight: likeness(answer, analyser, vectors[name]) for weight, answer in drawn.items()}
    assert alike[0] < alike[0.8], alike
    assert alike[0.8] > 0.3
    assert alike[0.8] > max(likeness(drawn[0.8], analyser, vectors[other]) for other in WHO if other != name)
    assert drawn[0].png == clean(miniature.txt2img(**job)).png


def test_two_people_stand_where_their_regions_are(
    miniature: Server, vectors: Vectors, photos: dict[str, str], analyser: FaceAnalyser
) -> None:
    job = {**JOB, "prompt": caption(BLUE, people=2), "width": 256}
    pair = [unit(photos[name], region=side, weight=0.8) for name, side in ((WHO[0], "left"), (WHO[1], "right"))]
    answer = clean(miniature.txt2img(*pair, **job))
    left, right = slice(0, 128), slice(128, 256)
    for columns, here, there in ((left, WHO[0], WHO[1]), (right, WHO[1], WHO[0])):
        assert likeness(answer, analyser, vectors[here], columns) > likeness(answer, analyser, vectors[there], columns)


def test_img2img_makes_somebody_else_of_a_picture(
    miniature: Server, vectors: Vectors, photos: dict[str, str], analyser: FaceAnalyser
) -> None:
    """From somebody else's picture: the more is drawn anew, the more it is who was asked for."""
    job = {**JOB, "prompt": caption(BLUE)}
    begun = clean(miniature.txt2img(unit(photos[WHO[1]]), **{**job, "batch_size": 1})).images[0]
    file = io.BytesIO()
    Image.fromarray(begun).save(file, "PNG")
    init = {"init_images": [base64.b64encode(file.getvalue()).decode()], "denoising_strength": 0.9}
    answer = clean(miniature.img2img(unit(photos[WHO[0]]), **job, **init))
    assert likeness(answer, analyser, vectors[WHO[0]]) > likeness(answer, analyser, vectors[WHO[1]])
