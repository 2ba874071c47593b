"""Tokens in the transformer that Forge has built in are those that diffusers' own reads, joined and masked by hand.

The transformer is played (`flux_integrated.py`), and, where FACEID_FORGE_DIR or FACEID_FORGE_NEO_DIR names a checkout,
that Forge's own, in its own Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flux_integrated
import pytest
import torch
from flux_cases import CASES, TEXTS, WIDTH, Case, called, drawn, inputs, made
from flux_mini import bfl_names, flux_transformer
from forges import run_in
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CLOSE = 1e-5  # relative, float32


@pytest.fixture(scope="module")
def oracle() -> nn.Module:
    return flux_transformer(WIDTH, (2, 2))


@pytest.fixture(scope="module")
def transformer(oracle: nn.Module) -> nn.Module:
    return made(flux_integrated.Transformer, bfl_names(oracle.state_dict()))


def by_hand(oracle: nn.Module, case: Case, row: int, *, plain: bool = False) -> Tensor:
    """What diffusers gives of one row alone, with the tokens of its image behind the prompt and a mask."""
    given = {name: tensor[row : row + 1] for name, tensor in inputs(case).items()}
    height, width = ((side + 1) // 2 for side in case.size)
    x = torch.nn.functional.pad(given["x"], (0, case.size[1] % 2, 0, case.size[0] % 2), mode="circular")
    packed = x.view(1, 4, height, 2, width, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, height * width, 16)
    units = [] if plain or case.slots[row] <= 0 else case.units
    tokens, mask = _mask(case, units, row, (height, width))
    at = torch.cartesian_prod(torch.arange(height), torch.arange(width)).float()
    with torch.no_grad():
        found = oracle(
            hidden_states=packed, encoder_hidden_states=torch.cat([given["context"], tokens[None]], 1),
            pooled_projections=given["y"], timestep=given["timestep"], guidance=given["guidance"],
            txt_ids=torch.zeros(TEXTS + len(tokens), 3), img_ids=torch.cat([torch.zeros(len(at), 1), at], 1),
            joint_attention_kwargs={"attention_mask": mask[None, None]}, return_dict=False,
        )[0]  # fmt: skip
    opened = found.view(1, height, width, 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 4, 2 * height, 2 * width)
    return opened[:, :, : case.size[0], : case.size[1]]


def _mask(case: Case, units: list[Any], row: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The tokens of a row, and what is added to its attention: number by number, as the formula says."""
    image = case.slots[row] - 1
    parts = [sources[min(image, len(sources) - 1)].part for sources, _, _ in units]
    tokens = torch.cat([torch.zeros(0, WIDTH), *(part.tokens for part in parts)])
    places, first, picture = size[0] * size[1], TEXTS, TEXTS + len(tokens)
    mask = torch.zeros(picture + places, picture + places)
    shown = case.parts[row * len(case.parts) // len(case.slots)]
    for part, (_, weight, box) in zip(parts, units, strict=True):
        for column, share in enumerate(part.weights, first):
            for line in (*range(TEXTS), *range(picture, picture + places)):
                mask[line, column] = torch.log(weight * share)
            if box:
                mask[:picture, column] = -torch.inf
                for place in range(places):
                    across = shown.left + (place % size[1] + 0.5) / size[1] * (shown.right - shown.left)
                    if not box.left <= across < box.right:
                        mask[picture + place, column] = -torch.inf
        if box:
            mask[first : first + len(part.tokens), first : first + len(part.tokens)] = 0
        first += len(part.tokens)
    return tokens, mask


def assert_close(found: Tensor, oracle: nn.Module, case: Case, *, plain: bool = False) -> None:
    expected = torch.cat([by_hand(oracle, case, row, plain=plain) for row in range(len(case.slots))])
    apart = ((found - expected).abs().max() / expected.abs().max()).item()
    print(f"{apart:.1e} apart")
    assert apart <= CLOSE


@pytest.mark.parametrize("name", CASES)
def test_the_played_one_reads_what_diffusers_reads(transformer: nn.Module, oracle: nn.Module, name: str) -> None:
    case = CASES[name]
    plain = called(transformer, case)
    assert_close(plain, oracle, case, plain=True)
    found = drawn(transformer, case)
    assert_close(found, oracle, case)
    acting = [row for row, slot in enumerate(case.slots) if slot > 0]
    assert ((found - plain)[acting].flatten(1).abs().amax(1) > 1e-3).all(), "or nothing was compared"
    assert torch.equal(called(transformer, case), plain)
    assert not vars(transformer)["_forward_pre_hooks"]
    assert not vars(transformer)["_forward_hooks"]


@pytest.mark.parametrize("forge", ["FORGE", "FORGE_NEO"])
def test_a_forges_own_reads_the_same(forge: str, oracle: nn.Module, tmp_path: Path) -> None:
    weights, out = (tmp_path / f"{name}.safetensors" for name in ("weights", "out"))
    save_file(bfl_names(oracle.state_dict()), weights)
    run_in(forge, "flux_cases.py", weights, out)
    found = load_file(out)
    for name, case in CASES.items():
        print(name)
        assert_close(found[f"plain {name}"], oracle, case, plain=True)
        assert_close(found[name], oracle, case)
