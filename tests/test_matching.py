"""Other extensions call a layer for parts of a batch, for tiles, for fewer places: whose is what?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from contributions import contribution
from torch import Tensor, nn
from unets import SMALL, adapter_for, call, drawn, identity_of, inputs, ldm_unet

from lib_faceid.effects.injection import inject
from lib_faceid.errors import HostError
from lib_faceid.unet.layers import attention_layers
from lib_faceid.unet.matching import ALL_ROWS, match_places, match_rows, rows_at_hand
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import PLACES

WHOLE = torch.randn(4, 6, 8)


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        (WHOLE, ALL_ROWS),
        (WHOLE[:2], slice(0, 2)),
        (WHOLE[2:], slice(2, 4)),
        (WHOLE.chunk(4)[3], slice(3, 4)),
        (WHOLE[1:3], slice(1, 3)),
        (WHOLE[2:, :3], slice(2, 4)),
        (WHOLE[:2].clone(), ALL_ROWS),
        (WHOLE.repeat(2, 1, 1), ALL_ROWS),
    ],
)
def test_a_view_tells_its_rows(part: Tensor, rows: slice) -> None:
    assert rows_at_hand(part, 4) == rows


def test_rows_are_repeated_in_place_for_tiles() -> None:
    assert match_rows(torch.tensor([[1.0], [2.0]]), torch.zeros(4, 1)).flatten().tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_that_are_nobodys(rows: int) -> None:
    with pytest.raises(HostError, match=rf"given {rows} rows for a call of 2"):
        match_rows(torch.zeros(2, 1), torch.zeros(rows, 1))


def test_places_that_were_merged() -> None:
    shares = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1]).reshape(1, 8, 1)
    assert match_places(shares, torch.zeros(2, 4, 1)).flatten().tolist() == [0, 0, 1, 1]


@pytest.fixture(scope="module")
def ldm() -> nn.Module:
    return ldm_unet(channels=SMALL)


def in_parts(layer: nn.Module, order: tuple[int, ...]) -> Callable[..., Tensor]:
    """Return a forward of a cross-attention that calls its parts for one piece of the batch after the other."""

    def forward(x: Tensor, context: Tensor | None = None, **_: object) -> Tensor:
        assert context is not None
        pieces, contexts = x.chunk(len(order)), context.chunk(len(order))
        found = {at: type(layer).forward(layer, pieces[at], contexts[at]) for at in order}
        return torch.cat([found[at] for at in range(len(order))])

    return forward


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (3, 1, 0, 2)])
@pytest.mark.parametrize("region", [None, "left"])
def test_layers_that_are_called_for_parts_of_the_batch(
    ldm: nn.Module, tmp_path: Path, order: tuple[int, ...], region: str | None
) -> None:
    """Cond and uncond one after the other, in any order: each row still gets its own identity, and its own region."""
    regions = [Region(PLACES[region]), Region(PLACES["right"])] if region else []
    people = contribution(adapter_for(tmp_path), [identity_of(1), identity_of(2)], weight=1.0, regions=regions)
    rows = (1, 2, -1, -2)
    expected = drawn(ldm, people, rows=rows)
    cross = [layer.module for layer in attention_layers(ldm) if layer.is_cross]
    for module in cross:
        module.forward = in_parts(module, order)
    try:
        with inject(ldm, [people]) as injection:
            injection.set_rows(rows)
            got = call(ldm, inputs(rows=4))
    finally:
        for module in cross:
            del module.forward
    assert (got - expected).abs().max() < 1e-4
    assert (got - drawn(ldm, people, rows=(-1, -2, 1, 2))).abs().max() > 0.01
