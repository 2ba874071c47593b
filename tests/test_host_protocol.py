"""A host that the package does not know draws by `hosts/host.py` alone, and no other place asks which host it is."""

from __future__ import annotations

import ast
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn
from toy_host.host import ToyHost, ToySampling
from unets import adapter_for, call, identity_of, inputs, snapshot

from lib_faceid.app.own_host import OwnHost
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import merge_lora, named_lora
from lib_faceid.errors import FaceIDError, HostError, MissingModelError
from lib_faceid.hosts.attached import AttachedJob
from lib_faceid.hosts.diffusers.sampling import DiffusersSampling
from lib_faceid.hosts.host import Host, Sampling
from lib_faceid.hosts.usual import api_services_of
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.methods.adapter import Adapter
from lib_faceid.models.folders import Roots
from lib_faceid.people.library import open_library
from lib_faceid.pictures.requested import BASE64_ONLY
from lib_faceid.ui.host import services_for
from lib_faceid.units.unit import Unit

ROOT = Path(__file__).parent.parent
WEBUIS = ("webui", "a1111", "forge")  # the first is what the others share
LATE = Unit(enabled=True, person="1", start=0.5, lora=0.6)


def nothing_here(*_: object) -> Any:
    raise MissingModelError("not here")


@pytest.fixture
def models(tmp_path: Path) -> Models:
    adapter_for(tmp_path)
    return Models(lambda: list(tmp_path.iterdir()), nothing_here, nothing_here, lambda name: identity_of(int(name)))


@pytest.fixture
def toy(ldm: nn.Module, models: Models) -> Iterator[ToyHost]:
    """A host; whatever a test does, its UNet is as it was."""
    before, weights = snapshot(ldm), {name: one.clone() for name, one in ldm.state_dict().items()}
    yield ToyHost(ldm, models)
    assert snapshot(ldm) == before
    assert all(torch.equal(one, weights[name]) for name, one in ldm.state_dict().items())


def all_are_hosts(own: OwnHost, toy: ToyHost) -> list[Host]:
    """Checked by pyright, which reads every line of the tests; the WebUI's are given to the same two in its folder."""
    return [own, toy]


def all_can_sample(diffusers: DiffusersSampling, toy: ToySampling) -> list[Sampling]:
    """Likewise."""
    return [diffusers, toy]


def test_it_is_small() -> None:
    lines = (Path(__file__).parent / "toy_host" / "host.py").read_text("utf-8").splitlines()
    assert len(lines) <= 90


def test_it_draws(toy: ToyHost, adapter: Adapter) -> None:
    """With the LoRA in every step, and the person from half of them on: the very numbers of hooks set by hand."""
    plain, job = call(toy.unet, inputs()), Job([LATE], toy.models())
    sampling = ToySampling(toy.unet)
    steps = toy.draw(sampling, job, inputs())
    with merge_lora(toy.unet, adapter, 0.6):
        without = call(toy.unet, inputs())
        injection = job.attach(toy.unet)
        injection.set_rows([0, 1])
        injection.set_progress(0.5, 0.25)
        person = call(toy.unet, inputs())
        job.detach()
    assert len({tuple(one.flatten().tolist()) for one in (plain, without, person)}) == 3
    assert all(torch.equal(*pair) for pair in zip(steps, [without, without, person, person], strict=True))
    assert torch.equal(call(toy.unet, inputs()), plain)
    assert [line.split(":")[0] for line in sampling.said] == ["FaceID 0"]


def test_rows_and_progress_reach_the_injection(toy: ToyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Any]] = []
    for name in ("set_rows", "set_progress"):
        monkeypatch.setattr(Injection, name, watched(getattr(Injection, name), name, seen))
    toy.draw(ToySampling(toy.unet), Job([LATE], toy.models()), inputs())
    assert [one for name, one in seen if name == "set_progress"] == [(at / 4, 0.25) for at in range(4)]
    assert [one for name, one in seen if name == "set_rows"] == [
        (None,),
        (None,),
        (None,),
        ([0, 1],),
        (None,),
        ([0, 1],),
    ]


def watched(real: Any, name: str, seen: list[tuple[str, Any]]) -> Any:
    def method(self: Any, *args: Any) -> None:
        seen.append((name, args))
        real(self, *args)

    return method


def test_the_lora_goes_in_once_and_out_again(toy: ToyHost, adapter: Adapter) -> None:
    name = next(iter(named_lora(adapter, toy.unet)))
    weight = cast("nn.Linear", toy.unet.get_submodule(name)).weight
    before, sampling = weight.clone(), ToySampling(toy.unet)
    with AttachedJob(Job([LATE], toy.models()), sampling) as attached:
        attached.begin_step()
        merged = weight.clone()
        assert not torch.equal(merged, before)
        attached.begin_step()
        assert torch.equal(weight, merged), "not twice"
        attached.withdraw_loras()
        assert torch.equal(weight, before)
        attached.begin_step()
        assert torch.equal(weight, merged), "a step puts it back"
        sampling.current_pass = Pass(hires=True)
        attached.begin_step()
        assert torch.equal(weight, merged)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("error", [HostError("no"), KeyboardInterrupt(), RuntimeError("out of memory")])
def test_it_is_detached_after_an_error(toy: ToyHost, error: BaseException) -> None:
    """Also where the error comes out of what undoes a step. The fixture compares the UNet."""

    def drawn() -> None:
        with AttachedJob(Job([LATE], toy.models()), Failing(toy.unet, error, step=2)) as attached:
            attached.begin_step()
            attached.end_step()

    with pytest.raises(type(error)):
        drawn()


class Failing(ToySampling):
    def __init__(self, unet: nn.Module, error: BaseException, step: int) -> None:
        super().__init__(unet, step=step)
        self.error = error

    @contextmanager
    def rows(self, injection: Injection) -> Generator[None]:
        injection.set_rows([0, 1])
        yield
        raise self.error


def test_a_pause_and_another_unet(toy: ToyHost) -> None:
    plain, sampling = call(toy.unet, inputs()), ToySampling(toy.unet, step=2)
    job = Job([Unit(enabled=True, person="1", lora=0.0)], toy.models())
    with AttachedJob(job, sampling) as attached:
        attached.begin_step()
        drawn = call(toy.unet, inputs())
        attached.pause()
        assert torch.equal(call(toy.unet, inputs()), plain), "calls of somebody else"
        attached.begin_step()
        assert torch.equal(call(toy.unet, inputs()), drawn)
        attached.detach()
        assert torch.equal(call(toy.unet, inputs()), plain)
        attached.begin_step()
        assert torch.equal(call(toy.unet, inputs()), drawn), "the next step attaches anew"


@pytest.mark.parametrize(
    ("is_interrupted", "expected"), [(False, "no step reached it. Widen start and end"), (True, "it was interrupted")]
)
def test_what_was_not_applied_is_said(toy: ToyHost, is_interrupted: bool, expected: str) -> None:
    sampling = ToySampling(toy.unet, is_interrupted=is_interrupted)
    with AttachedJob(Job([LATE], toy.models()), sampling) as attached:
        attached.begin_step()  # the first one, in which nobody acts
        call(toy.unet, inputs())
        attached.report(lambda _: "in no step")
    (line,) = sampling.said
    assert line.startswith(f"FaceID 0 was NOT applied: {expected}")


def test_the_page_takes_it(toy: ToyHost) -> None:
    assert services_for(toy).setup().family == 768


def test_its_models_are_those_of_its_folders(ldm: nn.Module, tmp_path: Path) -> None:
    """By its folders and settings alone, for jobs and for the HTTP API."""
    folder = tmp_path / "models" / "faceid"
    folder.mkdir(parents=True)
    adapter_for(folder)
    toy = ToyHost(ldm, folders=Roots(models=(tmp_path / "models",)))
    models, services = toy.models(), api_services_of(toy)
    assert [path.parent for path in models.adapter_files()] == [folder]
    assert (models.host, models.policy(), services.setup().family) == ("the toy", BASE64_ONLY, 768)
    assert services.templates_folder() == folder / "templates"
    open_library(toy.roots()).save("1", identity_of(1))
    with pytest.raises(FaceIDError, match="approved"):
        models.allow(LATE)
    with pytest.raises(MissingModelError, match="face models"):
        services.face_analyser()


def test_only_a_host_knows_its_folder() -> None:
    """The WebUIs' are imported by their entry alone, and nowhere is asked what kind of host something is."""
    wrong: list[str] = []
    for path in (ROOT / "lib_faceid").rglob("*.py"):
        in_webui = path.parent.name in WEBUIS
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if named.startswith(tuple(f"lib_faceid.hosts.{one}" for one in WEBUIS)) and not in_webui:
                wrong.append(f"{path.name}: {named}")
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                kinds = ast.unparse(node.args[1])
                wrong += [f"{path.name}: {kinds}" for kind in ("Host", "WebUI", "Sampling") if kind == kinds]
    assert not wrong
