"""`<faceid:NAME>` in the prompts of a real WebUI, and the cards that write it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import clean, difference

ADAPTER = {"adapter": "ip-adapter-faceid_sd15"}
NOT_AUTO = "adapter=ip-adapter-faceid_sd15"
ANNA, BERT = f"<faceid:Anna:0.8:{NOT_AUTO}>", f"<faceid:Bert Öz (old):0.6:{NOT_AUTO}>"
ANNA_UNIT = {"person": "Anna", "weight": 0.8, **ADAPTER}
BERT_UNIT = {"person": "Bert Öz (old)", "weight": 0.6, **ADAPTER}
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}


@pytest.fixture(scope="module", autouse=True)
def saved_people(server: Server, data_folder: Path) -> Iterator[None]:
    for name, photo in (("Anna", "astronaut.png"), ("Bert Öz (old)", "Bryan.png")):
        image = base64.b64encode((data_folder / "photos" / photo).read_bytes()).decode()
        assert server.post("/ip-adapter-faceid/faces", {"name": name, "images": [image]}).status == 200
    yield
    for path in (server.data / "models" / "faceid" / "faces").glob("*"):
        path.unlink()


def drawn(server: Server, prompt: str, *units: dict[str, Any], **settings: Any) -> Answer:
    return clean(server.txt2img(*units, prompt=prompt, **settings))


def same(one: Answer, other: Answer) -> bool:
    return difference(one, other) == 0


@pytest.mark.parametrize(
    ("prompt", "units"),
    [
        (f"a person {ANNA}", [ANNA_UNIT]),
        (f"a person {BERT}", [BERT_UNIT]),
        (f"{ANNA} a person {BERT}", [ANNA_UNIT, BERT_UNIT]),
        (f"a person <faceid:anna::lora=0:end=0.5:{NOT_AUTO}>", [{**ANNA_UNIT, "lora": 0, "end": 0.5}]),
        ("a person <faceid:Anna>", [{"person": "Anna"}]),
    ],
)
def test_a_tag_draws_what_the_same_unit_draws(server: Server, prompt: str, units: list[dict[str, Any]]) -> None:
    plain, called, by_unit = drawn(server, "a person"), drawn(server, prompt), drawn(server, "a person", *units)
    assert difference(plain, called) > 5
    assert same(called, by_unit)
    assert "FaceID tag 0: ip-adapter-faceid" in called.log
    assert same(plain, drawn(server, "a person"))


def test_a_tag_comes_on_top_of_the_pages_units(server: Server) -> None:
    both = drawn(server, "a person", ANNA_UNIT, BERT_UNIT)
    assert same(drawn(server, f"a person {BERT}", ANNA_UNIT), both)
    assert difference(both, drawn(server, "a person", ANNA_UNIT)) > 0


def test_metadata_keep_the_tag_in_the_prompt_and_nothing_for_the_pages_units(server: Server) -> None:
    (text,) = drawn(server, f"a person {ANNA}").info["infotexts"]
    prompt, settings = text.split("\n")
    assert prompt == f"a person {ANNA}"
    assert 'FaceID tag 0: "adapter: ip-adapter-faceid_sd15, variant: faceid, weight: 0.8, refs: ' in settings
    assert "FaceID 0" not in settings
    assert "Anna" not in settings


@pytest.mark.parametrize(
    ("prompt", "sentences"),
    [
        ("a person <faceid:Ana:0.8>", ["no saved person", "Did you mean <faceid:Anna:0.8>?", "Anna, Bert Öz (old)"]),
        ("a person <faceid:Anna:much>", ["weight is 'much'; a number from 0 to 2 was expected"]),
        ("a person <FaceID:Anna>", ["is not a whole tag"]),
        ("a person <faceid:Anna:0.8:adapter=gone>", ["Prompt tag 0 (Anna): There is no adapter 'gone'"]),
    ],
)
def test_a_mistake_ends_the_job_with_a_sentence(server: Server, prompt: str, sentences: list[str]) -> None:
    plain = drawn(server, "a person").png
    answer = server.txt2img(prompt=prompt)
    assert (answer.status, "images" in answer.body) == (422, False)
    for sentence in sentences:
        assert sentence in answer.body["detail"]
    assert "Traceback" not in answer.log
    assert drawn(server, "a person").png == plain


def test_the_negative_prompts_call_nobody(server: Server) -> None:
    for settings in ({"negative_prompt": ANNA}, {**HIRES, "hr_negative_prompt": ANNA}):
        answer = server.txt2img(**settings)
        assert answer.status == 422
        assert "The negative prompt has a <faceid:...> tag" in answer.body["detail"]


def test_switched_off_networks_are_said_to_be_off(server: Server) -> None:
    answer = drawn(server, f"a person {ANNA}", disable_extra_networks=True)
    assert same(answer, drawn(server, "a person"))
    assert "tags were ignored: this job has its extra networks off" in answer.log


def test_each_pass_of_hires_fix_has_its_own_people(server: Server) -> None:
    def one(unit: dict[str, Any], which: str) -> dict[str, Any]:
        return {**unit, "hires": which}

    both = drawn(server, f"a person {ANNA}", **HIRES)
    assert same(both, drawn(server, "a person", ANNA_UNIT, **HIRES))
    first = drawn(server, f"a person {ANNA}", hr_prompt="a person", **HIRES)
    assert same(first, drawn(server, "a person", one(ANNA_UNIT, "first"), hr_prompt="a person", **HIRES))
    changing = drawn(server, f"a person {ANNA}", hr_prompt=f"a person {BERT}", **HIRES)
    units = one(ANNA_UNIT, "first"), one(BERT_UNIT, "hires")
    assert same(changing, drawn(server, "a person", *units, hr_prompt="a person", **HIRES))
    assert difference(both, first) > 0
    assert difference(first, changing) > 0


def test_the_batches_of_a_job_have_their_own_people(server: Server) -> None:
    """As wildcards write them: after our `process`, a prompt for each image."""
    prompts = [f"a person {ANNA}", "a person", f"a person {BERT}", f"a person {BERT}"]
    answer = drawn(server, "a person", n_iter=4, probe={"prompts": prompts})
    alone = [drawn(server, prompt, seed=7 + at) for at, prompt in enumerate(prompts)]
    assert all((answer.images[at] == one.images[0]).all() for at, one in enumerate(alone))
    texts = answer.info["infotexts"]
    assert ["FaceID tag 0" in text for text in texts] == [True, False, True, True]
    assert [text.split("\n")[0] for text in texts] == prompts


def test_the_images_of_one_batch_may_call_different_people_in_the_same_way(server: Server) -> None:
    prompts = [f"a person <faceid:{name}:0.8:{NOT_AUTO}>" for name in ("Anna", "Bert Öz (old)")]
    together = drawn(server, "a person", batch_size=2, probe={"prompts": prompts})
    for at, person in enumerate(("Anna", "Bert Öz (old)")):
        all_of_one = drawn(server, "a person", {**ANNA_UNIT, "person": person}, batch_size=2)
        assert (together.images[at] == all_of_one.images[at]).all()
    answer = server.txt2img(batch_size=2, probe={"prompts": [f"a person {ANNA}", f"a person {BERT}"]})
    assert answer.status == 422
    assert "The images of one batch call people differently" in answer.body["detail"]
    assert "Set the batch size to 1" in answer.body["detail"]


def test_the_images_of_one_batch_may_call_the_same_people(server: Server) -> None:
    prompts = [f"a person {ANNA}", f"a house {ANNA}"]
    together = drawn(server, "a person", batch_size=2, probe={"prompts": prompts})
    by_unit = drawn(server, "a person", ANNA_UNIT, batch_size=2, probe={"prompts": ["a person", "a house"]})
    assert same(together, by_unit)


def test_two_people_have_their_places(server: Server) -> None:
    left, right = (f"<faceid:{name}:0.8:{where}:{NOT_AUTO}>" for name, where in (("Anna", "left"), ("Anna", "right")))
    by_unit = [{**ANNA_UNIT, "region": where} for where in ("left", "right")]
    called = drawn(server, f"a person {left} {BERT.replace(':0.6', ':0.6:right')}")
    assert same(called, drawn(server, "a person", by_unit[0], {**BERT_UNIT, "region": "right"}))
    assert difference(called, drawn(server, f"a person {ANNA} {BERT}")) > 0
    assert difference(drawn(server, f"a person {left}"), drawn(server, f"a person {right}")) > 0


def test_a_mistake_in_a_later_batch_is_found_before_the_first_is_drawn(server: Server) -> None:
    answer = server.txt2img(n_iter=3, probe={"prompts": ["a person", "a person", "a person <faceid:Nobody>"]})
    assert answer.status == 422
    assert "calls 'Nobody'" in answer.body["detail"]
    assert "1/4" not in answer.log


def test_a_job_inside_a_job_draws_its_own_prompts_people(server: Server) -> None:
    """The inner job has no scripts: nothing of ours is called for it but the network."""
    answer = drawn(server, f"a person {ANNA}", probe={"nested": True})
    assert same(answer, drawn(server, f"a person {ANNA}"))
    assert server.left_in_the_unet() == {"hooks": 0, "networks": []}


def test_prompts_from_file_cast_people(server: Server) -> None:
    lines = [f"a person {ANNA}", "a person", f"a person {BERT}"]
    answer = clean(
        server.txt2img(
            prompt="", script_name="Prompts from file or textbox", script_args=[False, False, "start", "\n".join(lines)]
        )
    )
    alone = [drawn(server, line) for line in lines]
    cells = answer.images[-len(lines) :]  # Forge puts a grid in front
    assert all((cell == one.images[0]).all() for cell, one in zip(cells, alone, strict=True))


def test_search_and_replace_goes_through_names(server: Server) -> None:
    names = ["Anna", '"Bert Öz (old)"']
    plots = [
        one for one in server.get("/sdapi/v1/script-info") if one["name"] == "x/y/z plot" and not one["is_img2img"]
    ]
    search = plots[0]["args"][0]["choices"].index("Prompt S/R")
    args = [search, ",".join(names), [], 0, "", [], 0, "", [], False, True, False, False, False, False, False, 0, False]
    prompt = f"a person <faceid:Anna:0.8:{NOT_AUTO}>"
    answer = clean(server.txt2img(prompt=prompt, script_name="X/Y/Z plot", script_args=args))
    cells = answer.images[-2:]
    alone = [drawn(server, prompt.replace("Anna", name)) for name in ("Anna", "Bert Öz (old)")]
    assert all((cell == one.images[0]).all() for cell, one in zip(cells, alone, strict=True))


def test_img2img_too(server: Server) -> None:
    picture = base64.b64encode(drawn(server, "a person", seed=3).png[0]).decode()
    settings = {"init_images": [picture], "denoising_strength": 0.7}
    server.img2img(**settings)  # the WebUI encodes the picture with the random state that the job before left
    called = clean(server.img2img(prompt=f"a person {ANNA}", **settings))
    assert same(called, clean(server.img2img(ANNA_UNIT, prompt="a person", **settings)))
