"""The adapter's own LoRA: merged as the formula says, undone to the bit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from builders import SDXL, parts_of, sd15_widths, write
from contributions import contribution
from torch import Tensor, nn
from unets import SMALL, adapter_for, call, diffusers_copy, identity_of, inputs, ldm_unet

from lib_faceid.effects import lora
from lib_faceid.effects.injection import inject
from lib_faceid.effects.lora import merge_lora, named_lora
from lib_faceid.errors import MismatchError
from lib_faceid.methods.adapter import Adapter, LoraPair
from lib_faceid.methods.loading import load_adapter
from lib_faceid.unet.layers import attention_layers

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lora")


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Adapter:
    return adapter_for(folder)


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the very tensors from before are back: no copy of them, and not one bit changed."""
    unets = [request.getfixturevalue(name) for name in ("unet", "ldm") if name in request.fixturenames]
    before = [(weights(module), copy.deepcopy(weights(module))) for module in unets]
    yield
    for module, (same, equal) in zip(unets, before, strict=True):
        after = weights(module)
        assert all(after[name].data_ptr() == same[name].data_ptr() for name in same)
        assert all(torch.equal(after[name], equal[name]) for name in equal)


def weight_of(unet: nn.Module, name: str) -> Tensor:
    return cast("nn.Linear", unet.get_submodule(name)).weight


def weights(unet: nn.Module) -> State:
    return dict(unet.state_dict())


def test_what_is_merged_is_the_formula(unet: nn.Module, adapter: Adapter, folder: Path) -> None:
    """W + strength * up @ down on q, k, v and out of every attention layer, written out; nothing else changes."""
    tensors = parts_of("faceid", 768, widths=sd15_widths(SMALL)).ip_adapter
    before = {name: weight.clone() for name, weight in weights(unet).items()}
    expected = dict(before)
    for layer in attention_layers(unet):
        for kind in ("q", "k", "v", "out"):
            name = f"{layer.name}.to_{kind}" + (".0.weight" if kind == "out" else ".weight")
            up, down = (tensors[f"{layer.index}.to_{kind}_lora.{side}.weight"] for side in ("up", "down"))
            expected[name] = before[name].double() + 0.6 * (up.double() @ down.double())
    with merge_lora(unet, adapter, 0.6):
        merged = weights(unet)
        changed = {name for name in before if not torch.equal(merged[name], before[name])}
        assert len(changed) == 32 * 4
        for name, weight in merged.items():
            assert weight.dtype == before[name].dtype
            assert torch.allclose(weight.double(), expected[name].double(), atol=1e-6), name


def test_the_names_are_those_of_the_unets_linears(unet: nn.Module, adapter: Adapter) -> None:
    named = named_lora(adapter, unet)
    assert len(named) == 128
    for name, pair in named.items():
        linear = unet.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        assert linear.weight.shape == (pair.up.shape[0], pair.down.shape[1])


@pytest.mark.parametrize("strength", [0, 0.0])
def test_at_strength_0_nothing_happens(ldm: nn.Module, adapter: Adapter, strength: float) -> None:
    before = weights(ldm)
    with merge_lora(ldm, adapter, strength):
        assert all(weight.data_ptr() == before[name].data_ptr() for name, weight in weights(ldm).items())


def test_an_adapter_without_lora(ldm: nn.Module, folder: Path) -> None:
    portrait = adapter_for(folder, "portrait")
    before = weights(ldm)
    with merge_lora(ldm, portrait, 1.0):
        assert all(weight.data_ptr() == before[name].data_ptr() for name, weight in weights(ldm).items())


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.5, -0.5])
def test_it_changes_the_picture_and_is_undone(unet: nn.Module, adapter: Adapter, strength: float) -> None:
    bare = call(unet, inputs())
    with merge_lora(unet, adapter, strength):
        assert (call(unet, inputs()) - bare).abs().max() > 0.01
    assert torch.equal(call(unet, inputs()), bare)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception(ldm: nn.Module, adapter: Adapter, error: type[BaseException]) -> None:
    with pytest.raises(error), merge_lora(ldm, adapter, 1.0):
        raise error


def test_when_merging_fails_halfway(ldm: nn.Module, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    merged, left = lora._merged, iter([True] * 40)

    def limited(weight: Tensor, pair: LoraPair, strength: float) -> Tensor:
        if not next(left, False):
            raise MemoryError
        return merged(weight, pair, strength)

    monkeypatch.setattr(lora, "_merged", limited)
    with pytest.raises(MemoryError), merge_lora(ldm, adapter, 1.0):
        pytest.fail("it was merged")


def test_several_adapters_add_up(ldm: nn.Module, adapter: Adapter, folder: Path) -> None:
    other = adapter_for(folder, seed=3)
    name = next(iter(named_lora(adapter, ldm)))
    weight = weight_of(ldm, name)
    plain = weight.data.clone()
    added = [0.6 * one.up @ one.down for one in (named_lora(adapter, ldm)[name], named_lora(other, ldm)[name])]
    with merge_lora(ldm, adapter, 0.6):
        inside = weight.data.clone()
        with merge_lora(ldm, other, 0.6):
            assert torch.allclose(weight.data, plain + added[0] + added[1], atol=1e-6)
        assert torch.equal(weight.data, inside)
    assert torch.equal(weight.data, plain)


def test_they_may_leave_in_any_order(ldm: nn.Module, adapter: Adapter, folder: Path) -> None:
    other = adapter_for(folder, seed=3)
    weight = weight_of(ldm, next(iter(named_lora(adapter, ldm))))
    plain = weight.data.clone()
    with merge_lora(ldm, other, 0.6):
        alone = weight.data.clone()
    first, second = merge_lora(ldm, adapter, 0.6), merge_lora(ldm, other, 0.6)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.equal(weight.data, alone)
    second.__exit__(None, None, None)
    assert torch.equal(weight.data, plain)


def test_the_same_adapter_twice_counts_twice(ldm: nn.Module, adapter: Adapter) -> None:
    with merge_lora(ldm, adapter, 0.4), merge_lora(ldm, adapter, 0.2):
        twice = call(ldm, inputs())
    with merge_lora(ldm, adapter, 0.6):
        assert (call(ldm, inputs()) - twice).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_are_rounded_once(ldm: nn.Module, adapter: Adapter, dtype: torch.dtype) -> None:
    halved = copy.deepcopy(ldm).to(dtype)
    name, pair = next(iter(named_lora(adapter, halved).items()))
    weight = weight_of(halved, name)
    expected = (weight.data.double() + 0.6 * (pair.up.double() @ pair.down.double())).to(dtype)
    with merge_lora(halved, adapter, 0.6):
        assert weight.dtype == dtype
        assert torch.eq(weight.data, expected).float().mean() > 0.99


def test_a_linear_below_a_lora_layer_of_peft(adapter: Adapter) -> None:
    """The user's own LoRA is loaded in diffusers: ours goes into the weight below it, and both act."""
    peft = pytest.importorskip("peft")
    unet = diffusers_copy(ldm_unet(channels=SMALL))
    one = contribution(adapter, [identity_of(1)])

    def drawn() -> Tensor:
        with inject(unet, [one]) as injection:
            injection.set_rows((0, 1))
            return call(unet, inputs())

    with merge_lora(unet, adapter, 0.6):
        expected = drawn()
    peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["to_q", "to_v", "to_out.0"]), unet)
    with merge_lora(unet, adapter, 0.6):
        assert torch.allclose(drawn(), expected, atol=1e-5)  # a fresh LoRA of PEFT adds nothing yet
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    with merge_lora(unet, adapter, 0.6):
        assert (drawn() - expected).abs().max() > 0.01


def test_a_unet_that_moved_meanwhile_gets_its_weights_where_it_is(adapter: Adapter, ldm: nn.Module) -> None:
    """Hosts move the UNet between devices as they need the memory."""
    moved = copy.deepcopy(ldm)
    name = next(iter(named_lora(adapter, moved)))
    with merge_lora(moved, adapter, 1.0):
        moved.to("meta")
    assert weight_of(moved, name).device.type == "meta"


def test_what_the_weights_were_waits_on_the_cpu(ldm: nn.Module, adapter: Adapter) -> None:
    weight = weight_of(ldm, next(iter(named_lora(adapter, ldm)))).data
    aside = lora._aside(weight)
    assert aside.device.type == "cpu"
    assert torch.equal(aside, weight)
    assert aside.data_ptr() != weight.data_ptr()


def test_weights_stay_where_they_are_in_memory(unet: nn.Module, adapter: Adapter) -> None:
    """So that no second set of them lies on the device, and whoever holds their addresses sees the merged ones."""
    before = {name: weight.data_ptr() for name, weight in weights(unet).items()}
    with merge_lora(unet, adapter, 1.0):
        assert {name: weight.data_ptr() for name, weight in weights(unet).items()} == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here: its memory was not measured")
def test_merging_takes_no_memory_of_the_gpu(ldm: nn.Module, adapter: Adapter) -> None:
    moved = copy.deepcopy(ldm).half()
    before = copy.deepcopy(weights(moved))
    moved.cuda()
    allocated = torch.cuda.memory_allocated()
    with merge_lora(moved, adapter, 0.6):
        assert torch.cuda.memory_allocated() == allocated
    assert all(torch.equal(weight.cpu(), before[name]) for name, weight in weights(moved).items())


# ----------------------------------------------------------------------------------- what does not fit is said in words
def test_a_lora_for_another_family(ldm: nn.Module, tmp_path: Path) -> None:
    wide = load_adapter(
        write(parts_of("faceid", SDXL, widths=sd15_widths(SMALL)), tmp_path / "ip-adapter-faceid_sdxl.safetensors")
    )
    told = r"LoRA in ip-adapter-faceid_sdxl does not fit this UNet \(layer 1, to_k: .*768.*It is for SDXL"
    with pytest.raises(MismatchError, match=told), merge_lora(ldm, wide, 1.0):
        pytest.fail("it was merged")


def test_a_lora_for_layers_that_are_not_there(ldm: nn.Module, adapter: Adapter) -> None:
    more = replace(adapter, lora={**adapter.lora, 99: adapter.lora[0]})
    with pytest.raises(MismatchError, match=r"layer 99, to_q: no such layer"), merge_lora(ldm, more, 1.0):
        pytest.fail("it was merged")


def test_factors_that_do_not_fit_each_other(ldm: nn.Module, adapter: Adapter) -> None:
    pair = adapter.lora[0]["q"]
    torn = {**adapter.lora, 0: {**adapter.lora[0], "q": LoraPair(pair.down[:1], pair.up)}}
    with pytest.raises(MismatchError, match=r"layer 0, to_q"), merge_lora(ldm, replace(adapter, lora=torn), 1.0):
        pytest.fail("it was merged")
