"""The projection networks against their formulas written out, in float64 and without a module."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from builders import SD15, SDXL, Source, ip_adapter_layers, mlp, plus, resampler, sd15_widths, sdxl_widths
from torch import Tensor, nn

from lib_faceid.methods import networks as image_proj

State = dict[str, Tensor]


# -------------------------------------------------------------------------------------------- the formulas, written out
def linear(state: State, name: str, x: Tensor) -> Tensor:
    out = x @ state[f"{name}.weight"].double().T
    return out + state[f"{name}.bias"].double() if f"{name}.bias" in state else out


def norm(state: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    unit = centred / (centred.pow(2).mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    return unit * state[f"{name}.weight"].double() + state[f"{name}.bias"].double()


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Heads of 64 channels, one after the other."""
    heads = []
    for at in range(0, q.shape[-1], 64):
        q1, k1, v1 = (x[..., at : at + 64] for x in (q, k, v))
        scores = q1 @ k1.transpose(-1, -2) / 8
        heads.append(scores.softmax(dim=-1) @ v1)
    return torch.cat(heads, dim=-1)


def expected_mlp(state: State, embeddings: Tensor) -> Tensor:
    width = len(state["norm.weight"])
    out = linear(state, "proj.2", gelu(linear(state, "proj.0", embeddings.double())))
    return norm(state, "norm", out.reshape(len(embeddings), -1, width))


def expected_resampled(state: State, latents: Tensor, context: Tensor) -> Tensor:
    context = linear(state, "proj_in", context.double())
    for i in range(4):
        one, other = norm(state, f"layers.{i}.0.norm1", context), norm(state, f"layers.{i}.0.norm2", latents)
        k, v = linear(state, f"layers.{i}.0.to_kv", torch.cat([one, other], dim=1)).chunk(2, dim=-1)
        found = attention(linear(state, f"layers.{i}.0.to_q", other), k, v)
        latents = latents + linear(state, f"layers.{i}.0.to_out", found)
        wide = linear(state, f"layers.{i}.1.1", norm(state, f"layers.{i}.1.0", latents))
        latents = latents + linear(state, f"layers.{i}.1.3", gelu(wide))
    return norm(state, "norm_out", linear(state, "proj_out", latents))


def expected_plus(state: State, embeddings: Tensor, clip_hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tokens of the identity, and what they become by reading the CLIP features."""
    prefix = "perceiver_resampler."
    below = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    tokens = expected_mlp(state, embeddings)
    return tokens, expected_resampled(below, tokens, clip_hidden)


def random(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cross_dim", [SD15, SDXL])
@pytest.mark.parametrize(("num_tokens", "faces"), [(4, 1), (16, 1), (16, 5)])
def test_faceid_and_portrait(cross_dim: int, num_tokens: int, faces: int) -> None:
    state, embeddings = mlp(Source(1), cross_dim, num_tokens), random(faces, 512)
    tokens = image_proj.mlp_projection(state)(embeddings)
    assert tokens.shape == (faces, num_tokens, cross_dim)
    assert torch.allclose(tokens.double(), expected_mlp(state, embeddings), atol=1e-5)


@pytest.mark.parametrize("inner_dim", [256, SD15], ids=["4 heads", "12 heads"])
def test_plus_and_plus_v2(inner_dim: int) -> None:
    state = plus(Source(2), SD15, inner_dim=inner_dim)
    embeddings, hidden = random(2, 512), random(2, 257, 1280)
    tokens, read = expected_plus(state, embeddings, hidden)
    plain, shortcut = image_proj.plus_projection(state), image_proj.plus_shortcut_projection(state)
    for structure in (0.0, 0.5, 1.0, 2.0):
        assert torch.allclose(plain(embeddings, hidden, structure).double(), read, atol=1e-4)
        got = shortcut(embeddings, hidden, structure).double()
        assert torch.allclose(got, tokens + structure * read, atol=1e-4)
    assert torch.allclose(shortcut(embeddings, hidden, 0.0).double(), tokens, atol=1e-5)


@pytest.mark.parametrize("faces", [1, 3])
def test_portrait_unnorm(faces: int) -> None:
    state, embeddings = resampler(Source(3), 128, 512, SDXL), 20 * random(faces, 512)
    tokens = image_proj.resampler(state)(embeddings)
    assert tokens.shape == (faces, 16, SDXL)
    latents = state["latents"].double().repeat(faces, 1, 1)
    expected = expected_resampled(state, latents, embeddings[:, None])
    assert torch.allclose(tokens.double(), expected, atol=1e-4)


# ------------------------------------------------------------------------------------ sizes come from the weights alone
class Sizes(Source):
    """Tensors without values, so that the published sizes cost nothing."""

    def __init__(self) -> None:
        super().__init__(0)

    def weight(self, *shape: int, gain: float = 1.0) -> Tensor:
        return torch.empty(shape, device="meta")

    def bias(self, size: int) -> Tensor:
        return torch.empty(size, device="meta")


PUBLISHED: dict[str, tuple[Callable[..., nn.Module], Callable[[Source], State], int, int, int]] = {
    # network, its weights, cross attention dimension, rank of the LoRA, all parameters of the file
    "faceid_sd15": (image_proj.mlp_projection, lambda s: mlp(s, SD15, 4), SD15, 128, 48_354_816),
    "faceid_sdxl": (image_proj.mlp_projection, lambda s: mlp(s, SDXL, 4), SDXL, 128, 535_507_968),
    "plus_sd15": (image_proj.plus_projection, lambda s: plus(s, SD15, inner_dim=SD15), SD15, 128, 78_260_736),
    "plusv2_sdxl": (
        image_proj.plus_shortcut_projection,
        lambda s: plus(s, SDXL, inner_dim=SDXL),
        SDXL,
        128,
        743_707_648,
    ),
    "portrait_sd15": (image_proj.mlp_projection, lambda s: mlp(s, SD15, 16), SD15, 0, 32_291_328),
    "portrait_sdxl": (image_proj.mlp_projection, lambda s: mlp(s, SDXL, 16), SDXL, 0, 374_903_808),
    "portrait_sdxl_unnorm": (
        image_proj.resampler,
        lambda s: resampler(s, 1280, 512, SDXL),
        SDXL,
        0,
        422_765_824,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes(name: str) -> None:
    """The networks take exactly the published tensors, and the tests' adapters are laid out like the published ones."""
    build, weights, cross_dim, rank, expected = PUBLISHED[name]
    state = weights(Sizes())
    widths = sd15_widths(320) if cross_dim == SD15 else sdxl_widths((320, 640, 1280))
    layers = ip_adapter_layers(Sizes(), widths, cross_dim, rank)
    assert sum(tensor.numel() for tensor in (*state.values(), *layers.values())) == expected
    network = build(state)
    assert {key: tensor.shape for key, tensor in network.state_dict().items()} == {
        key: tensor.shape for key, tensor in state.items()
    }


def test_other_sizes_are_read_off_the_weights() -> None:
    state = mlp(Source(0), SD15, 6, hidden=32)
    assert image_proj.mlp_projection(state)(random(1, 512)).shape == (1, 6, SD15)
    deeper = resampler(Source(0), 64, 512, SD15)
    deeper |= {key.replace("layers.3.", "layers.4."): t for key, t in deeper.items() if "layers.3." in key}
    assert image_proj.resampler(deeper)(random(2, 512)).shape == (2, 16, SD15)


# ------------------------------------------------------------------------------------------------------- strict loading
BUILDERS: dict[Callable[..., nn.Module], Callable[[], State]] = {
    image_proj.mlp_projection: lambda: mlp(Source(0), SD15, 4, hidden=8),
    image_proj.plus_projection: lambda: plus(Source(0), SD15, hidden=8),
    image_proj.plus_shortcut_projection: lambda: plus(Source(0), SD15, hidden=8),
    image_proj.resampler: lambda: resampler(Source(0), 64, 512, SD15),
}


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_tensor_counts(build: Callable[..., nn.Module]) -> None:
    state = BUILDERS[build]()
    for key in state:
        with pytest.raises((RuntimeError, LookupError)):
            build({other: tensor for other, tensor in state.items() if other != key})
    with pytest.raises(RuntimeError, match="surplus"):
        build({**state, "surplus": torch.ones(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        build({**state, next(key for key in state if key.endswith("bias")): torch.ones(3)})


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_are_float32_and_frozen(build: Callable[..., nn.Module], dtype: torch.dtype) -> None:
    network = build({key: tensor.to(dtype) for key, tensor in BUILDERS[build]().items()})
    for name, parameter in network.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert not parameter.requires_grad, name
        assert parameter.device.type == "cpu", name
    assert not network.training


def test_weights_are_taken_not_copied() -> None:
    """A file in float32 stays mapped: 2 GB of SDXL Plus v2 need not be in memory twice."""
    state = BUILDERS[image_proj.plus_projection]()
    network = image_proj.plus_projection(state)
    assert all(tensor.data_ptr() == state[key].data_ptr() for key, tensor in network.state_dict().items())


def test_loading_leaves_the_seed_alone() -> None:
    """A network that was initialised at random first would change every picture of a seed."""
    before = torch.get_rng_state()
    for build, state in BUILDERS.items():
        build(state())
    assert torch.equal(torch.get_rng_state(), before)
