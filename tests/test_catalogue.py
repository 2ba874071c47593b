"""The catalogue agrees with everything else that is known about the published files."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest

from lib_faceid.errors import MissingModelError
from lib_faceid.faces.packs import PUBLISHED_BYTES
from lib_faceid.methods.registry import by_id, known_files, method_of, variants
from lib_faceid.models.catalogue import Entry, adapter_entries, catalogue, entry
from lib_faceid.models.image_encoders import IMAGE_ENCODERS

each_entry = pytest.mark.parametrize("one", catalogue(), ids=lambda one: one.id)
each_adapter = pytest.mark.parametrize("one", adapter_entries(), ids=lambda one: one.id)

# Published sizes in bytes, each of which fits the parameters of its variant in float16.
SIZES = {
    "plusv2_sd15": 156_558_509,
    "portrait_v11_sd15": 64_586_623,
    "faceid_sd15": 96_740_574,
    "plusv2_sdxl": 1_487_555_181,
    "portrait_sdxl": 749_822_515,
    "portrait_unnorm_sdxl": 1_009_523_411,
    "instantid_sdxl": 1_691_134_141,
    "identitynet_sdxl": 2_502_139_136,
    "ip_adapter_plus_sd15": 98_183_288,
    "ip_adapter_sd15": 44_642_768,
    "ip_adapter_light_sd15": 44_642_768,
    "ip_adapter_light_v11_sd15": 44_642_977,
    "ip_adapter_vit_g_sd15": 46_215_640,
    "ip_adapter_full_face_sd15": 43_592_352,
    "ip_adapter_plus_sdxl": 847_517_512,
    "ip_adapter_vit_h_sdxl": 698_391_064,
    "ip_adapter_vit_g_sdxl": 702_585_376,
    "ip_adapter_plus_face_sdxl": 847_517_512,
    "photomaker_v2": 1_799_993_138,
    "photomaker_v1": 934_103_417,
    "clip_vit_h": 2_528_373_448,
    "buffalo_l": 288_621_354,
}
WITHOUT_SIZE = {
    "plus_sd15": 157,
    "portrait_sd15": 65,
    "faceid_sdxl": 1071,
    "ip_adapter_plus_face_sd15": 98,
    "clip_vit_bigg": 3690,
    "siglip_so400m": 856,
    "antelopev2": 360,
}  # in MB, from the parameters
PARAMETERS_MILLIONS = {
    "plus_sd15": 78.26,
    "portrait_sd15": 32.29,
    "faceid_sdxl": 535.51,
    "ip_adapter_plus_face_sd15": 49.09,
    "clip_vit_bigg": 1844.91,
    "siglip_so400m": 428.23,
}
LORA = {"plusv2", "plus", "faceid", "photomaker_v2", "photomaker_v1"}
LICENCES = {
    "faceid": "ip-adapter-faceid",
    "instantid": "instantid",
    "ip_adapter": "ip-adapter-weights",
    "photomaker": "photomaker",
}
# Files of these exist, but not where a download is known.
WITHOUT_DOWNLOAD = {"ip_adapter_plus_vit_g", "ip_adapter_composition", "redux"}
ROOT = Path(__file__).parent.parent / "lib_faceid"


def test_sizes() -> None:
    assert {one.id: one.size_bytes for one in catalogue() if one.size_bytes} == SIZES
    assert {one.id: one.about_mb for one in catalogue() if not one.size_bytes} == WITHOUT_SIZE
    for name, millions in PARAMETERS_MILLIONS.items():
        assert entry(name).about_mb == round(2 * millions)


@each_entry
def test_each_entry_is_whole(one: Entry) -> None:
    parts = urlsplit(one.url)
    assert (parts.scheme, parts.hostname) in {("https", "huggingface.co"), ("https", "github.com")}
    of_hub = ("/h94/IP-Adapter", "/InstantX/InstantID/", "/TencentARC/PhotoMaker/", "/TencentARC/PhotoMaker-V2/")
    owners = (*of_hub, "/Comfy-Org/sigclip_vision_384/", "/deepinsight/insightface/releases/download/v0.7/")
    assert parts.path.startswith(owners)
    assert one.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", one.sha256)
    assert one.size_bytes is None or round(one.size_bytes / 1e6) == one.about_mb
    assert one.purpose.endswith(".")
    assert one.licence.sentence.endswith(".")
    for name in (one.file_name, one.folder, *(member.name for member in one.members)):
        assert not PurePosixPath(name).is_absolute()
        assert ".." not in PurePosixPath(name).parts
    assert "/" not in one.file_name


@each_adapter
def test_each_adapter_fits_its_variant(one: Entry) -> None:
    variant = by_id(one.variant or "")
    assert one.family in variant.bases
    assert variant.filename_hint in re.sub(r"[^a-z0-9]", "", one.file_name)
    assert known_files().get(one.sha256 or "", variant.id) == variant.id
    assert variant.has_lora == (variant.id in LORA)
    assert re.findall(r"Needs (CLIP [\w-]+)", one.purpose) == [IMAGE_ENCODERS[name].label for name in variant.encoders]
    assert one.licence.id == LICENCES[method_of(variant).id]


def test_every_known_file_is_in_it() -> None:
    assert known_files().keys() <= {one.sha256 for one in catalogue()}


def test_every_variant_and_family_is_in_it_in_the_order_of_auto() -> None:
    published = [(one.family, one.variant) for one in adapter_entries()]
    downloads = [variant for variant in variants() if variant.id not in WITHOUT_DOWNLOAD]
    expected = [(family, variant.id) for family in (768, 2048) for variant in downloads if family in variant.bases]
    assert list(dict.fromkeys(published)) == expected
    assert {one.family for one in adapter_entries(768)} == {768}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("buffalo_l", ("det_10g.onnx", "w600k_r50.onnx")),
        ("antelopev2", ("scrfd_10g_bnkps.onnx", "glintr100.onnx")),
    ],
)
def test_the_face_models_are_the_ones_that_are_looked_for(name: str, files: tuple[str, ...]) -> None:
    pack = entry(name)
    assert {member.name: member.size_bytes for member in pack.members} == {one: PUBLISHED_BYTES[one] for one in files}
    assert "non-commercial" in pack.description
    assert (pack.sha256 or "none is published") in pack.description


def test_ids_and_files_are_unique() -> None:
    for values in ([one.id for one in catalogue()], [one.url for one in catalogue()]):
        assert len(set(values)) == len(values)
    hashes = [one.sha256 for one in catalogue() if one.sha256]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    "name", ["plusv2_sd15", "ip-adapter-faceid-plusv2_sd15", "ip-adapter-faceid-plusv2_sd15.bin", " PlusV2_SD15 "]
)
def test_names(name: str) -> None:
    assert entry(name).id == "plusv2_sd15"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(MissingModelError, match=r"Did you mean plusv2_sdxl\? It has: plusv2_sd15, "):
        entry("plusv2_xl")


def test_it_is_json() -> None:
    for one in catalogue():
        assert json.loads(json.dumps(one.to_dict()))["licence"]["id"] == one.licence.id
    for path in (ROOT / "models" / "catalogue.json", *ROOT.glob("methods/*/files.json")):
        assert path.read_text("utf-8").endswith("}\n")


def test_the_files_of_a_method_lie_with_the_method() -> None:
    assert sorted(path.parent.name for path in ROOT.glob("methods/*/files.json")) == sorted(LICENCES)
    for name in LICENCES:
        entries = json.loads((ROOT / "methods" / name / "files.json").read_text("utf-8"))["entries"]
        assert {method_of(by_id(one["variant"])).id for one in entries} == {name}
    assert all(one.kind != "adapter" for one in catalogue()[len(adapter_entries()) :])
    shared = json.loads((ROOT / "models" / "catalogue.json").read_text("utf-8"))["entries"]
    assert all(one["kind"] != "adapter" for one in shared)
