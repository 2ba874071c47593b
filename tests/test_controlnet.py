"""Our ControlNet against diffusers' own: the same file, the same residuals."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from builders import SD15, SDXL
from parity import Measure, relative
from torch import Tensor, nn
from unets import randomise

from lib_faceid.effects.controlnet import ControlNet, Residuals, controlnet_of
from lib_faceid.errors import FileError

diffusers = pytest.importorskip("diffusers", reason="diffusers is the oracle")

TOLERANCE = 1e-4  # relative, float32
TOLD_APART = 1e-3
LATENT = (12, 8)


@lru_cache
def theirs(family: str) -> nn.Module:
    """diffusers' network, with random numbers also where training begins with zeros."""
    sdxl: dict[str, Any] = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "block_out_channels": (32, 64, 128),
        "transformer_layers_per_block": (1, 2, 3),
        "attention_head_dim": (2, 4, 8),
        "cross_attention_dim": SDXL,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 16,
        "projection_class_embeddings_input_dim": 64 + 6 * 16,
    }
    sd15: dict[str, Any] = {
        "block_out_channels": (32, 64, 64, 64),
        "attention_head_dim": 8,
        "cross_attention_dim": SD15,
    }
    net = diffusers.ControlNetModel(**(sdxl if family == "sdxl" else sd15))
    randomise(net, seed=3)
    return net.eval().requires_grad_(False)


HEADS = {"sdxl": {32: 2, 64: 4, 128: 8}, "sd15": {32: 8, 64: 8}}


@lru_cache
def ours(family: str) -> ControlNet:
    return controlnet_of(theirs(family).state_dict(), "a net", HEADS[family])


def inputs(family: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)

    def some(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    context = some(3, 16, SDXL if family == "sdxl" else SD15)
    picture = torch.rand(1, 3, LATENT[0] * 8, LATENT[1] * 8, generator=generator)
    return {
        "x": some(3, 4, *LATENT),
        "time": torch.tensor([500, 500, 17]),
        "context": context,
        "picture": picture,
        "pooled": some(3, 64),
        "sizes": torch.rand(3, 6, generator=generator) * 1000,
    }


@torch.no_grad()
def expected(family: str, given: dict[str, Tensor]) -> Residuals:
    more = {"added_cond_kwargs": {"text_embeds": given["pooled"], "time_ids": given["sizes"]}}
    found = theirs(family)(
        given["x"],
        given["time"],
        encoder_hidden_states=given["context"],
        controlnet_cond=given["picture"].expand(3, -1, -1, -1),
        **(more if family == "sdxl" else {}),
    )
    return Residuals(tuple(found.down_block_res_samples), found.mid_block_res_sample)


@torch.no_grad()
def got(family: str, given: dict[str, Tensor], net: ControlNet | None = None) -> Residuals:
    net = net or ours(family)
    vector = None
    if family == "sdxl":
        from lib_faceid.effects.controlnet_blocks import sinusoids

        vector = torch.cat([given["pooled"], sinusoids(given["sizes"].flatten(), 16).view(3, -1)], 1)
    return net(given["x"], given["time"], given["context"], net.hint(given["picture"]), vector)


def apart(one: Residuals, other: Residuals) -> float:
    """The largest of the relative differences of all residuals."""
    assert len(one.down) == len(other.down)
    assert one.middle is not None
    assert other.middle is not None
    return max(map(relative, (*one.down, one.middle), (*other.down, other.middle)))


@pytest.mark.parametrize(("family", "maps"), [("sdxl", 9), ("sd15", 12)])
def test_the_same_residuals_as_diffusers(family: str, maps: int, measure: Measure) -> None:
    given = inputs(family)
    right = expected(family, given)
    assert len(right.down) == maps
    measure(difference=apart(got(family, given), right), size=right.down[-1].abs().mean().item())
    assert apart(got(family, given), right) < TOLERANCE
    assert min(one.abs().mean() for one in right.down) > 1e-2, "zeros would prove nothing"


@pytest.mark.parametrize("changed", ["x", "time", "context", "picture", "pooled", "sizes"])
def test_each_input_counts(changed: str, measure: Measure) -> None:
    given = inputs("sdxl")
    other = given | {changed: given[changed].flip(0) if changed != "picture" else 1 - given[changed]}
    difference = apart(got("sdxl", other), expected("sdxl", given))
    measure(difference=difference)
    assert difference > TOLD_APART


def test_another_number_of_heads_is_told_apart() -> None:
    wrong = controlnet_of(theirs("sdxl").state_dict(), "a net", {32: 1, 64: 1, 128: 2})
    given = inputs("sdxl")
    assert apart(got("sdxl", given, wrong), expected("sdxl", given)) > 1e-3


@pytest.mark.parametrize("damage", ["missing", "more", "shape"])
def test_a_damaged_file_is_refused_in_a_sentence(damage: str) -> None:
    state = dict(theirs("sd15").state_dict())
    if damage == "missing":
        del state["mid_block.resnets.0.conv1.weight"]
    elif damage == "more":
        state["task_embedding"] = torch.ones(2)
    else:
        state["controlnet_down_blocks.3.weight"] = torch.ones(3)
    with pytest.raises(FileError, match=r"^a net is no whole ControlNet in diffusers' layout \(.+\)\. Get it again\.$"):
        controlnet_of(state, "a net", {})


def test_half_precision_gives_about_the_same(measure: Measure) -> None:
    given = inputs("sd15")
    half = controlnet_of({key: t.bfloat16() for key, t in theirs("sd15").state_dict().items()}, "a net", HEADS["sd15"])
    found = got("sd15", {key: t if key == "time" else t.bfloat16() for key, t in given.items()}, half)
    assert {one.dtype for one in found.down} == {torch.bfloat16}
    difference = relative(found.down[0], expected("sd15", given).down[0])
    measure(difference=difference)
    assert difference < 0.05
