"""Which identity a row gets, how tiles and optimisations are followed, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import SDXL, parts_of, sd15_widths, write
from contributions import contribution
from torch import Tensor, nn
from torch.nn import functional
from unets import SMALL, adapter_for, call, drawn, identity_of, inputs, ldm_unet, sdxl_unet

from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.errors import HostError, MismatchError, UnitError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.unet.layers import attention_layers

pytestmark = pytest.mark.usefixtures("untouched")


# ------------------------------------------------------------------------------------------------------- slots and rows
def test_every_slot_gets_its_own_identity(ldm: nn.Module, adapter: Adapter) -> None:
    people = [identity_of(seed) for seed in (1, 2, 3)]
    rows = (3, 0, 1, 2, 2)
    got = drawn(ldm, contribution(adapter, people), rows=rows)
    for row, slot in enumerate(rows):
        alone = contribution(adapter, [people[max(slot - 1, 0)]])
        expected = drawn(ldm, alone, rows=tuple(min(s, 1) for s in rows))
        assert (got[row] - expected[row]).abs().max() < 1e-5, slot
    assert (got[3] - got[2]).abs().max() > 0.01


def test_a_single_identity_serves_every_slot(ldm: nn.Module, one: Contribution) -> None:
    assert torch.equal(drawn(ldm, one, rows=(0, 1, 2, 3)), drawn(ldm, one, rows=(0, 1, 1, 1)))


def test_a_single_identity_beside_several(ldm: nn.Module, adapter: Adapter, other: Contribution) -> None:
    people = contribution(adapter, [identity_of(seed) for seed in (1, 2, 3)])
    got = drawn(ldm, people, other, rows=(0, 1, 2, 3))
    expected = drawn(ldm, contribution(adapter, [identity_of(3)]), other, rows=(0, 1, 1, 1))
    assert (got[3] - expected[3]).abs().max() < 1e-5


@pytest.mark.parametrize("rows", [(0, 3), (-257, 0)])
def test_a_slot_that_nobody_has_is_named(ldm: nn.Module, adapter: Adapter, rows: tuple[int, ...]) -> None:
    with inject(ldm, [contribution(adapter, [identity_of(1), identity_of(2)])]) as injection:
        wrong = next(slot for slot in rows if slot != 0)
        with pytest.raises(UnitError, match=rf"Slot {wrong} .*up to 2"):
            injection.set_rows(rows)


class Tiles:
    """A cross-attention whose picture is cut into tiles, each a row of its own: HyperTile and its kin."""

    def __init__(self, attention: nn.Module, tiles: int) -> None:
        self._attention, self._tiles, self._forward = attention, tiles, attention.forward

    def __call__(self, x: Tensor, context: Tensor, **_: Any) -> Tensor:
        rows, length, width = x.shape
        cut = x.reshape(rows * self._tiles, length // self._tiles, width)
        out = self._forward(cut, context.repeat_interleave(self._tiles, dim=0))
        return out.reshape(rows, length, width)


@pytest.mark.parametrize("tiles", [2, 4])
def test_a_layer_that_cuts_its_rows_into_tiles(
    ldm: nn.Module, one: Contribution, tiles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query attends for itself, so that tiles must change nothing."""
    bare, on = call(ldm, inputs()), drawn(ldm, one)
    for index in (1, 3, 27):
        attention = attention_layers(ldm)[index].module
        monkeypatch.setattr(attention, "forward", Tiles(attention, tiles))
    assert (call(ldm, inputs()) - bare).abs().max() < 1e-5
    assert (drawn(ldm, one) - on).abs().max() < 1e-5
    monkeypatch.undo()


def test_rows_that_cannot_be_followed_are_an_error(
    ldm: nn.Module, one: Contribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = attention_layers(ldm)[1].module
    forward = attention.forward

    def with_a_row_more(x: Tensor, context: Tensor, **_: Any) -> Tensor:
        return forward(torch.cat([x, x[:1]]), torch.cat([context, context[:1]]))[:-1]

    monkeypatch.setattr(attention, "forward", with_a_row_more)
    with pytest.raises(HostError, match=r"3 rows for a call of 2: another extension .* Switch extensions off"):
        drawn(ldm, one)
    monkeypatch.undo()


def test_the_hooks_survive_a_change_of_the_attention_optimisation(
    ldm: nn.Module, one: Contribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The WebUI replaces the class's `forward`, and its sdp path calls `to_out[0]` and `to_out[1]` itself."""
    on = drawn(ldm, one)

    def sdp(self: Any, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        out = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.to_out[1](self.to_out[0](out))

    with inject(ldm, [one]) as injection:
        injection.set_rows((0, 1))
        monkeypatch.setattr(type(attention_layers(ldm)[1].module), "forward", sdp)
        assert (call(ldm, inputs()) - on).abs().max() < 1e-5
    monkeypatch.undo()


def test_a_replaced_unet_does_not_count_as_a_call(
    ldm: nn.Module, one: Contribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT and its kin: the UNet is called, its layers are not. Whoever asks must hear that nothing was done."""
    monkeypatch.setattr(ldm, "forward", lambda x, **_: x)
    with inject(ldm, [one]) as injection:
        injection.set_rows((0, 1))
        call(ldm, inputs())
        assert injection.calls == 0
        monkeypatch.undo()
        call(ldm, inputs())
        assert injection.calls == 1


def test_autocast_of_the_host(ldm: nn.Module, one: Contribution) -> None:
    on = drawn(ldm, one)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = drawn(ldm, one)
    assert ((got.float() - on).norm() / on.norm()) < 0.05


# ----------------------------------------------------------------------------------- what does not fit is said in words
def test_an_sdxl_adapter_on_sd15(ldm: nn.Module, tmp_path: Path) -> None:
    parts = parts_of("faceid", SDXL, rank=0, widths=sd15_widths(SMALL))  # only the context is SDXL's
    wide = load_adapter(write(parts, tmp_path / "ip-adapter-faceid_sdxl.safetensors"))
    with pytest.raises(MismatchError, match=r"ip-adapter-faceid_sdxl is for SDXL .*768"):
        inject(ldm, [contribution(wide, [identity_of(1)])]).__enter__()


def test_an_sd15_adapter_on_sdxl(one: Contribution) -> None:
    with pytest.raises(MismatchError, match=r"is for SD 1\.5 .*2048"):
        inject(sdxl_unet(), [one]).__enter__()


def test_an_sd15_adapter_on_sd2(one: Contribution) -> None:
    unet = ldm_unet(1024, channels=SMALL)
    with pytest.raises(MismatchError, match=r"1024.*SD 1\.5 .*SDXL"):
        inject(unet, [one]).__enter__()


def test_an_adapter_of_other_widths(ldm: nn.Module, tmp_path: Path) -> None:
    wide = adapter_for(tmp_path, channels=2 * SMALL)
    with pytest.raises(MismatchError, match=r"does not fit this UNet: layer 1 takes \[\d+, 768\] weights there, and"):
        inject(ldm, [contribution(wide, [identity_of(1)])]).__enter__()


def test_people_with_different_numbers_of_faces(ldm: nn.Module, portrait: Adapter) -> None:
    people = [identity_of(1), identity_of(2, faces=2)]
    with pytest.raises(MismatchError, match="same number of faces"):
        inject(ldm, [contribution(portrait, people)]).__enter__()


def test_nobody_at_all(ldm: nn.Module, adapter: Adapter) -> None:
    with pytest.raises(MismatchError, match="references"):
        inject(ldm, [contribution(adapter, [])]).__enter__()


def test_an_identity_without_the_features_that_plus_needs(ldm: nn.Module, tmp_path: Path) -> None:
    plus = adapter_for(tmp_path, "plusv2")
    with pytest.raises(MismatchError, match=r"FaceID Plus v2.*CLIP features.*Make it again"):
        inject(ldm, [contribution(plus, [identity_of(1)])]).__enter__()
    assert drawn(ldm, contribution(plus, [identity_of(1, clip=True)])).isfinite().all()
