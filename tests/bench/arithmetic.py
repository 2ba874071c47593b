"""The arithmetic of one layer alone, in the forms that one could write it: which is the quickest, and from where on."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from bench.interleaved import seconds_of
from bench.results import Figure, figure_of
from lib_faceid.effects.attention import LayerKV, ip_attention

__all__ = ["arithmetic_figures"]

# places, width, heads of the largest layers
LAYERS = {
    "SD 1.5 at 512x512": (64 * 64, 320, 8),
    "SDXL at 1024x1024": (64 * 64, 640, 10),
    "SDXL at 1024x1024, inner": (32 * 32, 1280, 20),
    "SDXL at 2048x2048, inner": (64 * 64, 1280, 20),
}
CASES = ((2, 1, 4), (2, 4, 4), (2, 1, 16), (2, 1, 80), (16, 1, 4))  # rows, units, tokens


@torch.inference_mode()
def arithmetic_figures(device: str, runs: int) -> list[Figure]:
    """Return what each form takes, beside torch's attention with its result added: the ratio to that one."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    figures: list[Figure] = []
    for layer, (places, width, heads) in LAYERS.items():
        for rows, units, tokens in CASES:
            if rows * places * width > 50_000_000:
                continue
            hidden, query = (torch.randn(rows, places, width, device=device, dtype=dtype) for _ in range(2))
            shape = (rows, heads, tokens, width // heads)
            k, v = (torch.randn(shape, device=device, dtype=dtype) for _ in range(2))
            adapters = [LayerKV(k, v, 1e-3)] * units
            ratios = _ratios(hidden, query, adapters, runs)
            name = f"{layer}, {rows} rows, {units} x {tokens} tokens"
            section = "The sum in one layer: ratio to torch's attention and an addition for each unit"
            figures += [figure_of(section, f"{name}: {form}", values, "x") for form, values in ratios.items()]
    return figures


def _ratios(hidden: Tensor, query: Tensor, adapters: list[LayerKV], runs: int) -> dict[str, list[float]]:
    forms: dict[str, Callable[[Tensor, Tensor, list[LayerKV]], object]] = {
        "ours": ip_attention,
        "matmul, softmax, matmul": _plain,
    }
    for form in (_torchs, *forms.values()):
        form(hidden, query, adapters)
    found: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(runs):
        around = [seconds_of(lambda: _torchs(hidden, query, adapters))]
        taken = {name: seconds_of(lambda form=form: form(hidden, query, adapters)) for name, form in forms.items()}
        around.append(seconds_of(lambda: _torchs(hidden, query, adapters)))
        for name, seconds in taken.items():
            found[name].append(seconds / median(around))
    return found


def _heads(query: Tensor, adapters: list[LayerKV]) -> Tensor:
    return query.unflatten(-1, (adapters[0].k.shape[1], -1)).transpose(1, 2)


def _torchs(hidden: Tensor, query: Tensor, adapters: list[LayerKV]) -> Tensor:
    for one in adapters:
        found = functional.scaled_dot_product_attention(_heads(query, adapters), one.k, one.v, scale=1.0)
        hidden = torch.add(hidden, found.transpose(1, 2).flatten(2), alpha=one.weight)
    return hidden


def _plain(hidden: Tensor, query: Tensor, adapters: list[LayerKV]) -> Tensor:
    for one in adapters:
        found = (_heads(query, adapters) @ one.k.transpose(-1, -2)).softmax(-1) @ one.v
        hidden = torch.add(hidden, found.transpose(1, 2).flatten(2), alpha=one.weight)
    return hidden
