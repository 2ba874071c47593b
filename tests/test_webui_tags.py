"""Tags in the WebUI's prompts, with the WebUI's modules played: who is called for which batch, pass and image."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from played_webui import Host, P, Params, job_of

pytest.importorskip("fastapi")


def failure(host: Host, p: P, *units: dict[str, Any]) -> str:
    """The sentence with which a job ends before it is sampled."""
    with pytest.raises(sys.modules["lib_faceid.hosts.webui.job"].FaceIDStopped) as stopped:
        host.draw(p, *units)
    assert stopped.value.status_code == 422
    return str(stopped.value)


def test_a_tag_comes_on_top_of_the_pages_units(host: Host) -> None:
    p = P(["x <faceid:Anna:0.6>"])
    assert host.draw(p, {"person": "Bert"}) == "drawn"
    assert host.people(p) == [("FaceID 0", "Bert", 0.8), ("FaceID tag 0", "Anna", 0.6)]
    assert [key for key in p.extra_generation_params if key.startswith("FaceID")] == ["FaceID 0", "FaceID tag 0"]


def test_a_job_without_our_script_calls_people_too(host: Host) -> None:
    p = P(["x <faceid:Anna:0.6>"])
    assert host.batch(p) == "drawn"
    assert host.people(p) == [("FaceID tag 0", "Anna", 0.6)]
    host.network.deactivate(p)
    assert host.people(p) == []


def test_a_round_of_networks_in_the_middle_of_a_step_ends_no_job(host: Host) -> None:
    """Tiled Diffusion's region control activates and deactivates the networks of each region in each step."""
    p = P(["x <faceid:Anna:0.6>"])
    host.draw(p, {"person": "Bert"})
    job = job_of(p)
    host.step(p)
    host.network.activate(p, [])
    host.network.deactivate(p)
    assert (job_of(p), job.is_closed) == (job, False)
    host.webui.on_denoised(None)
    host.network.deactivate(p)
    assert (job_of(p), job.is_closed) == (None, True)


def test_a_prompt_without_a_tag_changes_nothing(host: Host) -> None:
    p = host.process(P(["x"]), {"person": "Bert"})
    before = job_of(p)
    host.batch(p)
    assert job_of(p) is before
    assert host.draw(P(["x"])) == "drawn"


def test_the_webuis_empty_job_is_left_alone(host: Host) -> None:
    """It makes one to get the conditioning of an empty prompt, without any prompts in it."""
    p: Any = SimpleNamespace(
        all_prompts=None, all_negative_prompts=None, extra_network_data=None, iteration=0, n_iter=1, batch_size=1,
        is_hr_pass=False, extra_generation_params={}, sample="untouched", enable_hr=False,
    )  # fmt: skip
    host.network.activate(p, {})
    assert (p.sample, p.extra_generation_params) == ("untouched", {})


def test_each_batch_has_its_own_people(host: Host) -> None:
    p = host.process(P(["x <faceid:Anna>", "x", "x <faceid:Bert:1>", "x <faceid:Bert:1>"]), {"person": "Anna"})
    seen: list[Any] = []
    for number in range(4):
        host.batch(p, number)
        seen.append((job_of(p), host.people(p)[1:], "FaceID tag 0" in p.extra_generation_params))
    assert [people for _, people, _ in seen] == [
        [("FaceID tag 0", "Anna", 0.8)],
        [],
        [("FaceID tag 0", "Bert", 1.0)],
        [("FaceID tag 0", "Bert", 1.0)],
    ]
    assert [is_told for _, _, is_told in seen] == [True, False, True, True]
    assert seen[2][0] is seen[3][0]


def test_prompts_that_are_written_after_our_process_count(host: Host) -> None:
    p = host.process(P(["x __somebody__"]))
    p.all_prompts = ["x <faceid:Anna>"]
    host.batch(p)
    assert host.people(p) == [("FaceID tag 0", "Anna", 0.8)]


def test_what_the_webui_cut_out_has_the_last_word(host: Host) -> None:
    """Another extension may write the prompts of a batch alone, after which `all_prompts` tell another story."""
    p = host.process(P(["x <faceid:Anna>", "x"], batch_size=2))
    p.extra_network_data = {"faceid": [Params("Bert:0.5")]}
    host.network.activate(p, [])
    assert host.people(p) == [("FaceID tag 0", "Bert", 0.5)]


def test_the_images_of_a_batch(host: Host) -> None:
    p = P(["x <faceid:Anna>", "x <faceid:Bert>"], batch_size=2)
    host.draw(p)
    assert host.people(p) == [("FaceID tag 0", "Anna | Bert", 0.8)]
    assert job_of(p)._job.differs_by_image
    assert "The images of one batch call people differently" in failure(host, P(["x <faceid:Anna>", "x"], batch_size=2))


def test_each_row_has_its_images_person_also_where_another_extension_sorts_them_by_region(host: Host) -> None:
    p = P(["x <faceid:Anna>", "x <faceid:Bert>"], batch_size=2)
    host.draw(p)
    for order in ((0, 0, 1, 1), (0, 1, 0, 1)):
        params = host.step(p, order)
        assert params.text_cond[:, 0, 0].tolist() == [image + 1 for image in order]
        assert params.text_uncond[:, 0, 0].tolist() == [-1, -2]


def test_a_last_batch_that_is_short_keeps_its_order(host: Host) -> None:
    prompts = ["x"] * 3 + ["x <faceid:Anna>", "x <faceid:Bert>"]
    p = host.process(P(prompts, batch_size=3))
    host.batch(p, 1)
    assert host.people(p)[0][1] == "Anna | Bert | Bert"


@pytest.mark.parametrize(
    ("first", "hires", "expected"),
    [
        ("x <faceid:Anna>", "x <faceid:Anna>", [("Anna", "both")]),
        ("x <faceid:Anna>", "x", [("Anna", "first")]),
        ("x <faceid:Anna>", "x <faceid:Bert>", [("Anna", "first"), ("Bert", "hires")]),
    ],
)
def test_each_pass_of_hires_fix_has_its_own_people(
    host: Host, first: str, hires: str, expected: list[tuple[str, str]]
) -> None:
    p = P([first], enable_hr=True, all_hr_prompts=[hires])
    host.draw(p)
    job = job_of(p)
    assert [(unit.person, unit.hires) for unit in job.tagged] == expected
    p.is_hr_pass = True
    host.network.activate(p, [])
    assert job_of(p) is job


@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        (P(["<faceid:Ana>"]), "Did you mean <faceid:Anna:0.8>?"),
        (P(["x", "x", "<faceid:Nobody>"]), "calls 'Nobody'"),
        (P(["x", "x"], all_negative_prompts=["", "<faceid:Anna>"]), "The negative prompt has"),
        (P(["x"], enable_hr=True, all_hr_prompts=["<faceid:Nobody>"]), "calls 'Nobody'"),
        (P(["x"], enable_hr=True, all_hr_prompts=["x"], all_hr_negative_prompts=["<faceid:Anna>"]), "negative prompt"),
        (P(["<faceid:Anna:0.8:adapter=gone>"]), "Prompt tag 0 (Anna): There is no adapter 'gone'"),
        (P(["<faceid:Anna"]), "is not a whole tag"),
    ],
)  # fmt: skip
def test_a_mistake_ends_the_job_before_it_is_sampled(host: Host, p: P, sentence: str) -> None:
    assert sentence in failure(host, copy.deepcopy(p), {"person": "Bert"})


def test_where_the_user_wants_it_the_others_are_drawn_without_the_one(host: Host) -> None:
    host.package.shared.opts.faceid_on_failure = "Draw without the person"
    p = host.process(
        P(["x <faceid:Nobody>", "x <faceid:Anna:0.8:adapter=gone>", "x <faceid:Anna>"]), {"person": "Bert"}
    )
    p.all_prompts[0] = "x"
    assert host.batch(p, 0) == "drawn"
    p.all_prompts[0] = "x <faceid:Nobody>"
    for number in (0, 1):
        assert host.batch(p, number) == "drawn"
        assert host.people(p) == [("FaceID 0", "Bert", 0.8)]
        assert str(p.extra_generation_params["FaceID tags"]).startswith("skipped (")
    assert host.batch(p, 2) == "drawn"
    assert host.people(p)[1:] == [("FaceID tag 0", "Anna", 0.8)]
    assert "FaceID tags" not in p.extra_generation_params
    assert any("Drawn WITHOUT the person: The prompt calls 'Nobody'" in comment for comment in p.comments)


def test_switched_off_networks_are_said_to_be_off(host: Host) -> None:
    p = P(["x <faceid:Anna>"], disable_extra_networks=True)
    host.draw(p, {"person": "Bert"})
    assert host.people(p) == [("FaceID 0", "Bert", 0.8)]
    assert any("tags were ignored" in comment for comment in p.comments)
    quiet = P(["x"], disable_extra_networks=True)
    host.draw(quiet)
    assert not quiet.comments


def test_an_axis_for_all_units_reaches_called_people_and_one_for_unit_0_does_not(host: Host) -> None:
    from lib_faceid.units.overrides import override

    p = P(["x <faceid:Anna>"])
    override(p, None, "weight", 0.3)
    override(p, 0, "structure", 2.0)
    host.draw(p, {"person": "Bert"})
    assert [weight for *_, weight in host.people(p)] == [0.3, 0.3]
    units = [one.unit for one in job_of(p)._job.prepare(host.unet)]
    assert [unit.structure for unit in units] == [2.0, 1.0]


def test_closing_ends_the_job_of_any_number_of_batches_once(host: Host) -> None:
    p = host.process(P([f"x <faceid:{name}>" for name in ("Anna", "Bert", "Anna")]), {"person": "Bert"})
    close = p.close
    for number in range(3):
        host.batch(p, number)
    assert p.close == close  # not wrapped again for each batch, until Python's stack is full
    p.close()
    assert (p.closed, host.people(p)) == (1, [])


def test_a_copy_of_a_job_that_calls_somebody_else_has_a_job_of_its_own(host: Host) -> None:
    p = P(["x <faceid:Anna>"])
    host.draw(p)
    same, other = copy.copy(p), copy.copy(p)
    host.batch(same)
    assert job_of(same) is job_of(p)
    other.all_prompts = ["x <faceid:Bert>"]
    host.batch(other)
    assert (host.people(other)[0][1], host.people(p)[0][1]) == ("Bert", "Anna")
    other.close()
    assert host.people(other) == []
