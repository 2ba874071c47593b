"""Faces that ADetailer draws again inside a job, with the WebUI's modules played: who is on which of them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from played_webui import Host, P, job_of
from torch import nn

from lib_faceid.faces.face import Face, FaceSearch
from lib_faceid.references.identity import Identity
from lib_faceid.units.region import WHOLE, Box

pytest.importorskip("fastapi")

LEFT, MIDDLE, RIGHT = Box(0.1, 0.2, 0.3, 0.6), Box(0.4, 0.2, 0.6, 0.6), Box(0.7, 0.2, 0.9, 0.6)
BIT_BESIDE = 0.02  # what another detector says of the same face
BY_LIKENESS = ({"person": "Anna", "adetailer": "likeness"}, {"person": "Bert", "adetailer": "likeness"})
IN_TURN = ({"person": "Anna", "adetailer": "one each"}, {"person": "Bert", "adetailer": "one each"})


def face(prompt: str = "a face", where: Box = WHOLE) -> P:
    """ADetailer's job for a face in a picture of 100 x 50, each time with another copy of the outer job's scripts."""
    mask = Image.new("L", (100, 50))
    mask.paste(
        255, (round(where.left * 100), round(where.top * 50), round(where.right * 100), round(where.bottom * 50))
    )
    p = P([prompt], image_mask=mask, init_images=[mask], scripts=object())
    p._ad_inner = True  # pyright: ignore[reportAttributeAccessIssue]
    return p


def begun(host: Host, p: P) -> P:
    """The same, at its first step."""
    host.batch(p)
    assert job_of(p) is None
    host.step(p)
    return p


def people_on(host: Host, prompt: str = "a face", where: Box = WHOLE) -> list[tuple[str, str, float]]:
    """Who is drawn there."""
    p = begun(host, face(prompt, where))
    people = host.people(p)
    p.close()
    return people


def names_on(host: Host, *faces: Box) -> list[str]:
    """Who is drawn on one face after the other."""
    return [name for where in faces for _, name, _ in people_on(host, where=where)]


class Looks:
    """A face model that sees the same faces in every picture, and counts its looks."""

    def __init__(self) -> None:
        self.faces: list[tuple[Box, NDArray[np.float32]]] = []
        self.recogniser, self.looks = "w600k_r50", 0

    def search(self, picture: NDArray[np.uint8]) -> FaceSearch:
        self.looks += 1
        faces = [(_px(box), vector) for box, vector in self.faces]
        nothing = np.zeros((5, 2), np.float32), 0.9
        return FaceSearch(
            tuple(Face(box, *nothing, vector, np.zeros((224, 224, 3), np.uint8)) for box, vector in faces),
            0.9,
            (100, 50),
        )

    def see(self, *faces: tuple[Box, Identity | None]) -> None:
        """Have faces there, each like somebody; without anybody, like nobody."""
        nobody = np.ones(512, np.float32)
        self.faces = [(box, nobody if who is None else who.id_embeddings[0].numpy()) for box, who in faces]


def _px(box: Box) -> tuple[float, float, float, float]:
    return (box.left * 100, box.top * 50, box.right * 100, box.bottom * 50)


@pytest.fixture
def looks(host: Host, monkeypatch: pytest.MonkeyPatch) -> Looks:
    """What sees the faces that are in every picture."""
    found = Looks()
    models = replace(host.webui.models(), face_analyser=lambda: found)
    monkeypatch.setattr(host.webui, "models", lambda: models)
    return found


@pytest.fixture(autouse=True)
def flat(host: Host) -> None:
    """The WebUI's way to a picture without transparency."""
    host.package.images.flatten = lambda picture, colour: np.asarray(picture)


def test_called_people_come_along_to_the_faces_that_adetailer_draws_again(host: Host) -> None:
    p = P(["x <faceid:Anna:0.6:adetailer_weight=0.5>"])
    host.draw(p, {"person": "Bert"})
    page = ("FaceID 0", "Bert", 0.8)
    for prompt in ("a face", p.all_prompts[0]):
        assert people_on(host, prompt) == [page, ("FaceID tag 0", "Anna", 0.3)]
    assert host.parts == 2  # for each face, as no script of ours is called for it; and never for the job itself
    assert people_on(host, "a face <faceid:Bert:1>") == [page, ("FaceID tag 0", "Bert", 1.0)]
    assert people_on(host, "a face <faceid:Nobody>") == []
    assert any("WITHOUT the person: The prompt calls 'Nobody'" in comment for comment in p.comments)


def test_the_face_of_each_image_is_its_own_persons(host: Host) -> None:
    p = P(["x <faceid:Anna>", "x <faceid:Bert>"], batch_size=2)
    host.draw(p)
    for p.batch_index, name in enumerate(("Anna", "Bert")):
        for prompt in ("a face", p.all_prompts[p.batch_index]):
            assert people_on(host, prompt) == [("FaceID tag 0", name, 0.8)]


def test_a_face_may_call_somebody_into_a_job_without_people(host: Host) -> None:
    p = P(["a face <faceid:Anna>"])
    p._ad_inner = True  # pyright: ignore[reportAttributeAccessIssue]
    host.batch(p)
    assert host.people(p) == [("FaceID tag 0", "Anna", 0.8)]


@pytest.mark.parametrize("order", [(LEFT, MIDDLE, RIGHT), (RIGHT, LEFT, MIDDLE), (RIGHT, LEFT, RIGHT, MIDDLE)])
def test_who_takes_turns_is_told_by_the_face_and_not_by_how_many_were_drawn(
    host: Host, looks: Looks, order: tuple[Box, ...]
) -> None:
    looks.see((LEFT, None), (MIDDLE, None), (RIGHT, None))
    host.draw(P(["x"]), *IN_TURN)
    beside = [Box(box.left + BIT_BESIDE, box.top, box.right + BIT_BESIDE, box.bottom) for box in order]
    expected = ["Bert" if box is MIDDLE else "Anna" for box in order]
    assert names_on(host, *beside) == expected


@pytest.mark.parametrize("order", [(LEFT, MIDDLE, RIGHT), (RIGHT, LEFT, MIDDLE), (RIGHT, RIGHT, MIDDLE, LEFT)])
def test_by_likeness_each_face_is_drawn_as_the_person_it_is_most_like(
    host: Host, looks: Looks, order: tuple[Box, ...]
) -> None:
    anna, bert = (host.webui.models().person(name) for name in ("Anna", "Bert"))
    looks.see((LEFT, bert), (MIDDLE, None), (RIGHT, anna))
    host.draw(P(["x"]), *BY_LIKENESS)
    names = dict(zip(order, names_on(host, *order), strict=True))
    assert (names[LEFT], names[RIGHT], looks.looks) == ("Bert", "Anna", 1)
    assert names[MIDDLE] in ("Anna", "Bert")


def test_of_two_faces_like_one_person_the_other_is_still_the_other_persons(host: Host, looks: Looks) -> None:
    anna = host.webui.models().person("Anna")
    looks.see((LEFT, anna), (RIGHT, anna))
    host.draw(P(["x"]), *BY_LIKENESS)
    assert sorted(names_on(host, LEFT, RIGHT)) == ["Anna", "Bert"]


def test_where_no_likeness_can_be_told_the_order_decides(host: Host, looks: Looks) -> None:
    anna, bert = (host.webui.models().person(name) for name in ("Anna", "Bert"))
    looks.see((LEFT, bert), (RIGHT, anna))
    looks.recogniser = "another"
    p = P(["x"])
    host.draw(p, *BY_LIKENESS)
    assert names_on(host, LEFT, RIGHT, LEFT) == ["Anna", "Bert", "Anna"]
    assert [comment for comment in p.comments if "another recogniser (w600k_r50)" in comment]


def test_by_likeness_a_face_that_is_not_seen_goes_by_its_number(host: Host, looks: Looks) -> None:
    looks.see((LEFT, host.webui.models().person("Bert")))
    host.draw(P(["x"]), *BY_LIKENESS)
    assert names_on(host, LEFT, RIGHT, MIDDLE) == ["Bert", "Bert", "Anna"], "the second face, and the third"


def test_faces_that_are_not_seen_are_told_apart_all_the_same(host: Host, looks: Looks) -> None:
    looks.see((LEFT, None))
    host.draw(P(["x"]), *IN_TURN)
    assert names_on(host, RIGHT, RIGHT, LEFT, MIDDLE, RIGHT) == ["Bert", "Bert", "Anna", "Anna", "Bert"]


def test_each_image_has_its_own_faces(host: Host, looks: Looks) -> None:
    p = P(["x", "x"], batch_size=2)
    host.draw(p, *IN_TURN)
    assert names_on(host, RIGHT, LEFT) == ["Anna", "Bert"]
    looks.see((LEFT, None), (RIGHT, None))
    p.batch_index = 1
    assert names_on(host, RIGHT, LEFT) == ["Bert", "Anna"]


def test_without_face_models_they_take_turns_as_they_come(host: Host) -> None:
    p = P(["x"])
    host.draw(p, *IN_TURN)
    assert names_on(host, RIGHT, LEFT, RIGHT) == ["Anna", "Bert", "Anna"]
    assert [comment for comment in p.comments if "could not be told apart" in comment]


def test_the_lora_is_in_each_face_once_and_again_in_the_job_around_it(host: Host) -> None:
    p = P(["x", "x"])
    before = weight(host)
    host.draw(p, {"person": "Bert"})
    host.step(p)
    merged = weight(host)
    assert not torch.equal(merged, before)
    inner = begun(host, face())
    assert torch.equal(weight(host), merged)
    inner.close()
    assert torch.equal(weight(host), before)
    host.step(p)
    assert torch.equal(weight(host), merged)
    p.close()
    assert torch.equal(weight(host), before)


def test_a_face_without_anybody_is_drawn_without_the_lora(host: Host) -> None:
    before = weight(host)
    host.draw(P(["x"]), {"person": "Bert", "adetailer": "off"})
    assert not torch.equal(weight(host), before)
    assert people_on(host) == []
    assert torch.equal(weight(host), before)


def test_a_round_of_networks_in_the_middle_of_a_faces_step_ends_no_job(host: Host) -> None:
    """Tiled Diffusion's region control, in a face that ADetailer draws again."""
    host.draw(P(["x"]), {"person": "Bert"})
    inner = begun(host, face())
    job = job_of(inner)
    host.network.activate(inner, [])
    host.network.deactivate(inner)
    assert (job_of(inner), job.is_closed) == (job, False)
    host.webui.on_denoised(None)
    assert not job.is_in_step
    host.network.deactivate(inner)
    assert (job_of(inner), job.is_closed) == (None, True)


def test_a_faces_job_hears_of_another_checkpoint_and_of_unloaded_scripts(host: Host) -> None:
    host.draw(P(["x"]), {"person": "Bert"})
    inner = begun(host, face())
    job = job_of(inner)
    assert job._job.injection is not None
    host.webui.on_model_loaded()
    assert job._job.injection is None
    host.step(inner)
    assert job._job.injection is not None
    host.webui.on_scripts_unloaded()
    assert (job.is_closed, job._job.injection) == (True, None)


def test_the_job_around_a_face_is_never_another_faces(host: Host) -> None:
    """ADetailer leaves no job behind, but one that ended with an error may lie there until Python collects it."""
    host.draw(P(["x"]), {"person": "Bert", "weight": 0.8, "adetailer_weight": 0.5})
    unfinished = [begun(host, face()) for _ in range(4)]
    assert {one for p in unfinished for one in host.people(p)} == {("FaceID 0", "Bert", 0.4)}


def weight(host: Host) -> torch.Tensor:
    """A weight of the UNet that the adapter's LoRA changes, as it is now."""
    layer = host.unet.get_submodule("input_blocks.1.1.transformer_blocks.0.attn2.to_q")
    return cast("nn.Linear", layer).weight.detach().clone()
