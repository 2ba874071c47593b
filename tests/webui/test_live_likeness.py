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


def scores_in(answer: Answer) -> list[dict[str, Any]]:
    """The typed scores of an answer's pictures, in the order of drawing."""
    return answer.info["extra_generation_params"]["FaceID likeness"]["pictures"]


def test_each_picture_says_how_alike_its_people_are(
    miniature: Server, vectors: Vectors, photos: dict[str, str], analyser: FaceAnalyser
) -> None:
    """Two in a batch: the score in the answer and in the metadata is that of each picture; off, nothing is."""
    job = {**JOB, "steps": 8, "prompt": caption(BLUE, people=2), "width": 256, "opts_faceid_mark_pictures": False}
    pair = [unit(photos[name], region=side) for name, side in ((WHO[0], "left"), (WHO[1], "right"))]
    answer = clean(miniature.txt2img(*pair, **job))
    scores = scores_in(answer)
    assert [(one["image"], one["seed"]) for one in scores] == [(0, 1000), (1, 1001)]
    pictures = answer.images[answer.info["index_of_first_image"] :]
    infotexts = answer.info["infotexts"][answer.info["index_of_first_image"] :]
    for picture, infotext, score in zip(pictures, infotexts, scores, strict=True):
        for at, name in enumerate(WHO[:2]):
            faces = [face for face in analyser.detect(picture) if (face.box[0] + face.box[2]) // 2 // 128 == at]
            cosines = [float(face.id_embedding @ vectors[name] / np.linalg.norm(face.id_embedding)) for face in faces]
            expected = pytest.approx(max(cosines), abs=1e-3) if cosines else None
            assert score["units"][at]["likeness"] == expected
        assert score["text"] in infotext
        assert score["recogniser"] == analyser.recogniser
    if answer.info["index_of_first_image"]:
        assert "FaceID likeness" not in answer.info["infotexts"][0], "a grid has none"
    off = clean(miniature.txt2img(*pair, **job, opts_faceid_score=False))
    assert "FaceID likeness" not in off.sentence
    assert all(np.array_equal(one, other) for one, other in zip(off.images, answer.images, strict=True))


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
