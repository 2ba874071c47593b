"""Every published layout loads as the variant it is, and half an adapter says what it lacks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from builders import (
    CONTAINERS,
    PAIRS,
    PUBLISHED,
    SD15,
    SDXL,
    TIES,
    Parts,
    Source,
    instant_id,
    ip_adapter_layers,
    published_name,
    tied,
    tiny_parts_of,
    write,
)
from unets import identity_of

from lib_faceid.errors import FileError
from lib_faceid.methods import loading as adapter_module
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import METADATA_KEY, identify_adapter, load_adapter
from lib_faceid.methods.registry import candidates, methods_for, variants


def check_weights(adapter: Adapter, parts: Parts) -> None:
    """Make sure that every tensor of the file arrived where it belongs."""
    assert adapter.image_proj_state.keys() == parts.image_proj.keys()
    assert all(torch.equal(adapter.image_proj_state[key], t) for key, t in parts.image_proj.items())
    k = {f"{n}.to_k_ip.weight": t for n, t in adapter.to_k_ip.items()}
    v = {f"{n}.to_v_ip.weight": t for n, t in adapter.to_v_ip.items()}
    found = k | v
    for n, pairs in adapter.lora.items():
        for kind, pair in pairs.items():
            found |= {f"{n}.to_{kind}_lora.down.weight": pair.down, f"{n}.to_{kind}_lora.up.weight": pair.up}
    assert found.keys() == parts.ip_adapter.keys()
    assert all(torch.equal(found[key], t) for key, t in parts.ip_adapter.items())
    assert list(adapter.to_k_ip) == sorted(adapter.to_k_ip)


# ------------------------------------------------------------------------------------------------------ every good file
def test_every_variant_is_built_here() -> None:
    """But for those without tokens, which have files of their own (test_photomaker.py)."""
    of_people = [variant for method in methods_for("person") for variant in method.variants]
    assert {variant.id: variant.bases for variant in of_people if not variant.trigger} == {
        name: published.families for name, published in PUBLISHED.items()
    }


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_every_variant_from_every_container(tmp_path: Path, variant: str, dim: int, container: str) -> None:
    suffix, save = CONTAINERS[container]
    path, parts = tmp_path / f"{published_name(variant, dim)}{suffix}", tiny_parts_of(variant, dim)
    save(parts, path)
    adapter = load_adapter(path)
    assert adapter.variant.id == variant
    assert adapter.cross_attention_dim == dim
    assert adapter.base == {SD15: "SD 1.5", SDXL: "SDXL"}[dim]
    assert adapter.name == path.stem
    assert bool(adapter.lora) is PUBLISHED[variant].has_lora
    check_weights(adapter, parts)
    path.unlink()


@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_tokens_of_every_variant(tmp_path: Path, variant: str, dim: int) -> None:
    adapter = load_adapter(write(tiny_parts_of(variant, dim), tmp_path / "a.safetensors"), variant)
    per_face = 16 if variant in ("portrait", "portrait_unnorm", "instantid") else 4
    for faces in (1, 3):
        tokens = adapter.encode(identity_of(1, faces=faces, clip=bool(adapter.variant.encoders)))
        assert tokens.cond.shape == tokens.uncond.shape == (faces * per_face, dim)
        assert tokens.cond.dtype == torch.float32
        assert (tokens.cond - tokens.uncond).abs().max() > 1e-3
        uncond = tokens.uncond.unflatten(0, (faces, per_face))
        assert torch.allclose(uncond, uncond[:1].expand_as(uncond), atol=1e-5)


@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_confusion_matrix(variant: str, dim: int) -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in tiny_parts_of(variant, dim).image_proj.items()}
    assert {found.id for found in candidates(shapes, dim)} == {variant} | TIES.get((variant, dim), set())
    # "Auto" prefers them in the order of variants(), and so does a tie.
    found = candidates(shapes, dim)
    assert list(found) == sorted(found, key=variants().index)


def test_the_shapes_of_instant_id_are_those_of_unnorm() -> None:
    """The second tie: two methods, two recognisers."""
    theirs, ours = instant_id().flat(), tiny_parts_of("portrait_unnorm", SDXL).flat()
    assert {key: t.shape for key, t in theirs.items()} == {key: t.shape for key, t in ours.items()}


# ------------------------------------------------------------------------------------------------- loading once, lazily
def test_a_file_is_loaded_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tied(tmp_path, "a.safetensors")
    first = load_adapter(path)
    assert load_adapter(str(path)) is first
    assert load_adapter(path, "plus") is not first
    tied(tmp_path, "b.safetensors", {METADATA_KEY: "plus"}).replace(path)
    again = load_adapter(path)
    assert again is not first
    assert again.variant.id == "plus"
    assert again.fingerprint != first.fingerprint


def test_an_adapter_keeps_no_network_in_memory(tmp_path: Path) -> None:
    adapter = load_adapter(tied(tmp_path, "a.safetensors"))
    assert not any(isinstance(value, torch.nn.Module) for value in vars(adapter).values())
    assert not any(parameter.requires_grad for parameter in adapter.image_proj.parameters())


# ------------------------------------------------------------------------------------- whole files with something wrong
def without(*keys: str) -> Callable[[Parts], Parts]:
    def change(parts: Parts) -> Parts:
        return Parts(
            {key: t for key, t in parts.image_proj.items() if key not in keys},
            {key: t for key, t in parts.ip_adapter.items() if key not in keys},
        )

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda parts: Parts({}, parts.ip_adapter), "0 image_proj tensors, 2 to_k_ip and 2 to_v_ip layers"),
        (lambda parts: Parts(parts.image_proj, {}), "0 to_k_ip and 0 to_v_ip"),
        (without("1.to_k_ip.weight"), "1 to_k_ip and 2 to_v_ip"),
        (without("1.to_k_ip.weight", "1.to_v_ip.weight", "3.to_k_ip.weight", "3.to_v_ip.weight"), "0 to_k_ip"),
        (
            lambda parts: Parts(parts.image_proj, ip_adapter_layers(Source(0), [8, 16], 1024)),
            r"2 to_k_ip and 2 to_v_ip layers of width \[1024\]",
        ),
        (
            lambda parts: Parts(
                parts.image_proj, {key: t[:, :512] if "3." in key else t for key, t in parts.ip_adapter.items()}
            ),
            r"width \[512, 768\]",
        ),
        (
            lambda parts: Parts(parts.image_proj, {key: t[0] for key, t in parts.ip_adapter.items()}),
            "0 to_k_ip and 0 to_v_ip",
        ),
    ],
)
def test_a_half_adapter_is_refused(tmp_path: Path, change: Callable[[Parts], Parts], told: str) -> None:
    path = write(change(tiny_parts_of("faceid", SD15)), tmp_path / "half.safetensors")
    with pytest.raises(FileError, match=f"half.safetensors is not an adapter: .*{told}.* Use an ip-adapter file"):
        load_adapter(path)


@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait_unnorm"])
def test_a_projection_with_a_tensor_too_few_or_too_many(tmp_path: Path, variant: str) -> None:
    dim = PUBLISHED[variant].families[-1]
    for key in ("proj.0.bias", "perceiver_resampler.layers.2.0.norm1.bias", "layers.2.0.norm1.bias"):
        parts = tiny_parts_of(variant, dim)
        if key not in parts.image_proj:
            continue
        for name, changed in (
            ("few", without(key)(parts)),
            ("many", Parts(parts.image_proj | {"surplus": torch.ones(1)}, parts.ip_adapter)),
            ("flat", Parts(parts.image_proj | {key: torch.ones(())}, parts.ip_adapter)),
        ):
            adapter = load_adapter(write(changed, tmp_path / f"{name}-{key}.safetensors"), variant)
            with pytest.raises(
                FileError, match=rf"{name}-.* is no whole {adapter.variant.label} file \(.+\)\."
            ) as caught:
                _ = adapter.image_proj
            assert ("surplus" if name == "many" else key) in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_tensors_that_lost_their_shape(tmp_path: Path, variant: str, dim: int) -> None:
    """Nothing but a FileError may come of it, wherever it shows."""
    parts = tiny_parts_of(variant, dim)
    for key in (key for key in parts.image_proj if not re.search(r"layers\.[123]\.", key)):
        for shape in ((), (0,), (3,)):
            damaged = Parts(parts.image_proj | {key: torch.ones(shape)}, {"1.to_k_ip.weight": torch.ones(8, dim)})
            damaged.ip_adapter["1.to_v_ip.weight"] = torch.ones(8, dim)
            path = write(damaged, tmp_path / "damaged.safetensors")
            with pytest.raises(FileError):
                _ = load_adapter(path).image_proj
            path.unlink()


# ---------------------------------------------------------------------------------------------- many files, asked often
def test_neither_adapters_nor_what_is_none_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tiny_parts_of("faceid", SD15), tmp_path / f"{i}.safetensors") for i in range(40)]
    paths += [write({f"control_model.{i}": torch.ones(1)}, tmp_path / f"control {i}.safetensors") for i in range(40)]

    def look() -> list[str]:
        told: list[str] = []
        for path in paths:
            try:
                told.append(identify_adapter(path).name)
            except FileError as error:  # noqa: PERF203 - a handful of files
                told.append(f"{type(error).__name__}: {error}")
        return told

    first, opened = look(), []
    read = adapter_module.read_whole
    monkeypatch.setattr(adapter_module, "read_whole", lambda path: (opened.append(path), read(path))[1])
    assert look() == first
    assert opened == []
    paths[-1].touch()
    look()
    assert opened == [paths[-1]]


@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait"])
def test_a_projection_of_other_vectors_is_none_of_ours(tmp_path: Path, variant: str) -> None:
    parts = tiny_parts_of(variant, SD15)
    wide = Parts(parts.image_proj | {"proj.0.weight": torch.ones(8, 1024)}, parts.ip_adapter)
    with pytest.raises(FileError, match="has an image_proj of a kind that is not known"):
        load_adapter(write(wide, tmp_path / "a.safetensors"))
