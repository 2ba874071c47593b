"""Every published layout loads as the variant it is; what cannot be told is told apart by hash, metadata or name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from builders import (
    CONTAINERS,
    PUBLISHED,
    SD15,
    SDXL,
    Parts,
    Source,
    ip_adapter_layers,
    resampler,
    tiny_parts_of,
    write,
)
from unets import identity_of

from lib_faceid import variants
from lib_faceid.adapter import METADATA_KEY, Adapter, load_adapter
from lib_faceid.checkpoint import sha256_of
from lib_faceid.errors import FileError, MismatchError, WrongFamilyError
from lib_faceid.variants import VARIANTS, by_id, candidates

PAIRS = [(name, dim) for name, published in PUBLISHED.items() for dim in published.families]
FAMILY = {SD15: "sd15", SDXL: "sdxl"}
# The only tensors that two variants share. A variant that makes a new tie has to say here how it is broken.
TIES = {("plus", SD15): {"plusv2"}, ("plusv2", SD15): {"plus"}}


def published_name(variant: str, dim: int) -> str:
    stem = f"{PUBLISHED[variant].file_name}_{FAMILY[dim]}"
    return stem.replace("_unnorm_sdxl", "_sdxl_unnorm")


def instant_id(dtype: torch.dtype = torch.float32) -> Parts:
    source = Source(0)
    parts = Parts(resampler(source, 64, 512, SDXL), ip_adapter_layers(source, [8, 16], SDXL))
    return Parts(*({key: t.to(dtype) for key, t in half.items()} for half in (parts.image_proj, parts.ip_adapter)))


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
    assert {variant.id: variant.families for variant in VARIANTS} == {
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
    assert adapter.family == {SD15: "SD 1.5", SDXL: "SDXL"}[dim]
    assert adapter.name == path.stem
    assert bool(adapter.lora) is PUBLISHED[variant].has_lora
    check_weights(adapter, parts)
    path.unlink()


@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_tokens_of_every_variant(tmp_path: Path, variant: str, dim: int) -> None:
    adapter = load_adapter(write(tiny_parts_of(variant, dim), tmp_path / "a.safetensors"), variant)
    per_face = 16 if "portrait" in variant else 4
    for faces in (1, 3):
        tokens = adapter.encode(identity_of(1, faces=faces, clip=adapter.variant.needs_clip))
        assert tokens.cond.shape == tokens.uncond.shape == (faces * per_face, dim)
        assert tokens.cond.dtype == torch.float32
        assert (tokens.cond - tokens.uncond).abs().max() > 1e-3
        uncond = tokens.uncond.unflatten(0, (faces, per_face))
        assert torch.allclose(uncond, uncond[:1].expand_as(uncond), atol=1e-5)


@pytest.mark.parametrize(("variant", "dim"), PAIRS)
def test_confusion_matrix(variant: str, dim: int) -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in tiny_parts_of(variant, dim).image_proj.items()}
    assert {found.id for found in candidates(shapes, dim)} == {variant} | TIES.get((variant, dim), set())
    # "Auto" prefers them in the order of VARIANTS, and so does a tie.
    found = candidates(shapes, dim)
    assert list(found) == sorted(found, key=VARIANTS.index)


def test_the_shapes_of_instant_id_are_those_of_unnorm() -> None:
    """The second tie, with a family that is not ours."""
    theirs, ours = instant_id().flat(), tiny_parts_of("portrait_unnorm", SDXL).flat()
    assert {key: t.shape for key, t in theirs.items()} == {key: t.shape for key, t in ours.items()}


# -------------------------------------------------------------------------------------------------- how a tie is broken
def tied(folder: Path, name: str, metadata: dict[str, str] | None = None) -> Path:
    return write(tiny_parts_of("plus", SD15), folder / name, metadata)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("ip-adapter-faceid-plusv2_sd15.safetensors", "plusv2"),
        ("ip-adapter-faceid-plus_sd15.safetensors", "plus"),
        ("IP-Adapter-FaceID-PlusV2_SD15.safetensors", "plusv2"),
        ("ip_adapter_faceid_plus_v2.safetensors", "plusv2"),
        ("faceid plus v2 (1).safetensors", "plusv2"),
        ("FaceID-Plus.safetensors", "plus"),
    ],
)
def test_by_the_name_of_the_file(tmp_path: Path, name: str, variant: str) -> None:
    adapter = load_adapter(tied(tmp_path, name))
    assert adapter.variant.id == variant
    assert adapter.assumed == f"Taken for {by_id(variant).label} by its file name."


def test_the_folder_says_nothing(tmp_path: Path) -> None:
    """A folder `sdv2/plusv2` must not turn a Plus into a Plus v2."""
    folder = tmp_path / "plusv2"
    folder.mkdir()
    assert load_adapter(tied(folder, "ip-adapter-faceid-plus_sd15.safetensors")).variant.id == "plus"


def test_without_any_hint_the_better_one_is_assumed_and_said(tmp_path: Path) -> None:
    adapter = load_adapter(tied(tmp_path, "renamed.safetensors"))
    assert adapter.variant.id == "plusv2"
    assert adapter.assumed == "Taken for FaceID Plus v2, as nothing in the file tells it from FaceID Plus."


@pytest.mark.parametrize("variant", ["plus", "plusv2"])
def test_by_metadata_against_the_name(tmp_path: Path, variant: str) -> None:
    other = {"plus": "plusv2", "plusv2": "plus"}[variant]
    adapter = load_adapter(tied(tmp_path, f"{other}.safetensors", {METADATA_KEY: variant}))
    assert (adapter.variant.id, adapter.assumed) == (variant, "")


@pytest.mark.parametrize("value", ["faceid", "nonsense", ""])
def test_metadata_that_does_not_fit_is_not_believed(tmp_path: Path, value: str) -> None:
    assert load_adapter(tied(tmp_path, "plus.safetensors", {METADATA_KEY: value})).variant.id == "plus"


@pytest.mark.parametrize("variant", ["plus", "plusv2"])
def test_by_hash_against_metadata_and_name(tmp_path: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"plus": "plusv2", "plusv2": "plus"}[variant]
    path = tied(tmp_path, f"{other}.safetensors", {METADATA_KEY: other})
    monkeypatch.setitem(variants.KNOWN_FILES, sha256_of(path), variant)  # type: ignore[misc]
    adapter = load_adapter(path)
    assert (adapter.variant.id, adapter.assumed) == (variant, "")


def test_the_known_hashes_are_hashes_of_known_variants() -> None:
    for digest, variant in variants.KNOWN_FILES.items():
        assert len(digest) == 64
        assert set(digest) <= set("0123456789abcdef")
        assert variant in PUBLISHED
    # Only a tie needs one.
    tie_members = {name for name, _ in TIES} | {"portrait_unnorm"}
    assert set(variants.KNOWN_FILES.values()) <= tie_members


def test_files_without_a_tie_are_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a gigabyte takes a second."""
    from lib_faceid import adapter

    def fail(_: Path) -> str:
        pytest.fail("the file was hashed")

    monkeypatch.setattr(adapter, "sha256_of", fail)
    for variant, dim in PAIRS:
        if (variant, dim) not in TIES and variant != "portrait_unnorm":
            path = write(tiny_parts_of(variant, dim), tmp_path / f"{variant}{dim}.safetensors")
            assert load_adapter(path).variant.id == variant


@pytest.mark.parametrize("name", ["faceid", "portrait", "renamed", "plus", "plusv2", "unnorm", "instantid"])
@pytest.mark.parametrize(("variant", "dim"), [pair for pair in PAIRS if pair not in TIES])
def test_a_misleading_name_cannot_hide_what_shapes_tell(tmp_path: Path, variant: str, dim: int, name: str) -> None:
    adapter = load_adapter(write(tiny_parts_of(variant, dim), tmp_path / f"{name}.safetensors"))
    assert adapter.variant.id == variant


# --------------------------------------------------------------------------------------------- what the user says it is
@pytest.mark.parametrize("variant", ["plus", "plusv2"])
def test_the_user_decides_a_tie(tmp_path: Path, variant: str) -> None:
    adapter = load_adapter(tied(tmp_path, "plus_plusv2.safetensors"), variant)
    assert (adapter.variant.id, adapter.assumed) == (variant, "")


def test_the_user_may_not_decide_against_the_shapes(tmp_path: Path) -> None:
    for (variant, dim), wanted in itertools.product(PAIRS, PUBLISHED):
        path = write(tiny_parts_of(variant, dim), tmp_path / f"{variant}-{dim}.safetensors")
        if wanted == variant or wanted in TIES.get((variant, dim), ()):
            assert load_adapter(path, wanted).variant.id == wanted
            continue
        with pytest.raises(MismatchError) as caught:
            load_adapter(path, wanted)
        assert f"cannot be read as {by_id(wanted).label} (" in str(caught.value)
        assert by_id(variant).label in str(caught.value)


def test_a_variant_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match=r"no variant 'plusv3'.*plusv2, plus, portrait, faceid, portrait_unnorm"):
        load_adapter(tied(tmp_path, "a.safetensors"), "plusv3")


def test_a_variant_for_a_projection_that_fits_none(tmp_path: Path) -> None:
    source = Source(0)
    parts = Parts({"strange.weight": source.weight(4, 4)}, ip_adapter_layers(source, [8], SD15))
    path = write(parts, tmp_path / "strange.safetensors")
    with pytest.raises(
        MismatchError, match=r"cannot be read as FaceID \(SD 1.5 and SDXL\); its tensors fit no variant"
    ):
        load_adapter(path, "faceid")
    with pytest.raises(FileError, match=r"image_proj of a kind we do not know\. Known: FaceID Plus v2 or .*FaceID"):
        load_adapter(path)


# ------------------------------------------------------------------------------------------ unnorm and InstantID, a tie
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("nested", [True, False])
def test_instant_id_is_refused_by_name(tmp_path: Path, dtype: torch.dtype, nested: bool) -> None:
    path, parts = tmp_path / "ip-adapter.bin", instant_id(dtype)
    torch.save(parts.nested() if nested else parts.image_proj | parts.ip_adapter, path)
    with pytest.raises(WrongFamilyError, match=r"looks like InstantID.*variant portrait_unnorm"):
        load_adapter(path)
    assert load_adapter(path, "portrait_unnorm").variant.id == "portrait_unnorm"


def test_the_published_unnorm_mixes_dtypes(tmp_path: Path) -> None:
    adapter = load_adapter(write(tiny_parts_of("portrait_unnorm", SDXL), tmp_path / "renamed.safetensors"))
    assert adapter.variant.id == "portrait_unnorm"
    assert adapter.assumed.endswith("nothing in the file tells it from InstantID.")


def test_a_converted_unnorm_is_known_by_its_name_or_metadata(tmp_path: Path) -> None:
    converted = instant_id(torch.float16)
    for path in (
        write(converted, tmp_path / "ip-adapter-faceid-portrait_sdxl_unnorm.safetensors"),
        write(converted, tmp_path / "renamed.safetensors", {METADATA_KEY: "portrait_unnorm"}),
    ):
        assert load_adapter(path).variant.id == "portrait_unnorm"


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


def test_nothing_is_projected_before_it_is_needed(tmp_path: Path) -> None:
    adapter = load_adapter(tied(tmp_path, "a.safetensors"))
    assert "image_proj" not in vars(adapter)
    assert adapter.image_proj is adapter.image_proj
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
    with pytest.raises(
        FileError, match=f"half.safetensors is not a FaceID adapter: .*{told}.* Use an ip-adapter-faceid"
    ):
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
