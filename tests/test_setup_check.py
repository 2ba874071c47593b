"""What is there and what is missing: the report, its words, and that "Auto" in it is the Auto of a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from lib_faceid.bases.base_model import describe_base
from lib_faceid.commands.cli import main
from lib_faceid.encoders.clip_vision import load_clip_vision
from lib_faceid.errors import MissingModelError, MissingPackageError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.inventory import check as setup_check
from lib_faceid.inventory.check import Row, SetupReport, check_setup
from lib_faceid.inventory.text import anonymous, as_text, diagnostics
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.methods.registry import methods_for, variants
from lib_faceid.miniature.plus import PLUS_NOTE, TRAINED_PLUS_NAME, write_trained_plus
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.models.catalogue import entry
from lib_faceid.models.folders import Roots, find_adapters, require_clip_vision
from lib_faceid.models.image_encoders import IMAGE_ENCODERS
from lib_faceid.models.licences import accept_licence
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

Put = Callable[..., Path]
FACE_MODELS = {"det_10g.onnx": 16_923_827, "w600k_r50.onnx": 174_383_860}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(models=(tmp_path / "models",))


@pytest.fixture
def put(roots: Roots, miniature_adapter: Callable[..., Path]) -> Put:
    """put("plusv2", "sd15") places a miniature adapter under its published name."""

    def place(variant: str, family: str, suffix: str = ".safetensors") -> Path:
        source = miniature_adapter(variant, family, suffix)
        path = roots.models[0] / "faceid" / source.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(source)
        return path

    return place


@pytest.fixture
def face_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages for faces, whether or not they are installed."""
    monkeypatch.setattr(setup_check, "check_packages", lambda: "CPUExecutionProvider")


def put_clip(roots: Roots, source: Path) -> Path:
    path = roots.models[0] / "clip_vision" / "image_encoder" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.symlink_to(source)
    return path


def put_faces(roots: Roots, files: dict[str, int], pack: str = "buffalo_l") -> Path:
    """Place files of those sizes, with nothing in them and taking no room."""
    folder = roots.models[0] / "insightface" / "models" / pack
    folder.mkdir(parents=True)
    for name, size_bytes in files.items():
        with (folder / name).open("wb") as file:
            file.truncate(size_bytes)
    return folder


def encoder_row(report: SetupReport, encoder: str = "clip_vit_h") -> Row:
    """The row of an image encoder."""
    (row,) = [row for row in report.rows if row.kind == "clip_vision" and row.entry is entry(encoder)]
    return row


def row_of(report: SetupReport, name: str) -> Row:
    """The row of a kind, or of a variant."""
    rows = [row for row in report.rows if row.kind != "controlnet" and not row.note.endswith(" alone.")]
    (row,) = [row for row in rows if name in (row.kind, row.variant)]
    return row


# -------------------------------------------------------------------------------------------------------- nothing there
@pytest.mark.parametrize("family", [768, 2048, 4096, None])
def test_with_nothing_there_each_row_says_where_to_get_it(family: int | None, roots: Roots) -> None:
    report = check_setup(roots, family)
    families = (768, 2048, 4096) if family is None else (family,)
    adapters = sum(one in variant.bases for variant in variants() for one in families)
    encoders = sum(entry(one).family in (None, *families) for one in IMAGE_ENCODERS)
    of_sdxl = 2 if 2048 in families else 0  # a pack and a ControlNet that a variant needs for itself
    assert len(report.rows) == adapters + encoders + 1 + of_sdxl
    assert {row.status for row in report.rows} == {"missing"}
    assert all(auto.adapter is None for auto in report.auto)
    assert not report.is_ready
    text = as_text(report)
    for row in report.rows:
        if not row.entry:
            assert row.note.startswith("Not downloaded from here: put it into models/faceid, from ")
            assert "h94/IP-Adapter" in row.note or "black-forest-labs/FLUX.1-Redux-dev" in row.note
            assert row.note in text
            continue
        assert row.place
        for words in (row.entry.id, row.entry.url, row.entry.sha256 or "", row.entry.licence.name, str(row.place)):
            assert str(words) in text
    assert not roots.models[0].exists()  # looking makes nothing


@pytest.mark.parametrize("family", [768, 2048])
def test_the_missing_rows_are_the_variants_of_the_family(family: int, roots: Roots) -> None:
    shown = [row.variant for row in check_setup(roots, family).rows if row.kind == "adapter"]
    methods = (*methods_for("person"), *methods_for("image"))
    expected = [variant for method in methods for variant in method.variants]
    assert shown == [variant.id for variant in expected if family in variant.bases]


def test_rows_stand_by_what_they_are_for(roots: Roots) -> None:
    rows = check_setup(roots, 768).rows
    purposes = [row.purpose for row in rows]
    assert purposes == sorted(purposes, key=["person", "image", None].index)
    assert {row.purpose for row in rows if row.kind == "face_models"} == {"person"}
    assert (encoder_row(check_setup(roots)).purpose, encoder_row(check_setup(roots), "clip_vit_bigg").purpose) == (
        None,
        "image",
    )
    text = as_text(check_setup(roots, 768))
    assert text.index("For people") < text.index("For images") < text.index("For both")


def test_auto_for_images_is_its_own_and_says_what_is_missing(roots: Roots, put: Put) -> None:
    person, image = put("faceid", "sd15"), put("ip_adapter_plus", "sd15")
    report = check_setup(roots, 768)
    assert [one.adapter for one in report.auto_for("person")] == [person]
    (auto,) = report.auto_for("image")
    assert (auto.adapter, auto.note) == (None, f"{image.stem} needs CLIP ViT-H: it is not here.")
    assert not report.is_ready_for_images


def test_a_checkpoint_of_another_family_is_refused_by_name(roots: Roots) -> None:
    report = check_setup(roots, 1024)
    assert (
        report.problems[0]
        == f"Adapters exist for SD 1.5, SDXL and FLUX.1 only; the checkpoint is {describe_base(1024)}."
    )
    assert not any(row.kind == "adapter" for row in report.rows)
    assert report.auto == ()
    assert "checkpoint: 1024" in diagnostics(report)


# ------------------------------------------------------------------------------------------------------------- adapters
def test_an_adapter_is_found_whatever_its_name_and_its_lora_is_told(roots: Roots, put: Put) -> None:
    path = put("plus", "sd15")
    renamed = path.rename(path.with_name("my_own.safetensors"))
    portrait = put("portrait", "sd15")
    report = check_setup(roots, 768)
    assert row_of(report, "plusv2").paths == (renamed,)
    assert "nothing in the file tells it" in row_of(report, "plusv2").note
    assert row_of(report, "plusv2").lora == "inside the adapter"
    assert row_of(report, "portrait").paths == (portrait,)
    assert row_of(report, "portrait").lora == "none"
    assert row_of(report, "faceid").status == "missing"


def test_both_families_are_shown_where_no_checkpoint_is_loaded(roots: Roots, put: Put) -> None:
    paths = {put("faceid", "sd15"), put("faceid", "sdxl")}
    report = check_setup(roots)
    assert {path for row in report.rows for path in row.paths} == paths
    assert {auto.adapter for auto in report.auto_for("person")} == paths
    assert [path for row in check_setup(roots, 768).rows for path in row.paths] == [report.auto[0].adapter]


def test_a_file_of_another_size_than_published_is_said(roots: Roots, put: Put) -> None:
    put("faceid", "sd15", ".bin")
    row = row_of(check_setup(roots, 768), "faceid")
    assert row.status == "found"
    assert row.note == "Not the published file, which has 96,740,574 bytes."
    assert row.entry is entry("faceid_sd15")


def test_miniatures_are_called_so(roots: Roots, miniature_clip: Path) -> None:
    write_trained_plus(roots.models[0] / "faceid" / TRAINED_PLUS_NAME)
    put_clip(roots, miniature_clip)
    report = check_setup(roots, 768)
    assert row_of(report, "plusv2").note == PLUS_NOTE
    assert encoder_row(report).note.startswith("Random numbers in a published layout")
    assert [auto.adapter for auto in report.auto_for("person")] == [roots.models[0] / "faceid" / TRAINED_PLUS_NAME]


@pytest.mark.parametrize("name", ["ip-adapter-faceid_sd15.bin", "my-faceid.safetensors", "unrelated.safetensors"])
def test_a_damaged_adapter(name: str, roots: Roots) -> None:
    path = roots.models[0] / "faceid" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<html>Not found</html>")
    damaged = [row for row in check_setup(roots, 768).rows if row.status == "damaged"]
    assert [row.paths for row in damaged] == ([] if name == "unrelated.safetensors" else [(path,)])
    for row in damaged:
        assert "is a text or web page" in row.note
        assert (row.entry is not None) == (name == "ip-adapter-faceid_sd15.bin")
    assert not [row for row in check_setup(roots, 2048).rows if row.status == "damaged" and row.family == 768]


# ----------------------------------------------------------------------------------------------------------------- Auto
@pytest.mark.parametrize("has_clip", [True, False])
@pytest.mark.parametrize(
    "variants", [("faceid",), ("faceid", "plusv2"), ("plus", "portrait"), ("plus",), ("plus", "plusv2"), ()]
)
def test_auto_is_what_a_job_would_take(
    variants: tuple[str, ...], has_clip: bool, roots: Roots, put: Put, miniature_clip: Path
) -> None:
    for variant in variants:
        put(variant, "sd15")
    if has_clip:
        put_clip(roots, miniature_clip)
    (auto,) = check_setup(roots, 768).auto_for("person")
    clip = lambda _encoder: load_clip_vision(require_clip_vision(roots))  # noqa: E731
    models = Models(lambda: find_adapters(roots), no_faces, clip, nobody)
    if not variants:
        with pytest.raises(MissingModelError):
            choose_adapter(Unit(), models, 768)
        assert auto.adapter is None
        return
    chosen, _ = choose_adapter(Unit(), models, 768)
    if has_clip or not chosen.variant.encoders:
        assert auto.adapter
        assert auto.adapter.stem == chosen.name
    else:  # a job takes it as well, and then says what is missing
        assert (auto.adapter, auto.note) == (None, f"{chosen.name} needs CLIP ViT-H: it is not here.")


def no_faces() -> FaceAnalyser:
    raise AssertionError("choosing an adapter asks for no face")


def nobody(name: str) -> Identity:
    raise AssertionError("nor for anybody saved")


def test_auto_says_why_it_is_not_the_best(roots: Roots, put: Put) -> None:
    put("faceid", "sd15")
    put("plusv2", "sd15")
    (auto,) = check_setup(roots, 768).auto_for("person")
    assert auto.note == "ip-adapter-faceid-plusv2_sd15 would be better, and needs CLIP ViT-H: it is not here."


# -------------------------------------------------------------------------------------------------------- CLIP, faces
def test_clip(roots: Roots, miniature_clip: Path) -> None:
    path = put_clip(roots, miniature_clip)
    row = encoder_row(check_setup(roots))
    assert (row.status, row.paths) == ("found", (path,))
    assert "2,528,373,448 bytes" in row.note
    assert encoder_row(check_setup(roots), "clip_vit_bigg").status == "missing"


def test_both_encoders_in_one_folder(roots: Roots, miniature_clip: Path, miniature_bigg: Path) -> None:
    folder = put_clip(roots, miniature_clip).parent
    (folder / "any name.safetensors").symlink_to(miniature_bigg)
    row = encoder_row(check_setup(roots), "clip_vit_bigg")
    assert (row.status, row.paths) == ("found", (folder / "any name.safetensors",))
    assert encoder_row(check_setup(roots)).paths == (folder / "model.safetensors",)


def test_an_encoder_without_projection_says_so(roots: Roots, miniature_clip: Path) -> None:
    tensors = load_file(miniature_clip)
    del tensors["visual_projection.weight"]
    path = roots.models[0] / "clip_vision" / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_file(tensors, path)
    row = encoder_row(check_setup(roots))
    assert (row.status, row.paths) == ("found", (path,))
    assert row.note.startswith("It has no visual_projection.weight")


def test_a_damaged_clip_or_another_encoder(roots: Roots, miniature_adapter: Callable[..., Path], put: Put) -> None:
    put("plusv2", "sd15")
    path = put_clip(roots, miniature_adapter("faceid", "sd15"))
    row = encoder_row(check_setup(roots))
    assert row.status == "damaged"
    assert "not a CLIP image encoder" in row.note
    assert row.note in check_setup(roots, 768).auto[0].note
    path.unlink()
    path.write_bytes(b"")
    assert "is empty" in encoder_row(check_setup(roots)).note


def test_the_face_models_that_the_adapters_know(roots: Roots) -> None:
    folder = put_faces(roots, FACE_MODELS)
    row = row_of(check_setup(roots), "face_models")
    assert (row.status, row.label) == ("found", "Face models buffalo_l")
    assert row.paths == tuple(folder / name for name in FACE_MODELS)
    assert row.note == "Recogniser w600k_r50, the one that the adapters were trained with."


def test_another_recogniser_is_said(roots: Roots) -> None:
    put_faces(roots, {"det_500m.onnx": 2_524_817, "w600k_mbf.onnx": 1000}, "buffalo_sc")
    row = row_of(check_setup(roots), "face_models")
    assert (row.status, row.label) == ("found", "Face models buffalo_sc")
    assert "w600k_mbf-" in row.note
    assert "w600k_r50" in row.note
    assert row.entry is entry("buffalo_l")


def test_face_models_that_one_variant_needs_have_their_row(roots: Roots, put: Put) -> None:
    """Auto cannot take an adapter whose recogniser is not here, whatever other face models there are."""
    path = put("instantid", "sdxl")
    put_faces(roots, FACE_MODELS)

    def row() -> Row:
        (found,) = [one for one in check_setup(roots, 2048).rows if one.entry is entry("antelopev2")]
        return found

    assert (row().status, row().note) == ("missing", "For InstantID alone.")
    (auto,) = check_setup(roots, 2048).auto_for("person")
    assert (auto.adapter, auto.note) == (None, f"{path.stem} needs glintr100 (antelopev2): it is not here.")
    put_faces(roots, {"scrfd_10g_bnkps.onnx": 16_923_827, "glintr100.onnx": 260_665_334}, "antelopev2")
    assert (row().status, row().label) == ("found", "Face models antelopev2")
    assert check_setup(roots, 2048).auto_for("person")[0].adapter == path
    assert not [one for one in check_setup(roots, 768).rows if one.entry is entry("antelopev2")]


def test_damaged_face_models(roots: Roots) -> None:
    put_faces(roots, {**FACE_MODELS, "w600k_r50.onnx": 1000})
    row = row_of(check_setup(roots), "face_models")
    assert row.status == "damaged"
    assert row.note == (
        "w600k_r50.onnx is damaged (1,000 bytes, 174,383,860 were expected). Delete it and get it again."
    )


# -------------------------------------------------------------------------------------------------------- everything
def test_ready(roots: Roots, put: Put, face_packages: None, monkeypatch: pytest.MonkeyPatch) -> None:
    put("faceid", "sdxl")
    assert not check_setup(roots, 2048).is_ready
    put_faces(roots, FACE_MODELS)
    assert check_setup(roots, 2048).is_ready
    assert not check_setup(roots, 768).is_ready

    def broken() -> str:
        raise MissingPackageError("Face analysis is off: onnxruntime could not be imported.")

    monkeypatch.setattr(setup_check, "check_packages", broken)
    report = check_setup(roots, 2048)
    assert not report.is_ready
    assert "Face analysis is off" in as_text(report)


def test_it_says_where_face_models_really_run(roots: Roots) -> None:
    pytest.importorskip("onnxruntime")
    report = check_setup(roots)
    assert report.problems == ()
    assert report.versions["onnxruntime"].endswith(" (CPUExecutionProvider)")


def test_the_report_as_data(roots: Roots, put: Put, face_packages: None) -> None:
    path = put("faceid", "sd15")
    accept_licence(entry("plusv2_sd15").licence, roots)
    content = json.loads(json.dumps(check_setup(roots, 768).to_dict()))
    rows = {row["variant"] or row["kind"]: row for row in content["rows"]}
    assert rows["faceid"]["paths"] == [str(path)]
    assert rows["plusv2"]["entry"]["licence"]["name"] == "IP-Adapter-FaceID, non-commercial"
    assert rows["plusv2"]["is_licence_accepted"]
    assert not rows["face_models"]["is_licence_accepted"]
    assert content["auto"][0]["adapter"] == str(path)
    assert not content["is_ready"]
    assert "CPUExecutionProvider" in content["versions"]["onnxruntime"]


# ------------------------------------------------------------------------------------------------------- diagnostics
def test_diagnostics_name_files_by_hash_and_nobody_by_name(
    tmp_path: Path, miniature_adapter: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "alice"
    monkeypatch.setenv("HOME", str(home))
    source = miniature_adapter("faceid", "sd15")
    (home / "webui" / "models" / "faceid").mkdir(parents=True)
    (home / "webui" / "models" / "faceid" / source.name).symlink_to(source)
    report = check_setup(Roots(models=(home / "webui" / "models",)), 768)
    text = diagnostics(report)
    assert f"~/webui/models/faceid/{source.name} · {source.stat().st_size:,} bytes · SHA-256 " in text
    assert "alice" not in text
    for words in (
        "python: 3.",
        "torch: ",
        "onnxruntime: ",
        "Auto for people, SD 1.5: ip-adapter-faceid_sd15",
    ):
        assert words in text
    assert "SHA-256" not in diagnostics(report, with_hashes=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/models/x.bin", "~/models/x.bin"),
        ("/home/alice", "~"),
        ("/home/alicia/x", "/home/alicia/x"),
        ("/media/alice/disk/x", "/media/<user>/disk/x"),
        (r"D:\Users\Alice\x", r"D:\Users\<user>\x"),
        ("alice is a name, and malice a word", "alice is a name, and malice a word"),
    ],
)
def test_paths_lose_the_user_s_name(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert anonymous(text, {"HOME": "/home/alice", "USER": "alice"}) == expected


# -------------------------------------------------------------------------------------------------- the command line
@pytest.fixture
def machine(roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roots:
    monkeypatch.setenv("FACEID_MODELS", str(roots.models[0]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return roots


def test_the_table(machine: Roots, put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    path = put("faceid", "sd15")
    assert main(["models", "--family", "sd15"]) == 0
    out = capsys.readouterr().out
    assert str(path) in out
    assert "Get it: python -m lib_faceid models download plusv2_sd15" in out
    assert "SDXL" not in out


def test_the_table_as_data_and_as_diagnostics(machine: Roots, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["family"] is None
    assert main(["models", "--diagnostics"]) == 0
    assert "checkpoint: none loaded" in capsys.readouterr().out


def test_a_webui_s_folder(tmp_path: Path, machine: Roots, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--webui", str(tmp_path / "webui"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["place"].startswith(str(machine.models[0]))  # FACEID_MODELS comes first


def test_a_download_nobody_agreed_to(machine: Roots, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "download", "buffalo_l"]) == 2
    printed = capsys.readouterr()
    assert "non-commercial" in printed.out
    assert "buffalo_l was not downloaded" in printed.err
    assert not machine.models[0].exists()


def test_a_download_that_fails_ends_with_a_sentence(
    machine: Roots, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = replace(entry("buffalo_l"), url="http://127.0.0.1:9/buffalo_l.zip")
    monkeypatch.setattr("lib_faceid.models.catalogue.entry", lambda _: nowhere)
    monkeypatch.setattr("lib_faceid.models.official_hosts.PLAIN_HOSTS", {"127.0.0.1"})
    assert main(["models", "download", "buffalo_l", "--yes"]) == 2
    assert "127.0.0.1 could not be reached" in capsys.readouterr().err


def test_a_model_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "download", "plusv2"]) == 2
    assert "Did you mean plusv2_sd" in capsys.readouterr().err


def test_the_recogniser_is_compared_with_that_of_the_adapter_that_auto_takes(roots: Roots) -> None:
    """The trained miniature was made for another one than the published adapters."""
    (roots.models[0] / "faceid").mkdir(parents=True)
    (roots.models[0] / "faceid" / TRAINED_ADAPTER.name).symlink_to(TRAINED_ADAPTER)
    put_faces(roots, {"det_500m.onnx": 2_524_817, "w600k_mbf.onnx": 1000}, "buffalo_sc")
    note = row_of(check_setup(roots, 768), "face_models").note
    assert note == "Recogniser w600k_mbf, the one that the adapters were trained with."
    folder = roots.models[0] / "insightface" / "models" / "buffalo_sc"
    (folder / "w600k_mbf.onnx").rename(folder / "w600k_r50.onnx")
    (folder / "w600k_r50.onnx").write_bytes(b"")
    with (folder / "w600k_r50.onnx").open("wb") as file:
        file.truncate(FACE_MODELS["w600k_r50.onnx"])
    assert "trained on w600k_mbf" in row_of(check_setup(roots, 768), "face_models").note
