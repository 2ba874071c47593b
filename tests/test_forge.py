"""Jobs in a Forge that is played: whose the rows are, LoRAs, refusals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import torch
from contributions import contribution
from played_forge import EarlyPatcher, Patcher, drawn, played_forge
from torch import Tensor, nn
from unets import call, identity_of

from lib_faceid.effects.contribution import Contribution
from lib_faceid.effects.injection import Injection, inject
from lib_faceid.effects.lora import named_lora
from lib_faceid.errors import HostError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.rows import CARRIED, CarriedSlots
from lib_faceid.unet.tiles import Tiles


@pytest.fixture
def forge(ldm: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with played_forge(monkeypatch, ldm) as found:
        yield found


@pytest.fixture
def people(adapter: Adapter) -> list[Contribution]:
    return [contribution(adapter, [identity_of(1), identity_of(2)])]


def begun(forge: Any, injection: Injection, x: Tensor, cond: Tensor) -> Any:
    """Our part of a step, which ends with the block."""
    return forge.engine.rows(None, cast("Any", None), SimpleNamespace(x=x, text_cond=cond), injection)


@pytest.mark.parametrize("uncond_chunks", [None, 1, 2], ids=["CFG 1", "together", "apart"])
@pytest.mark.parametrize("ands", [1, 2], ids=["one prompt", "AND"])
@pytest.mark.parametrize("tiles", [1, 3], ids=["whole", "tiles"])
def test_every_row_gets_its_own_person(
    forge: Any, ldm: nn.Module, people: list[Contribution], uncond_chunks: int | None, ands: int, tiles: int
) -> None:
    """Two images with two people: in whichever calls the rows come, and however often."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    conds = [torch.randn(2, 77, 768, generator=generator) for _ in range(ands)]
    uncond = None if uncond_chunks is None else torch.randn(2, 77 * uncond_chunks, 768, generator=generator)
    contexts = [*conds, *([] if uncond is None else [uncond])]
    with inject(ldm, people) as injection:
        injection.set_rows([1, 2])
        alone = [call(ldm, (x, torch.full((2,), 500), one)) for one in conds]
        injection.set_rows([0, 0])
        alone += [call(ldm, (x, torch.full((2,), 500), one)) for one in contexts[ands:]]
        injection.set_rows(None)
        with begun(forge, injection, x, torch.cat(conds)):
            made = torch.cat(drawn(forge.objects.unet, x, conds, uncond, tiles))
        apart = ands if uncond is not None and uncond.shape != conds[0].shape else len(contexts)
        groups = [alone[:apart], alone[apart:]]
        expected = torch.cat([torch.cat(group).repeat(tiles, 1, 1, 1) for group in groups if group])
        assert (made - expected).abs().max() < 1e-4
        assert injection.watch.missed() == 0


def test_nothing_is_carried_when_the_step_is_over(forge: Any, ldm: nn.Module, people: list[Contribution]) -> None:
    """Not by the patcher, nor by a copy that somebody made of it meanwhile; and theirs is left in its place."""
    x, cond = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 768)
    patcher, seen = forge.objects.unet, list[bool]()

    def theirs(model: Any, x: Any, t: Any, uncond: Any, cond: Any, *rest: Any) -> Any:
        seen.append(CARRIED in cond[0]["model_conds"])
        return (model, x, t, uncond, cond, *rest)

    with inject(ldm, people) as injection:
        bare = call(ldm, (x, torch.full((1,), 500), cond))
        with begun(forge, injection, x, cond):
            meanwhile = patcher.clone()
            patcher.model_options["conditioning_modifiers"].append(theirs)
        injection.set_rows(None)
        for one in (patcher, meanwhile):
            assert torch.allclose(drawn(one, x, [cond], cond)[0][:1], bare, atol=1e-5)
    assert patcher.model_options["conditioning_modifiers"] == [theirs]
    assert seen == [False]


def test_rows_that_nobody_carries_are_missed(forge: Any, ldm: nn.Module, people: list[Contribution]) -> None:
    """Another program's call comes without slots, or with other rows than it was told of."""
    x, steps, context = torch.randn(3, 4, 8, 8), torch.full((3,), 500), torch.randn(3, 77, 768)
    bare = call(ldm, (x, steps, context))
    with torch.no_grad(), inject(ldm, people) as injection:
        injection.expect_carried(1, Tiles)
        assert torch.equal(ldm(x, steps, context=context), bare)
        assert torch.equal(ldm(x, steps, context=context, **{CARRIED: CarriedSlots((1, -1))}), bare)
        assert (injection.calls, injection.watch.untagged_calls, injection.watch.missed()) == (0, 2, 1)


def test_loras_are_patches_of_the_pass(forge: Any, ldm: nn.Module, adapter: Adapter) -> None:
    """Beside the user's own, in place of an earlier call's, and gone again."""
    checkpoint = forge.objects.unet
    checkpoint.add_patches(filename="/models/film.safetensors", patches={}, strength_patch=0.5)
    loras = forge.engine.loras(cast("Any", None))
    for strength in (0.7, 0.4):
        assert list(loras.put(ldm, [(adapter, strength)])) == []
        film, (name, found, _, is_online) = forge.objects.unet.lora_patches
        assert (film[0], found, is_online) == ("/models/film.safetensors", strength, False)
        assert adapter.fingerprint in name
    patches = list(forge.objects.unet.lora_patches.values())[1]
    pairs = named_lora(adapter, ldm)
    assert patches.keys() == {f"diffusion_model.{one}.weight" for one in pairs}
    (kind, (up, down, *_)) = patches[f"diffusion_model.{next(iter(pairs))}.weight"]
    assert kind == "lora"
    assert (up is next(iter(pairs.values())).up, down is next(iter(pairs.values())).down) == (True, True)
    loras.take_out()
    assert [key[0] for key in forge.objects.unet.lora_patches] == ["/models/film.safetensors"]
    assert [len(one) for one in checkpoint.refreshed] == [2, 2, 1], "merged when put in, and when taken out"
    assert len(checkpoint.lora_patches) == 1, "the checkpoint's own is left alone"


def test_loras_are_patches_of_early_forge_too(
    forge: Any, ldm: nn.Module, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Any] = []
    package: Any = ModuleType("ldm_patched.modules.model_management")
    package.load_models_gpu = loaded.extend
    monkeypatch.setitem(sys.modules, "ldm_patched.modules.model_management", package)
    checkpoint = forge.objects.unet = EarlyPatcher(ldm)
    weight = f"diffusion_model.{next(iter(named_lora(adapter, ldm)))}.weight"
    checkpoint.add_patches({weight: ("lora", "of the user")}, 0.5)
    loras = forge.engine.loras(cast("Any", None))
    for strength in (0.7, 0.4):
        loras.put(ldm, [(adapter, strength)])
        (_, _, _), (found, (kind, _), _) = forge.objects.unet.patches[weight]
        assert (kind, found) == ("lora", strength)
        assert len(forge.objects.unet.patches) == len(named_lora(adapter, ldm))
    loras.take_out()
    assert forge.objects.unet.patches == checkpoint.patches
    assert forge.objects.unet.patches_uuid != checkpoint.patches_uuid
    assert len(loaded) == 3


def test_a_lora_that_the_prompt_names_wins(
    forge: Any, ldm: nn.Module, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: Any = ModuleType("networks")
    networks.loaded_networks = [SimpleNamespace(name="film"), SimpleNamespace(name="ip-adapter-FaceID_sd15_lora")]
    monkeypatch.setitem(sys.modules, "networks", networks)
    (said,) = forge.engine.loras(cast("Any", None)).put(ldm, [(adapter, 0.6)])
    assert "ip-adapter-FaceID_sd15_lora" in said
    assert not forge.objects.unet.lora_patches


def test_other_kinds_of_models_are_refused_by_name(forge: Any) -> None:
    class Flux:
        forge_objects = SimpleNamespace(unet=Patcher(nn.Linear(2, 2)))

    forge.package.shared.sd_model = Flux()
    with pytest.raises(HostError, match=r"SD 1\.5 and SDXL; the checkpoint that is loaded is Flux\."):
        forge.engine.check()


def test_the_page_is_told_which_kind_is_loaded(forge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flux = type("Flux", (), {"forge_objects": SimpleNamespace(unet=Patcher(nn.Linear(2, 2)))})()
    forge.package.shared.sd_model = forge.package.sd_models.model_data.sd_model = flux
    host = import_module("lib_faceid.hosts.webui.host")
    monkeypatch.setattr(host, "engine", lambda: forge.engine)
    with pytest.raises(HostError, match="the checkpoint that is loaded is Flux"):
        host.WebUI().base()


def test_nothing_is_loaded_for_a_look(forge: Any, ldm: nn.Module) -> None:
    data = forge.package.sd_models.model_data
    assert forge.engine.unet_at_hand() is ldm
    data.forge_loading_parameters, data.forge_hash = {"checkpoint_info": "a"}, "{'checkpoint_info': 'a'}"
    assert forge.engine.unet_at_hand() is ldm
    data.forge_loading_parameters = {"checkpoint_info": "b"}
    assert forge.engine.unet_at_hand() is None, "the user has chosen another one"
    data.forge_loading_parameters, data.sd_model = {"checkpoint_info": "a"}, object()  # as before the first picture
    assert forge.engine.unet_at_hand() is None


def test_where_the_tiles_of_a_step_lie_is_asked_of_who_cuts_them(forge: Any) -> None:
    tiles_of = import_module("lib_faceid.hosts.forge.tiles").tiles_of
    patcher, tile = forge.objects.unet, SimpleNamespace(x=4, y=0, w=4, h=8)
    assert tiles_of(patcher, 8, 8).next_parts((8, 8), 2) is not None
    patcher.model_options["model_function_wrapper"] = SimpleNamespace(batched_bboxes=[[tile]], h=8, w=8)
    (part,) = tiles_of(patcher, 8, 8).next_parts((8, 4), 2)
    assert (part.left, part.right, part.top, part.bottom) == (0.5, 1.0, 0.0, 1.0)
    patcher.model_options["model_function_wrapper"].w = 16
    assert tiles_of(patcher, 8, 8).next_parts((8, 4), 2) is None, "another picture's"
