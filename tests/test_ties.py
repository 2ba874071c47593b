"""What tensors cannot tell is told apart by hash, metadata or name, in that order; and the user may say it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from builders import (
    PAIRS,
    PUBLISHED,
    SD15,
    SDXL,
    TIES,
    Parts,
    Source,
    instant_id,
    ip_adapter_layers,
    tied,
    tiny_parts_of,
    write,
)

from lib_faceid.errors import FileError, MismatchError
from lib_faceid.methods.faceid.method import METHOD
from lib_faceid.methods.loading import METADATA_KEY, load_adapter
from lib_faceid.methods.registry import by_id
from lib_faceid.models.checkpoint import sha256_of


# -------------------------------------------------------------------------------------------------- how a tie is broken
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
    monkeypatch.setitem(METHOD.known_files, sha256_of(path), variant)  # type: ignore[misc]
    adapter = load_adapter(path)
    assert (adapter.variant.id, adapter.assumed) == (variant, "")


def test_the_known_hashes_are_hashes_of_known_variants() -> None:
    for digest, variant in METHOD.known_files.items():
        assert len(digest) == 64
        assert set(digest) <= set("0123456789abcdef")
        assert variant in PUBLISHED
    # Only a tie needs one.
    assert set(METHOD.known_files.values()) <= {name for name, _ in TIES}


def test_files_without_a_tie_are_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a gigabyte takes a second."""
    from lib_faceid.methods import loading

    def fail(_: Path) -> str:
        pytest.fail("the file was hashed")

    monkeypatch.setattr(loading, "sha256_of", fail)
    for variant, dim in PAIRS:
        if (variant, dim) not in TIES:
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
    with pytest.raises(FileError, match=r"image_proj of a kind that is not known\. Known: FaceID Plus v2 or .*FaceID"):
        load_adapter(path)


# ------------------------------------------------------------------------------------------ unnorm and InstantID, a tie
@pytest.mark.parametrize("nested", [True, False])
def test_the_published_instant_id_is_float32_throughout(tmp_path: Path, nested: bool) -> None:
    path, parts = tmp_path / "ip-adapter.bin", instant_id()
    torch.save(parts.nested() if nested else parts.image_proj | parts.ip_adapter, path)
    adapter = load_adapter(path)
    assert (adapter.variant.id, adapter.recogniser) == ("instantid", "glintr100")
    assert adapter.assumed.startswith("Taken for InstantID by the dtypes in it")
    assert load_adapter(path, "portrait_unnorm").variant.id == "portrait_unnorm"


def test_what_nothing_tells_is_refused_and_the_user_decides(tmp_path: Path) -> None:
    """Another recogniser draws another person: a guess would be silent."""
    path = write(instant_id(torch.float16), tmp_path / "renamed.safetensors")
    with pytest.raises(
        FileError, match=r"may be FaceID Portrait unnorm or InstantID.* variant portrait_unnorm or inst"
    ):
        load_adapter(path)
    for variant in ("portrait_unnorm", "instantid"):
        assert load_adapter(path, variant).variant.id == variant


@pytest.mark.parametrize("name", ["ip-adapter_instant_id_sdxl.bin", "InstantID.bin"])
def test_a_converted_instant_id_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    torch.save(instant_id(torch.float16).nested(), tmp_path / name)
    adapter = load_adapter(tmp_path / name)
    assert (adapter.variant.id, adapter.assumed) == ("instantid", "Taken for InstantID by its file name.")


def test_the_published_unnorm_mixes_dtypes(tmp_path: Path) -> None:
    adapter = load_adapter(write(tiny_parts_of("portrait_unnorm", SDXL), tmp_path / "renamed.safetensors"))
    assert adapter.variant.id == "portrait_unnorm"
    assert adapter.assumed.endswith("nothing else in the file tells it from InstantID.")


def test_a_converted_unnorm_is_known_by_its_name_or_metadata(tmp_path: Path) -> None:
    converted = instant_id(torch.float16)
    for path in (
        write(converted, tmp_path / "ip-adapter-faceid-portrait_sdxl_unnorm.safetensors"),
        write(converted, tmp_path / "renamed.safetensors", {METADATA_KEY: "portrait_unnorm"}),
    ):
        assert load_adapter(path).variant.id == "portrait_unnorm"
