"""What a person adds to a UNet call, counted: the same on every machine. Times are what `python dev.py bench` tells."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers", reason="its UNets are measured")

from bench.counting import count, hooks_on
from bench.interleaved import Contender, compare
from bench.networks import SMALL, Size, Subject
from bench.results import as_json, as_markdown, figure_of
from bench.unet_call import people, work_of

from lib_faceid.effects.attention import LayerKV, ip_attention
from lib_faceid.effects.injection import inject
from lib_faceid.unet.rows import tag_rows

LAYERS = {"SD 1.5": 16, "SDXL": 70}  # cross-attentions
ROWS = 2


@pytest.fixture(scope="module", params=SMALL, ids=lambda size: size.family)
def size(request: pytest.FixtureRequest) -> Size:
    return request.param


@pytest.fixture(scope="module")
def on_cpu(size: Size, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject(size, tmp_path_factory.mktemp("cpu"), "cpu", torch.float32)


@pytest.fixture(scope="module")
def without_memory(size: Size, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """What runs on every device but the CPU. Who asks for a number, and would wait for a GPU, gets an error here."""
    return Subject(size, tmp_path_factory.mktemp("meta"), "meta", torch.float16)


@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("in_regions", [False, True])
def test_on_a_gpu_each_unit_is_one_attention_and_one_addition_in_a_layer(
    without_memory: Subject, units: int, in_regions: bool
) -> None:
    found = work_of(without_memory, people(without_memory, units, in_regions=in_regions))
    assert found.kernels == units * 2 * LAYERS[without_memory.size.family]
    assert found.waits == 0


@pytest.mark.parametrize("tokens", [4, 16, 257])
def test_more_tokens_are_not_more_operations(without_memory: Subject, on_cpu: Subject, tokens: int) -> None:
    """Those of IP-Adapter, of Plus and Portrait, and of Full Face, for which the CPU takes torch's own attention."""
    layers = LAYERS[without_memory.size.family]
    assert work_of(without_memory, [without_memory.image(1, tokens)]).kernels == 2 * layers
    if tokens <= 16:
        on_the_cpu = work_of(on_cpu, [on_cpu.image(1, tokens)])
        assert on_the_cpu.kernels == LAYERS[on_cpu.size.family] * ROWS * 3


@pytest.mark.parametrize(
    ("units", "in_regions", "in_a_layer", "in_a_row"),
    [
        (1, False, 0, 3),  # scores, softmax, sum
        (4, False, 2, 3),  # the keys of all, the values of all
        (4, True, 3, 4),  # the masks of all; masks applied
    ],
)
def test_on_the_cpu_all_units_are_one_pass(
    on_cpu: Subject, units: int, in_regions: bool, in_a_layer: int, in_a_row: int
) -> None:
    found = work_of(on_cpu, people(on_cpu, units, in_regions=in_regions))
    layers = LAYERS[on_cpu.size.family]
    assert found.kernels == layers * (in_a_layer + ROWS * in_a_row)
    assert found.products == layers * ROWS * 2
    assert found.waits == 0


def test_nothing_as_large_as_the_queries_is_made_on_the_cpu() -> None:
    """In a layer of the published width, where memory is what costs time."""
    hidden, query = torch.zeros(ROWS, 4096, 320), torch.zeros(ROWS, 4096, 320)
    adapters = LayerKV(torch.zeros(ROWS, 8, 4, 40), torch.zeros(ROWS, 8, 4, 40), weight=1.0)
    found = count(lambda: ip_attention(hidden, query, [adapters]))
    assert found.allocated_bytes < hidden.nbytes / 2


def test_outside_its_steps_a_unit_computes_nothing(without_memory: Subject) -> None:
    one = without_memory
    with inject(one.unet, [one.contribution(1, start=0.5)]) as injection:
        injection.set_rows(one.slots)
        during = count(one.call)
        assert injection.calls == 0
    assert during == count(one.call)


def test_tags_wait_for_no_gpu_either(without_memory: Subject) -> None:
    """Slots that only the GPU knows are read there: two operations, and two for each unit that takes from its bank."""
    one, units = without_memory, 2
    context = tag_rows(torch.randn(ROWS, 77, one.size.context), (-1, 1)).to("meta", torch.float16)

    @torch.inference_mode()
    def call() -> object:
        return one.unet(one._latents, one._step, context, added_cond_kwargs=one._more)

    with inject(one.unet, people(one, units)) as injection:
        injection.expect_tags([context.shape[1]])
        call()
        tagged = count(call)
        assert injection.calls == 2
    assert (tagged - count(one.call)).kernels == 2 + units * (2 * LAYERS[one.size.family] + 2)


def test_no_hook_is_left(on_cpu: Subject) -> None:
    before = hooks_on(on_cpu.unet)
    with inject(on_cpu.unet, people(on_cpu, 2)):
        assert hooks_on(on_cpu.unet) == before + 2 * LAYERS[on_cpu.size.family] + 2
    assert hooks_on(on_cpu.unet) == before


def test_what_is_counted() -> None:
    numbers = torch.randn(4, 4)
    found = count(lambda: (numbers @ numbers).transpose(0, 1).add_(1).softmax(0)[0].sum().item())
    assert (found.kernels, found.products, found.waits) == (5, 1, 1)  # mm, add_, softmax, sum, item
    assert (found.allocations, found.allocated_bytes) == (3, 64 + 64 + 4)


def test_contenders_take_turns_and_are_compared_with_the_calls_around_them() -> None:
    order: list[str] = []

    def contender(name: str) -> Contender:
        @contextmanager
        def ready() -> Generator[object]:
            yield lambda: order.append(name)

        return Contender(name, ready)  # type: ignore[arg-type]

    timed = compare(contender("bare"), [contender(name) for name in "abc"], 2, lambda _: None)
    assert "".join(name[0] for name in order) == "b" + "babbcb" + "bbcbab"
    assert len(timed["bare"].seconds) == 6
    assert all(len(timed[name].ratios) == 2 for name in "abc")


def test_a_figure_says_whether_its_target_was_met(tmp_path: Path) -> None:
    met, missed = (figure_of("Calls", name, [1.0, 1.01, 1.5], "x", target=at) for name, at in (("a", 1.02), ("b", 1)))
    assert met.is_met
    assert not missed.is_met
    about = {"cpu": "slow"}
    assert "| b | 1.01 x | 1 to 1.5 | 3 | 1, **missed** |" in as_markdown([met, missed], about)
    assert json.loads(as_json([met], about))["figures"][0]["name"] == "a"
