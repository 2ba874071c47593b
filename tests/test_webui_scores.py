"""The likenesses of a WebUI's pictures, with its modules played: each picture once, in metadata and answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from played_webui import Host, P, job_of
from test_judging import Seeing, face

from lib_faceid.faces.face import FaceSearch
from lib_faceid.likeness.score import PictureScore
from lib_faceid.references.identity import Identity

pytest.importorskip("fastapi")

KEY = "FaceID likeness"
PERSON = {"person": "Anna"}
PICTURE = Image.new("RGB", (200, 100))
RECOGNISER = "w600k_r50-4c06341c"


class Eyes(Seeing):
    """Sees Anna with another likeness in each picture, and counts the looks."""

    def __init__(self, anna: Identity, *likenesses: float) -> None:
        super().__init__((), RECOGNISER)
        self._anna, self._likenesses, self.looks = anna.normed_embeddings[0].numpy(), list(likenesses), 0

    def search(self, image_rgb: np.ndarray) -> FaceSearch:
        likeness = self._likenesses[self.looks % len(self._likenesses)]
        self.looks += 1
        beside = np.linalg.qr(np.stack([self._anna, np.ones(512)]).T)[0][:, 1]
        seen = 20 * (likeness * self._anna + np.sqrt(1 - likeness**2) * beside)
        return FaceSearch((replace(face(0.5), id_embedding=seen.astype(np.float32)),), 0.9, PICTURE.size)


@pytest.fixture
def eyes(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Eyes]:
    """Give the WebUI face models that see Anna with these likenesses."""
    host.package.images.flatten = lambda picture, colour: np.asarray(picture)

    def open_eyes(*likenesses: float) -> Eyes:
        models = host.webui.models()
        found = Eyes(models.person("Anna"), *likenesses)
        monkeypatch.setattr(host.webui, "models", lambda: replace(models, face_analyser=lambda: found))
        return found

    return open_eyes


def infotext(p: Any, index: int, *, is_main: bool = False, later: bool = False) -> str | None:
    """What the WebUI makes of our value: `create_infotext` calls it with all that it knows."""
    value = p.extra_generation_params.get(KEY)
    prompts = p.all_prompts if later else p.prompts
    return None if value is None else value(p=p, index=index, use_main_prompt=is_main, all_prompts=prompts, iteration=0)


def finish(host: Host, p: Any, number: int) -> list[str | None]:
    """Go through a batch up to its finished pictures; return the line in each picture's metadata."""
    host.batch(p, number)
    p.prompts = p.all_prompts[number * p.batch_size :][: p.batch_size]
    host.webui.report(p)
    lines: list[str | None] = []
    for index in range(p.batch_size):
        p.batch_index = index
        assert infotext(p, index) is None, "not before it was looked at"
        host.webui.score(p, PICTURE)
        lines.append(infotext(p, index))
    return lines


def answer(p: Any) -> list[dict[str, Any]]:
    """What a client reads in the answer's `info`."""
    params = json.loads(json.dumps(p.extra_generation_params, default=lambda _: None))
    return params[KEY]["pictures"]


def test_each_picture_of_each_batch_has_its_own_likeness(host: Host, eyes: Callable[..., Eyes]) -> None:
    seeing = eyes(0.1, 0.2, 0.3, 0.4)
    p = host.process(P(["x"] * 4, batch_size=2), PERSON)
    p.all_seeds = [7, 8, 9, 10]  # pyright: ignore[reportAttributeAccessIssue]
    assert [finish(host, p, 0), finish(host, p, 1)] == [["0.10", "0.20"], ["0.30", "0.40"]]
    assert seeing.looks == 4
    assert [infotext(p, index, later=True) for index in range(4)] == ["0.10", "0.20", "0.30", "0.40"]
    assert infotext(p, 0, is_main=True) is None, "a grid shows several"
    assert [(one["image"], one["seed"], one["text"]) for one in answer(p)] == [
        (0, 7, "0.10"), (1, 8, "0.20"), (2, 9, "0.30"), (3, 10, "0.40"),
    ]  # fmt: skip
    assert [PictureScore.from_dict(one).likeness for one in answer(p)] == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("where", ["settings", "request"])
def test_switched_off_nothing_is_looked_at_or_written(host: Host, eyes: Callable[..., Eyes], where: str) -> None:
    seeing = eyes(0.5)
    host.package.shared.opts.faceid_score = where != "settings"
    p = host.process(P(["x"]), PERSON, *([{"score": False}] if where == "request" else []))
    assert finish(host, p, 0) == [None]
    assert (seeing.looks, KEY in p.extra_generation_params) == (0, False)


def test_without_a_person_no_face_model_is_loaded(host: Host, eyes: Callable[..., Eyes]) -> None:
    seeing = eyes(0.5)
    p = host.process(P(["x"]))
    assert finish(host, p, 0) == [None]
    assert (seeing.looks, KEY in p.extra_generation_params, job_of(p)) == (0, False, None)


def test_without_face_models_it_is_said_once(host: Host) -> None:
    host.package.images.flatten = lambda picture, colour: np.asarray(picture)
    p = host.process(P(["x"] * 2), PERSON)
    assert [finish(host, p, number) for number in range(2)] == [[None], [None]]
    assert [line for line in p.comments if "likeness" in line] == [
        "The likeness of the pictures was not looked at: not here"
    ]
    assert KEY not in p.extra_generation_params


def test_who_is_called_by_the_prompt_is_looked_at_too(host: Host, eyes: Callable[..., Eyes]) -> None:
    eyes(0.3)
    p = host.process(P(["<faceid:Anna> x", "<faceid:Bert> x"]))
    assert finish(host, p, 0) == ["0.30"]
    assert answer(p)[0]["units"][0]["unit"] == "tag 0"
    (bert,) = finish(host, p, 1)
    assert bert not in (None, "0.30"), "the face is Anna's"


def test_copies_of_a_running_job_and_faces_inside_it_are_not_looked_at(host: Host, eyes: Callable[..., Eyes]) -> None:
    seeing = eyes(0.3)
    p = host.process(P(["x"]), PERSON)
    host.batch(p, 0)
    host.webui.score(copy.copy(p), PICTURE)
    job_of(p).is_part = True
    host.webui.score(p, PICTURE)
    assert seeing.looks == 0


def test_the_cells_of_a_plot_each_have_theirs_and_the_grid_has_none(host: Host, eyes: Callable[..., Eyes]) -> None:
    eyes(0.1, 0.2)
    outer = P(["x"])
    for expected in ("0.10", "0.20"):
        cell = copy.copy(outer)  # as the plot does: they share their parameters
        host.process(cell, PERSON)
        assert finish(host, cell, 0) == [expected]
        assert infotext(cell, 0, later=True) == expected
        host.webui.end(cell)
    assert [one["text"] for one in answer(outer)] == ["0.10", "0.20"]
    outer.extra_generation_params["X Type"] = "[FaceID] Identity weight"
    outer.prompts = []  # pyright: ignore[reportAttributeAccessIssue]
    assert infotext(outer, 0, later=True) is None


def test_a_fall_is_said_with_the_picture(host: Host, eyes: Callable[..., Eyes]) -> None:
    spread = [0.5, 0.52, 0.48, 0.51, 0.49] * 5
    eyes(*spread, 0.1, 0.1, 0.1)
    p = host.process(P(["x"] * 28), PERSON)
    for number in range(28):
        finish(host, p, number)
    assert sum("The likeness of FaceID 0 has fallen" in line for line in p.comments) == 1
