"""Tags in the WebUI's prompts, with the WebUI's modules played: who is called for which batch, pass and image."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from played_webui import forget_hosts, play_webui
from torch import nn

from lib_faceid.choosing import Models
from lib_faceid.errors import MissingModelError
from lib_faceid.people.identity import Identity
from lib_faceid.people.library import People

pytest.importorskip("fastapi")

SETTINGS = {"faceid_on_failure": "Stop", "faceid_write_hashes": True}


class Params:
    """What the WebUI makes of one tag: its parts."""

    def __init__(self, tag: str) -> None:
        self.items = tag.split(":")


@dataclass
class P:
    """The part of the WebUI's processing object that matters, and what it does with it."""

    all_prompts: list[str]
    batch_size: int = 1
    enable_hr: bool = False
    all_hr_prompts: list[str] | None = None
    all_negative_prompts: list[str] = field(default_factory=list)
    all_hr_negative_prompts: list[str] | None = None
    disable_extra_networks: bool = False
    is_hr_pass: bool = False
    iteration: int = 0
    steps: int = 4
    extra_network_data: dict[str, list[Params]] | None = None
    hr_extra_network_data: dict[str, list[Params]] | None = None
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    image_mask: Any = None
    scripts: Any = None
    batch_index: int = 0

    @property
    def n_iter(self) -> int:
        return len(self.all_prompts) // self.batch_size

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    def init(self) -> None:
        pass

    def sample(self) -> str:
        return "drawn"

    def close(self) -> None:
        self.closed += 1

    def cut(self, prompts: list[str] | None) -> dict[str, list[Params]] | None:
        if prompts is None:
            return None
        first = prompts[self.iteration * self.batch_size]
        return {"faceid": [Params(tag) for tag in re.findall(r"<faceid:([^>]+)>", first)]}


@dataclass
class Host:
    """Our callbacks, in the order in which the WebUI calls them."""

    webui: ModuleType
    tags: ModuleType
    shared: Any
    unet: nn.Module
    parts: int = 0
    """How often we were told that a face inside a job is about to be drawn."""

    @property
    def network(self) -> Any:
        def count() -> None:
            self.parts += 1

        return self.tags.FaceIDNetwork(count)

    def process(self, p: P, *units: dict[str, Any]) -> P:
        self.webui.start(p, units or [{"enabled": False}])
        return p

    def batch(self, p: P, number: int = 0) -> str:
        """Go through one batch up to its sampling, which is what is given back."""
        p.iteration = number
        p.extra_network_data, p.hr_extra_network_data = p.cut(p.all_prompts), p.cut(p.all_hr_prompts)
        if not p.disable_extra_networks:
            self.network.activate(p, [])
            self.webui.apply_loras(p)
        self.webui.apply_loras(p)
        self.tags.say_if_off(p)
        return p.sample()

    def draw(self, p: P, *units: dict[str, Any]) -> str:
        return self.batch(self.process(p, *units))

    def people(self, p: P) -> list[tuple[str, str, float]]:
        """Who is drawn: the metadata's key, the name, and the weight."""
        prepared = job_of(p)._job.prepare(self.unet) if job_of(p) else ()
        return [(f"FaceID {one.number}", one.unit.person, one.unit.weight) for one in prepared]


def job_of(p: P) -> Any:
    """What ours leaves on `p`, if anything."""
    return getattr(p, "faceid_job", None)


def failure(host: Host, p: P, *units: dict[str, Any]) -> str:
    """The sentence with which a job ends before it is sampled."""
    with pytest.raises(sys.modules["lib_faceid.hosts.webui_job"].FaceIDStopped) as stopped:
        host.draw(p, *units)
    assert stopped.value.status_code == 422
    return str(stopped.value)


@pytest.fixture
def host(ldm: nn.Module, adapter_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    package = play_webui(monkeypatch)
    package.sd_unet.get_unet_option = lambda: None
    shared = package.shared
    shared.opts, shared.cmd_opts = SimpleNamespace(**SETTINGS), SimpleNamespace()
    shared.sd_model = SimpleNamespace(model=SimpleNamespace(diffusion_model=ldm), sd_checkpoint_info="a")
    package.paths.data_path = package.paths.models_path = str(tmp_path)
    hosts = ("webui", "webui_tags", "webui_prompts")
    webui, webui_tags, webui_prompts = (import_module(f"lib_faceid.hosts.{name}") for name in hosts)
    library = People(tmp_path / "faceid" / "faces")
    for seed, name in enumerate(("Anna", "Bert"), 1):
        vector = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)) * 20
        library.save(name, Identity(vector, recogniser="w600k_r50"))
    monkeypatch.setattr(webui_prompts, "open_library", lambda _roots: library)
    models = Models(lambda: [adapter_file], nothing_here, nothing_here, lambda name: library.load(name).identity)
    monkeypatch.setattr(webui, "models", lambda: models)
    yield Host(webui, webui_tags, shared, ldm)
    webui.on_scripts_unloaded()
    forget_hosts()


def nothing_here() -> Any:
    raise MissingModelError("not here")


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
    assert [(unit.person, unit.hires) for unit in job.called] == expected
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
    host.shared.opts.faceid_on_failure = "Draw without the person"
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


def face_of(host: Host, outer: P, prompt: str) -> list[tuple[str, str, float]]:
    """Who is drawn on a face of the outer job's picture, which ADetailer draws again with that prompt."""
    p = P([prompt])
    p._ad_inner = True  # pyright: ignore[reportAttributeAccessIssue]
    host.batch(p)
    assert job_of(p) is None
    host.webui._inner_job(p)
    return host.people(p)


def test_called_people_come_along_to_the_faces_that_adetailer_draws_again(host: Host) -> None:
    p = P(["x <faceid:Anna:0.6:adetailer_weight=0.5>"])
    host.draw(p, {"person": "Bert"})
    page = ("FaceID 0", "Bert", 0.8)
    for prompt in ("a face", p.all_prompts[0]):
        assert face_of(host, p, prompt) == [page, ("FaceID tag 0", "Anna", 0.3)]
    assert host.parts == 2  # for each face, as no script of ours is called for it; and never for the job itself
    assert face_of(host, p, "a face <faceid:Bert:1>") == [page, ("FaceID tag 0", "Bert", 1.0)]
    assert face_of(host, p, "a face <faceid:Nobody>") == []
    assert any("WITHOUT the person: The prompt calls 'Nobody'" in comment for comment in p.comments)


def test_the_face_of_each_image_is_its_own_persons(host: Host) -> None:
    p = P(["x <faceid:Anna>", "x <faceid:Bert>"], batch_size=2)
    host.draw(p)
    for p.batch_index, name in enumerate(("Anna", "Bert")):
        for prompt in ("a face", p.all_prompts[p.batch_index]):
            assert face_of(host, p, prompt) == [("FaceID tag 0", name, 0.8)]


def test_a_face_may_call_somebody_into_a_job_without_people(host: Host) -> None:
    p = P(["a face <faceid:Anna>"])
    p._ad_inner = True  # pyright: ignore[reportAttributeAccessIssue]
    host.batch(p)
    assert host.people(p) == [("FaceID tag 0", "Anna", 0.8)]


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


@pytest.fixture(scope="module")
def adapter_file(miniature_adapter: Callable[..., Path]) -> Path:
    return miniature_adapter("faceid", "sd15")
