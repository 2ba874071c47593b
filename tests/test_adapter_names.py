"""An adapter is read whatever saved it and however it is wrapped: the tensors are those of the published layout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import SD15, SDXL, parts_of, tiny_parts_of, write
from safetensors.torch import save_file
from test_adapter import check_weights
from torch import Tensor

from lib_faceid.errors import FileError
from lib_faceid.methods.loading import identify_adapter, load_adapter
from lib_faceid.models.adapter_names import canonical, unwrapped
from lib_faceid.models.folders import Roots, find_adapters

State = dict[str, Tensor]
SD15_BLOCKS = (
    *(("down_blocks.0", 2), ("down_blocks.1", 2), ("down_blocks.2", 2)),
    *(("up_blocks.1", 3), ("up_blocks.2", 3), ("up_blocks.3", 3), ("mid_block", 1)),
)
SDXL_BLOCKS = (
    *(("down_blocks.1", 2, 2), ("down_blocks.2", 2, 10)),
    *(("up_blocks.0", 3, 10), ("up_blocks.1", 3, 2), ("mid_block", 1, 10)),
)


def unet_names() -> list[str]:
    """Return the names of SD 1.5's attentions in the order in which diffusers numbers them."""
    return [
        f"{block}.attentions.{i}.transformer_blocks.0.attn{attn}.processor"
        for block, count in SD15_BLOCKS
        for i in range(count)
        for attn in (1, 2)
    ]


def ldm_names() -> list[str]:
    places = [f"input_blocks.{i}.1" for i in (1, 2, 4, 5, 7, 8)]
    places += [*(f"output_blocks.{i}.1" for i in range(3, 12)), "middle_block.1"]
    return [f"diffusion_model.{place}.transformer_blocks.0.attn{attn}" for place in places for attn in (1, 2)]


def sdxl_names() -> list[str]:
    return [
        f"{block}.attentions.{i}.transformer_blocks.{k}.attn{attn}.processor"
        for block, count, depth in SDXL_BLOCKS
        for i in range(count)
        for k in range(depth)
        for attn in (1, 2)
    ]


def named(state: State, before: str, names: list[str]) -> State:
    """Return the layers under a UNet's names instead of their numbers."""
    made: State = {}
    for key, tensor in state.items():
        number, _, rest = key.partition(".")
        made[f"{before}{names[int(number)]}.{rest}"] = tensor.clone()
    return made


PARTS = parts_of("faceid", SD15, rank=2, widths=[8] * 16)
PROJECTION = {f"image_proj_model.{key}": t for key, t in PARTS.image_proj.items()}
TRAINER = PROJECTION | {f"adapter_modules.{key}": t for key, t in PARTS.ip_adapter.items()}
UNET = {
    "unet.conv_in.weight": torch.ones(2, 2),
    "unet.down_blocks.0.resnets.0.norm1.weight": torch.ones(2),
    "unet.down_blocks.0.attentions.0.norm.weight": torch.ones(2),
    "unet.down_blocks.0.attentions.0.proj_in.weight": torch.ones(2, 2),
}


def below(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in state.items()}


FILES: dict[str, Callable[[], Any]] = {
    "safetensors of accelerate, layers by their UNet names": lambda: (
        UNET | PROJECTION | named(PARTS.ip_adapter, "unet.", unet_names())
    ),
    "with both names": lambda: UNET | TRAINER | named(PARTS.ip_adapter, "unet.", unet_names()),
    "converted by _ip.": lambda: (
        below("image_proj.", PARTS.image_proj) | named(PARTS.ip_adapter, "ip_adapter.", unet_names())
    ),
    "ldm names": lambda: PROJECTION | named(PARTS.ip_adapter, "", ldm_names()),
    "names with underscores": lambda: (
        PROJECTION | named(PARTS.ip_adapter, "unet_", [one.replace(".", "_") for one in unet_names()])
    ),
    "DeepSpeed": lambda: {"module": TRAINER, "ds_version": "0.15", "param_shapes": [OrderedDict(a=torch.Size([2]))]},
    "DDP": lambda: below("module.", TRAINER),
    "torch.compile": lambda: below("_orig_mod.", TRAINER),
    "DDP of torch.compile": lambda: below("module._orig_mod.", TRAINER),
    "torch.compile of each part": lambda: {
        key.replace("image_proj_model.", "image_proj_model._orig_mod.").replace(
            "adapter_modules.", "adapter_modules._orig_mod."
        ): t
        for key, t in TRAINER.items()
    },
    "DDP of each part": lambda: {
        key.replace("image_proj_model.", "image_proj_model.module.").replace(
            "adapter_modules.", "adapter_modules.module."
        ): t
        for key, t in TRAINER.items()
    },
    "DDP inside the halves": lambda: {
        "image_proj": below("module.", PARTS.image_proj),
        "ip_adapter": below("module.", PARTS.ip_adapter),
    },
    "FSDP": lambda: {
        f"_fsdp_wrapped_module.{key.replace('.proj.', '._fsdp_wrapped_module.proj._checkpoint_wrapped_module.')}": t
        for key, t in TRAINER.items()
    },
    "Lightning": lambda: {
        "state_dict": below("ip_adapter_model.", TRAINER),
        "epoch": 3,
        "hyper_parameters": {"rate": 1e-4},
        "callbacks": {},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    },
    "state_dict of halves": lambda: {"state_dict": PARTS.nested()},
    "a wrapper nobody has thought of, three deep": lambda: {"run": {"net": {"student": TRAINER}}},
    "halves by other names": lambda: {"resampler": PARTS.image_proj, "attention": PARTS.ip_adapter},
    "weights and their average": lambda: {
        "ema": {key: t + 1 for key, t in TRAINER.items()},
        "model": TRAINER,
    },
    "the average alone": lambda: {"ema_model": TRAINER},
    "no names in front": lambda: PARTS.image_proj | PARTS.ip_adapter,
}


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_is_recognised_by_what_is_inside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(FILES[name](), path)
    adapter = load_adapter(path)
    assert adapter.variant.id == "faceid"
    check_weights(adapter, PARTS)


@pytest.mark.parametrize("variant", ["plusv2", "portrait", "portrait_unnorm"])
def test_layers_of_sdxl_by_name_and_other_projections(tmp_path: Path, variant: str) -> None:
    parts = parts_of(variant, SDXL, rank=2, widths=[8] * 70)
    state = below("module.image_proj_model.", parts.image_proj) | named(parts.ip_adapter, "module.unet.", sdxl_names())
    check_weights(load_adapter(write(state, tmp_path / "a.safetensors"), variant), parts)


def test_attn2_alone_is_numbered_as_with_attn1(tmp_path: Path) -> None:
    parts = parts_of("portrait", SD15, widths=[8] * 16)
    state = below("image_proj.", parts.image_proj) | named(parts.ip_adapter, "ip_adapter.", unet_names())
    assert all(".attn2." in key for key in state if key.startswith("ip_adapter"))
    check_weights(load_adapter(write(state, tmp_path / "a.safetensors")), parts)


# ------------------------------------------------------------------------------------------------ diffusers' saved UNet
@pytest.mark.parametrize(
    ("variant", "dim"), [("faceid", SD15), ("portrait", SDXL), ("plusv2", SD15), ("portrait_unnorm", SDXL)]
)
def test_the_projection_as_diffusers_renames_it(tmp_path: Path, variant: str, dim: int) -> None:
    """Against diffusers' own conversion, as `unet.save_pretrained` would write it."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    parts = parts_of(variant, dim, rank=2, widths=[8] * (16 if dim == SD15 else 70))
    names = unet_names() if dim == SD15 else sdxl_names()
    projection = UNet2DConditionModel._convert_ip_adapter_image_proj_to_diffusers(  # type: ignore[reportPrivateUsage]
        UNet2DConditionModel.__new__(UNet2DConditionModel), parts.image_proj, low_cpu_mem_usage=False
    )
    layers = {key: t for key, t in parts.ip_adapter.items() if "_ip." in key}
    state = below("encoder_hid_proj.image_projection_layers.0.", projection.state_dict())
    state |= {key.replace("_ip.weight", "_ip.0.weight"): t for key, t in named(layers, "", names).items()}
    state |= {key.removeprefix("unet."): t for key, t in UNET.items()}
    for key, tensor in parts.ip_adapter.items():  # peft's names
        if "_lora" in key:
            number, kind, end = key.removesuffix(".weight").replace("_lora", "").split(".")
            name = names[int(number)].removesuffix(".processor")
            factor = {"down": "lora_A", "up": "lora_B"}[end]
            state[f"{name}.{kind}{'.0' if kind == 'to_out' else ''}.{factor}.faceid_0.weight"] = tensor
    check_weights(load_adapter(write(state, tmp_path / "unet.safetensors"), variant), parts)


def test_several_adapters_in_one_unet_are_refused(tmp_path: Path) -> None:
    layers = named(PARTS.ip_adapter, "", unet_names())
    state = {key.replace("_ip.weight", f"_ip.{i}.weight"): t.clone() for i in (0, 1) for key, t in layers.items()}
    state |= below("encoder_hid_proj.image_projection_layers.0.", PARTS.image_proj)
    with pytest.raises(FileError, match=r"holds 2 adapters in one UNet, and one was expected"):
        load_adapter(write(state, tmp_path / "unet.safetensors"))


# ------------------------------------------------------------------------------------------------------ honest refusals
def test_what_is_refused_says_which_names_were_found(tmp_path: Path) -> None:
    torch.save({"shadow_params": list(TRAINER.values()), "decay": 0.99}, tmp_path / "ema.bin")
    told = rf"in {len(TRAINER)} tensors, the first called shadow_params\.0, shadow_params\.1, shadow_params\.2\."
    with pytest.raises(FileError, match=told) as caught:
        load_adapter(tmp_path / "ema.bin")
    assert "Delete" not in str(caught.value)


def test_other_families_are_named_through_their_wrappers(tmp_path: Path) -> None:
    for prefix in ("module.", "state_dict.", "_orig_mod.", "a.b.c."):
        state = {f"{prefix}control_model.input_blocks.0.0.weight": torch.ones(2)}
        with pytest.raises(FileError, match="is a ControlNet"):
            load_adapter(write(state, tmp_path / f"{prefix}safetensors"))
    assert [next(iter(names)) for names in unwrapped({"module.a.b": torch.ones(1)})] == ["module.a.b", "a.b", "b"]


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.bool])
@pytest.mark.parametrize("key", ["ip_adapter.1.to_k_ip.weight", "image_proj.proj.0.weight"])
def test_whole_numbers_are_no_weights(tmp_path: Path, dtype: torch.dtype, key: str) -> None:
    state = tiny_parts_of("faceid", SD15).flat()
    state[key] = (state[key] * 100).to(dtype)
    told = rf"{key} holds {str(dtype)[6:]} values, and floating-point numbers were expected"
    with pytest.raises(FileError, match=told):
        identify_adapter(write(state, tmp_path / "a.safetensors"))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_no_number_is_found_on_loading(tmp_path: Path, bad: float, dtype: torch.dtype) -> None:
    for key in ("ip_adapter.3.to_v_ip.weight", "image_proj.norm.bias", "ip_adapter.0.to_q_lora.up.weight"):
        state = {name: t.to(dtype) for name, t in tiny_parts_of("faceid", SD15).flat().items()}
        state[key].view(-1)[3] = bad
        path = write(state, tmp_path / f"{key}.safetensors")
        assert identify_adapter(path).variant.id == "faceid"
        with pytest.raises(FileError, match=rf"{key} holds values that are no numbers .* 1 of"):
            load_adapter(path)


def test_eight_bit_floats_are_looked_at_too(tmp_path: Path) -> None:
    state = {name: t.to(torch.float8_e4m3fn) for name, t in tiny_parts_of("faceid", SD15).flat().items()}
    assert load_adapter(write(state, tmp_path / "a.safetensors"))
    state["image_proj.norm.bias"] = torch.full((SD15,), torch.nan).to(torch.float8_e4m3fn)
    with pytest.raises(FileError, match=r"image_proj\.norm\.bias holds values that are no numbers"):
        load_adapter(write(state, tmp_path / "b.safetensors"))


# --------------------------------------------------------------------------------------------------------------- shards
@pytest.mark.parametrize("name", ["model-{:05d}-of-{:05d}.safetensors", "a.part{}of{}.bin", "Adapter {}_of_{}.bin"])
def test_parts_are_joined_where_they_lie_together(tmp_path: Path, name: str) -> None:
    names = list(TRAINER)
    paths = [tmp_path / name.format(i, 3) for i in (1, 2, 3)]
    for i, path in enumerate(paths):
        part = {key: TRAINER[key].clone() for key in names[i * len(names) // 3 : (i + 1) * len(names) // 3]}
        save_file(part, path) if path.suffix == ".safetensors" else torch.save(part, path)
    for path in paths:
        check_weights(load_adapter(path), PARTS)
    first = load_adapter(paths[0])
    paths[2].touch()
    assert load_adapter(paths[0]) is not first  # a file in parts is read again when any of them changes
    paths[1].unlink()
    for i in (0, 2):
        told = rf"is part {i + 1} of 3 of a model, and {paths[1].name} is not beside it"
        with pytest.raises(FileError, match=told):
            load_adapter(paths[i])


def test_joined_parts_are_one_adapter_in_lists(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "faceid"
    folder.mkdir(parents=True)
    for i in (1, 2):
        save_file({str(i): torch.ones(1)}, folder / f"model-0000{i}-of-00002.safetensors")
    assert [path.name for path in find_adapters(Roots((tmp_path / "models",)))] == ["model-00001-of-00002.safetensors"]
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert [path.name for path in find_adapters(Roots((tmp_path / "models",)))] == ["model-00002-of-00002.safetensors"]


def test_hostile_names_are_no_layers() -> None:
    tensor = torch.ones(2, 768)
    names = ["", ".", "5" * 5000 + ".to_k_ip.weight", "a." * 100_000, "\0.to_k_ip.weight", "1.to_k_ip.weight"]
    found = canonical(dict.fromkeys(names, tensor))
    assert list(found) == ["ip_adapter.1.to_k_ip.weight"]
