"""Which adapter to take: what is here, what it lacks, what was measured with it; in a table that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("gradio")

from lib_faceid.commands.evaluate import add_evaluate
from lib_faceid.errors import MissingModelError
from lib_faceid.inventory.check import check_setup
from lib_faceid.inventory.measured import Measurement, keep_measurement, measurements
from lib_faceid.inventory.which import which_one
from lib_faceid.methods.registry import METHODS
from lib_faceid.models.folders import Roots
from lib_faceid.ui.which import which_html

SD15, SDXL = 768, 2048


@pytest.fixture
def roots(tmp_path: Path, miniature_adapter: Callable[..., Path], face_models: Path) -> Roots:
    """Two adapters for SD 1.5, of which one reads CLIP, which is not here; face models."""
    folder = tmp_path / "models" / "faceid"
    folder.mkdir(parents=True)
    for variant in ("faceid", "plusv2"):
        source = miniature_adapter(variant, "sd15")
        (folder / source.name).write_bytes(source.read_bytes())
    (tmp_path / "models" / "insightface" / "models").mkdir(parents=True)
    (tmp_path / "models" / "insightface" / "models" / "buffalo_l").symlink_to(face_models)
    return Roots((tmp_path / "models",))


def test_each_method_says_what_it_is_for_and_what_is_here(roots: Roots) -> None:
    found = which_one(check_setup(roots, SD15))
    assert [one.method for one in found] == [one for one in METHODS if any(SD15 in v.bases for v in one.variants)]
    of_faces = {choice.label: choice for choice in found[0].choices}
    plain, plus = of_faces["FaceID for SD 1.5"], of_faces["FaceID Plus v2 for SD 1.5"]
    assert (plain.lacks, plain.is_auto, bool(plain.file)) == ("", True, True)
    assert (plus.lacks, plus.is_auto, bool(plus.file)) == ("lacks CLIP ViT-H", False, True)
    assert of_faces["FaceID Plus for SD 1.5"].lacks == "not here"
    assert [bool(one.file) for one in found[0].choices] == sorted([bool(one.file) for one in found[0].choices])[::-1]


def test_what_was_measured_is_kept_by_checkpoint_the_last_first(roots: Roots, tmp_path: Path) -> None:
    assert measurements(roots) == []
    first = Measurement("one", "then", {"a.bin": {"face": 0.5}})
    for each in (first, Measurement("two", "now", {}), Measurement("one", "later", {"a.bin": {"face": 0.6}})):
        keep_measurement(roots, each)
    assert [(one.checkpoint, one.about) for one in measurements(roots)] == [("one", "later"), ("two", "now")]
    assert measurements(roots)[0].of(Path("/somewhere/a.bin")) == {"face": 0.6}
    assert measurements(roots)[0].of(Path("b.bin")) == {}
    file = next(tmp_path.rglob("measured.json"))
    file.write_text(
        json.dumps({"one": 3, "two": {"about": "x", "figures": [1]}, "three": {"about": "", "figures": {}}})
    )
    assert [one.checkpoint for one in measurements(roots)] == ["three"]
    file.write_text("{")
    assert measurements(roots) == []


def test_the_table_has_only_figures_that_are_there_and_escapes_names(roots: Roots) -> None:
    report = check_setup(roots, SD15)
    html = which_html(which_one(report), None)
    assert "Likeness" not in html
    assert "evaluate --people" in html
    file = which_one(report)[0].choices[0].file
    measured = Measurement("<b>", "2026-11-26", {file: {"face": 0.512, "seconds": 3.25}})
    html = which_html(which_one(report, measured), measured)
    for part in (
        "Likeness",
        "0.51",
        "Seconds",
        "Measured with &lt;b&gt;",
        "Auto takes it",
        "not here",
        METHODS[0].summary,
    ):
        assert part in html
    assert "CLIP-T" not in html


def test_a_checkpoint_of_no_family_has_none(roots: Roots) -> None:
    assert "There is no adapter" in which_html(which_one(check_setup(roots, 1024)), None)


def test_all_adapters_are_those_that_can_be_used(roots: Roots, tmp_path: Path, trained_checkpoint: Path) -> None:
    import argparse

    from lib_faceid.app.resources import Resources
    from lib_faceid.commands.evaluate import adapters_of

    parser = argparse.ArgumentParser()
    add_evaluate(parser)
    options = parser.parse_args(["--people", "x", "--adapters", "all"])
    (only,) = adapters_of(options, Resources(roots), trained_checkpoint)
    assert only == which_one(check_setup(roots, SD15))[0].choices[0].file
    with pytest.raises(MissingModelError, match="can be used"):
        adapters_of(options, Resources(Roots((tmp_path / "nothing",))), trained_checkpoint)
