"""Attention layers are found in the order in which adapter files number them (diffusers: down, up, middle)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from builders import sd15_widths, sdxl_widths
from torch import nn
from unets import diffusers_copy, ldm_unet, sdxl_unet

from lib_faceid.errors import HostError
from lib_faceid.unet.layers import attention_layers, is_transformer, matrix_shape, measured

# The published table for SD 1.5: number in the file -> name in ldm, name in diffusers.
SD15_TABLE = {
    1: ("input_blocks.1.1", "down_blocks.0.attentions.0"),
    3: ("input_blocks.2.1", "down_blocks.0.attentions.1"),
    5: ("input_blocks.4.1", "down_blocks.1.attentions.0"),
    7: ("input_blocks.5.1", "down_blocks.1.attentions.1"),
    9: ("input_blocks.7.1", "down_blocks.2.attentions.0"),
    11: ("input_blocks.8.1", "down_blocks.2.attentions.1"),
    13: ("output_blocks.3.1", "up_blocks.1.attentions.0"),
    15: ("output_blocks.4.1", "up_blocks.1.attentions.1"),
    17: ("output_blocks.5.1", "up_blocks.1.attentions.2"),
    19: ("output_blocks.6.1", "up_blocks.2.attentions.0"),
    21: ("output_blocks.7.1", "up_blocks.2.attentions.1"),
    23: ("output_blocks.8.1", "up_blocks.2.attentions.2"),
    25: ("output_blocks.9.1", "up_blocks.3.attentions.0"),
    27: ("output_blocks.10.1", "up_blocks.3.attentions.1"),
    29: ("output_blocks.11.1", "up_blocks.3.attentions.2"),
    31: ("middle_block.1", "mid_block.attentions.0"),
}
# SDXL: transformer block -> name; between the rows the blocks of one stage follow one another.
SDXL_TABLE = {
    0: "down_blocks.1.attentions.0.transformer_blocks.0",
    3: "down_blocks.1.attentions.1.transformer_blocks.1",
    4: "down_blocks.2.attentions.0.transformer_blocks.0",
    23: "down_blocks.2.attentions.1.transformer_blocks.9",
    24: "up_blocks.0.attentions.0.transformer_blocks.0",
    53: "up_blocks.0.attentions.2.transformer_blocks.9",
    54: "up_blocks.1.attentions.0.transformer_blocks.0",
    59: "up_blocks.1.attentions.2.transformer_blocks.1",
    60: "mid_block.attentions.0.transformer_blocks.0",
    69: "mid_block.attentions.0.transformer_blocks.9",
}


def test_the_16_blocks_of_sd15_in_ldm_and_in_diffusers() -> None:
    unet = ldm_unet(channels=32)
    ldm, other = attention_layers(unet), attention_layers(diffusers_copy(unet))
    for layers, column in ((ldm, 0), (other, 1)):
        expected = {n: f"{names[column]}.transformer_blocks.0.attn2" for n, names in SD15_TABLE.items()}
        assert {layer.index: layer.name for layer in layers if layer.is_cross} == expected
        assert [layer.index for layer in layers] == list(range(32))
        assert [layer.hidden_dim for layer in layers if layer.is_cross] == sd15_widths(32)
        assert all(layers[n - 1].name == expected[n].replace("attn2", "attn1") for n in expected)
    assert [layer.heads for layer in ldm] == [layer.heads for layer in other] == [8] * 32


def test_the_70_blocks_of_sdxl() -> None:
    layers = attention_layers(sdxl_unet())
    assert [layer.index for layer in layers] == list(range(140))
    assert {block: layers[2 * block + 1].name for block in SDXL_TABLE} == {
        block: f"{name}.attn2" for block, name in SDXL_TABLE.items()
    }
    assert [layer.hidden_dim for layer in layers if layer.is_cross] == sdxl_widths()
    assert {layer.context_dim for layer in layers if layer.is_cross} == {2048}


def test_the_linear_below_a_lora_layer_is_found() -> None:
    peft = pytest.importorskip("peft")
    unet = ldm_unet(channels=32)
    plain = attention_layers(unet)
    names = [f"{plain[1].name}.to_q", f"{plain[1].name}.to_out.0"]
    linears = {name: unet.get_submodule(name) for name in names}
    peft.inject_adapter_in_model(peft.LoraConfig(target_modules=names), unet)
    wrapped = attention_layers(unet)[1]
    assert wrapped.linear("q") is linears[names[0]]
    assert wrapped.linear("out") is linears[names[1]]
    # The hooks belong on what the host calls, which is the LoRA layer.
    assert wrapped.projection("q") is unet.get_submodule(names[0]) is not linears[names[0]]
    assert len(attention_layers(unet)) == 32


@pytest.mark.parametrize("module", [nn.Linear(2, 2), nn.Sequential(), nn.Transformer(8, 1, 1, 1)])
def test_what_is_no_unet_is_refused_in_words(module: nn.Module) -> None:
    with pytest.raises(HostError, match=rf"No Stable Diffusion UNet .*{type(module).__name__}.* SD 1.5 and SDXL"):
        attention_layers(module)


@pytest.mark.parametrize("dim", [768, 1024])
def test_the_width_of_the_context(dim: int) -> None:
    assert measured(ldm_unet(dim, channels=32))[0] == dim


def test_a_transformer_is_known_by_its_parts_and_measured_by_its_text_matrix() -> None:
    network = nn.Module()
    for name in ("txt_in", "vector_in", "double_blocks", "single_blocks"):
        assert not is_transformer(network)
        network.add_module(name, nn.Identity())
    network.add_module("txt_in", nn.Linear(32, 8))
    assert measured(network) == (32, ())


def test_a_matrix_says_its_shape_however_it_is_kept() -> None:
    """As Forge's Linears for GGUF and 4 bits, which have neither in_features nor out_features."""

    def kept(**weight: Any) -> nn.Module:
        module = nn.Module()
        module.__dict__["weight"] = SimpleNamespace(**weight)
        return module

    assert matrix_shape(nn.Linear(3, 5)) == (5, 3)
    assert matrix_shape(kept(shape=torch.Size((5, 3)))) == (5, 3)
    packed = SimpleNamespace(shape=torch.Size((5, 3)))
    assert matrix_shape(kept(shape=torch.Size((8, 1)), quant_state=packed)) == (5, 3)
    assert matrix_shape(kept(shape=torch.Size((5, 3)), quant_state=None)) == (5, 3), "not packed yet"
