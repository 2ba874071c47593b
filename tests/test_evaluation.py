"""The benchmark harness: its formulas by hand, its tables by planted vectors, and a whole run on the miniature."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.results import put_table
from gallery import photo_of
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.commands.cli import main
from lib_faceid.encoders.clip_towers import find_clip_towers, load_clip_towers
from lib_faceid.errors import FaceIDError, FileError, MissingModelError, UnitError
from lib_faceid.evaluation.formulas import copy_paste, counted, greedy_lowest, leave_one_out, place, summary_of, variety
from lib_faceid.evaluation.inputs import Subject, read_people, read_prompts
from lib_faceid.evaluation.looking import Seen, SeenFace
from lib_faceid.evaluation.plan import ALONE, Cell, Lines, Plan, open_folder
from lib_faceid.evaluation.protocols import PROTOCOLS, protocol
from lib_faceid.evaluation.summary import figures_of, people_of
from lib_faceid.evaluation.tables import Report, as_dict, as_markdown, as_svg, differences
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.hosts.diffusers.tokenizer import write_tokenizer
from lib_faceid.inventory.measured import measurements
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.models.folders import Roots


def at(degrees: float) -> np.ndarray:
    """A unit vector of a plane."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0])


# ------------------------------------------------------------------ formulas


def test_copy_paste_is_one_for_the_photo_and_below_nought_for_the_truth() -> None:
    photo, truth = at(0), at(60)
    assert copy_paste(photo, photo, truth) == pytest.approx(1)
    assert copy_paste(at(30), photo, truth) == pytest.approx(0)
    assert copy_paste(truth, photo, truth) == pytest.approx(-1)
    assert copy_paste(photo, photo, photo) is None


def test_what_a_picture_counts() -> None:
    assert counted(None, is_absent_zero=True, is_negative_zero=False) == 0
    assert counted(None, is_absent_zero=False, is_negative_zero=False) is None
    assert counted(-0.2, is_absent_zero=False, is_negative_zero=True) == 0
    assert counted(-0.2, is_absent_zero=False, is_negative_zero=False) == -0.2


def test_the_lower_of_two_people_counts_matched_greedily() -> None:
    assert greedy_lowest(np.array([[0.9, 0.8], [0.7, 0.1]])) == pytest.approx(0.1)  # 0.9 first, then what is left
    assert greedy_lowest(np.array([[0.9], [0.7]])) is None
    assert greedy_lowest(np.zeros((2, 0))) is None


def test_leave_one_out_and_the_place_between() -> None:
    assert leave_one_out([at(0), at(60)]) == pytest.approx([0.5, 0.5])
    assert leave_one_out([at(0)]) == []
    found = place(0.3, [0.5, 0.7], [0.0, 0.2])
    assert (found.own, found.strangers, found.share) == pytest.approx((0.6, 0.1, 0.4))
    assert place(0.3, [], [0.1]).share is None


def test_variety_is_the_mean_of_all_pairs() -> None:
    assert variety([at(0), at(60), at(120)]) == pytest.approx((0.5 + 0.5 - 0.5) / 3)
    assert variety([at(0)]) is None


vectors = st.lists(st.floats(-1, 1, allow_nan=False), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 1e-3)


@given(vectors, vectors, vectors)
def test_any_three_vectors_have_a_copy_paste_of_at_most_one(
    one: list[float], two: list[float], three: list[float]
) -> None:
    found = copy_paste(np.array(one), np.array(two), np.array(three))
    assert found is None or -1.0001 <= found <= 1.0001  # the angle is a metric


@given(st.lists(st.none() | st.floats(-1, 1), max_size=8))
def test_any_values_have_a_summary(values: list[float | None]) -> None:
    found = summary_of(values)
    known = [value for value in values if value is not None]
    assert found["lowest"] == (min(known) if known else None)


# ------------------------------------------------------------------ protocols and inputs


def test_the_published_figures() -> None:
    assert protocol("pulid").published["FaceID"] == {"face": 0.572, "clip_text": 30.03, "clip_plain": 0.749}
    assert protocol("uniportrait").published["FaceID Plus v2"] == {"face": 0.684, "clip_text": 24.7}
    assert protocol("uniportrait-two").published["UniPortrait"]["face"] == 0.673
    assert protocol("pulid").prompts == ("portrait, color, cinematic, in garden, soft light, detailed face",)
    assert (
        protocol("fastcomposer").people,
        protocol("fastcomposer").file_prompts,
        protocol("fastcomposer").images,
    ) == (15, 40, 4)
    with pytest.raises(UnitError, match="protocol is 'none'"):
        protocol("none")


def test_people_and_prompts_of_files(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    shutil.copy(photo_of("never_seen_00"), tmp_path / "ann" / "1.jpg")
    shutil.copy(photo_of("never_seen_01"), tmp_path / "ben.jpg")
    (tmp_path / "ann" / "class.txt").write_text("woman\n", "utf-8")
    (tmp_path / "notes.txt").write_text("not a person", "utf-8")
    ann, ben = read_people(tmp_path)
    assert (ann.name, ann.word, len(ann.photos)) == ("ann", "woman", 1)
    assert (ben.name, ben.prompt("a {class}")) == ("ben", "a person")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# mine\n\na {class}\na {class}\n", "utf-8")
    assert read_prompts(prompts, ("own",)) == ("own", "a {class}")
    with pytest.raises(FileError, match="0 prompts"):
        read_prompts(None)
    prompts.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="UTF-8"):
        read_prompts(prompts)
    with pytest.raises(FileError, match="no folder"):
        read_people(prompts)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceIDError, match="no photo"):
        read_people(tmp_path)


# ------------------------------------------------------------------ what is kept


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = Lines(file)
    lines.add({"key": "a", "n": 1})
    lines.add({"key": "b", "n": 2})
    whole = file.read_bytes()
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        again = Lines(file)
        again.add({"key": "c", "n": 3})
        found = Lines(file).rows
        assert found["c"]["n"] == 3
        assert ("a" in found) == (cut >= whole.index(b"\n")), cut


def test_another_plan_wants_another_folder(tmp_path: Path) -> None:
    plan = made_plan(("ann",))
    open_folder(tmp_path, plan)
    open_folder(tmp_path, replace(plan, seeds=(1, 2, 3), adapters=("x",)))
    with pytest.raises(FileError, match="steps 25, and 9 was asked for"):
        open_folder(tmp_path, replace(plan, steps=9))


def made_plan(names: tuple[str, ...], name: str = "plain", **more: Any) -> Plan:
    asked = protocol(name)
    people = tuple(Subject(one, (Path(f"{one}.jpg"),)) for one in names)
    given: dict[str, Any] = {"prompts": ("p", *asked.prompts), "seeds": (0, 1), "adapters": ("x",)} | more
    return Plan(asked, people, **given, checkpoint="c", steps=25, cfg=7, size_px=None, weight=0.8, lora=0.6)


# ------------------------------------------------------------------ figures of planted vectors


def report_of(plan: Plan, people: dict[str, list[np.ndarray]], faces: dict[Cell, list[np.ndarray]]) -> Report:
    rows: list[dict[str, Any]] = [
        {"key": cell.key, "adapter": cell.adapter, "people": list(cell.people), "prompt": cell.prompt,
         "seed": cell.seed, "seconds": 2.0, "memory_mib": 100}
        for cell in plan.cells()
    ]  # fmt: skip
    seen = {cell.key: Seen(tuple(SeenFace(vector, 100) for vector in faces.get(cell, []))) for cell in plan.cells()}
    known = people_of(people)
    clip: dict[str, dict[str, Any]] = {
        row["key"]: {"clip_text": 0.25, "clip_photo": 0.5, "clip_plain": None} for row in rows
    }
    figures = tuple(figures_of(plan, one, rows, seen, known, clip) for one in (ALONE, *plan.adapters))
    return Report(plan, known, figures, "w600k_mbf-1", ("w600k_mbf-1",))


def test_the_figures_of_planted_faces() -> None:
    plan = made_plan(("ann", "ben"))
    people = {"ann": [at(0), at(60)], "ben": [at(90)]}
    faces = {
        Cell("x", ("ann",), "p", 0): [at(20)],
        Cell("x", ("ann",), "p", 1): [at(80), at(40)],  # the most alike of two counts
        Cell("x", ("ben",), "p", 0): [at(30)],  # ann is more like it
        Cell(ALONE, (), "p", 0): [at(45)],
    }
    alone, one = report_of(plan, people, faces).figures
    cosines = [math.cos(math.radians(angle)) for angle in (20, 40, 60)]
    assert (one.face, one.face_lowest, one.pictures) == (pytest.approx(np.mean(cosines)), pytest.approx(0.5), 4)
    assert (one.rank_1, one.not_found, one.variety) == (0.5, 0.25, pytest.approx(cosines[0]))
    assert one.copy_paste == pytest.approx(np.mean([(40 - 20) / 60, (20 - 40) / 60]))
    assert one.truth == pytest.approx(np.mean([math.cos(math.radians(40)), math.cos(math.radians(20))]))
    assert (one.clip_text, one.seconds, one.memory_mib) == (pytest.approx(25), 2.0, 100)
    assert alone.face == pytest.approx(math.cos(math.radians(45)))
    assert (alone.rank_1, alone.copy_paste, alone.not_found) == (None, None, 0.5)
    assert one.place is not None
    assert one.place.own == pytest.approx(0.5)


def test_fastcomposer_counts_the_first_face_and_nought_for_none() -> None:
    plan = made_plan(("ann", "ben"), "fastcomposer")
    people = {"ann": [at(0)], "ben": [at(90)]}
    faces = {Cell("x", ("ann",), "p", 0): [at(60), at(0)], Cell("x", ("ann",), "p", 1): [at(170)]}
    one = report_of(plan, people, faces).figures[1]
    assert one.face == pytest.approx(0.5 / 4)  # 0.5, a negative one, and two without a face


def test_pulid_measures_faces_with_its_own_prompt_alone() -> None:
    plan = made_plan(("ann", "ben"), "pulid", seeds=(0,))
    own = plan.protocol.prompts[0]
    faces = {
        Cell("x", ("ann",), "p", 0): [at(90)],
        Cell("x", ("ann",), own, 0): [at(0)],
        Cell("x", ("ben",), own, 0): [at(90)],
    }
    one = report_of(plan, {"ann": [at(0)], "ben": [at(90)]}, faces).figures[1]
    assert (one.face, one.pictures) == (pytest.approx(1), 4)


def test_of_two_people_the_lower_counts() -> None:
    plan = made_plan(("ann", "ben", "cleo"), "uniportrait-two", seeds=(0,))
    assert len([cell for cell in plan.cells() if cell.people]) == 3
    faces = {Cell("x", ("ann", "ben"), "p", 0): [at(0), at(30)], Cell("x", ("ann", "cleo"), "p", 0): [at(0)]}
    one = report_of(plan, {"ann": [at(0)], "ben": [at(90)], "cleo": [at(180)]}, faces).figures[1]
    assert one.face == pytest.approx(0.5 / 3)
    assert one.not_found == pytest.approx(2 / 3)


def test_the_report_says_what_differs_and_who_judged() -> None:
    plan = made_plan(("ann", "ben"), "pulid")
    report = report_of(plan, {"ann": [at(0)], "ben": [at(90)]}, {})
    told = " ".join(differences(report))
    assert "marks its own work" in told
    assert "CurricularFace" in told
    assert "People: 50 in the protocol, 2 here." in told
    assert "models/clip" in told
    other = replace(report, judge="curricularface-2", towers="ViT-L")
    assert "marks its own work" not in " ".join(differences(other))
    assert "judge is CurricularFace" not in " ".join(differences(other))
    table = as_markdown(report)
    assert "| *FaceID, published* |" in table
    assert "0.572" in table
    assert as_svg(report).startswith("<svg")
    json.dumps(as_dict(report), allow_nan=False)


def test_a_name_is_no_markup() -> None:
    plan = made_plan(("ann", "ben"), adapters=("<b>|.bin",))
    faces = {Cell("<b>|.bin", ("ann",), "p", 0): [at(0)]}
    report = report_of(plan, {"ann": [at(0)], "ben": [at(90)]}, faces)
    assert "<b>" not in as_svg(report)
    assert "<b>\\|.bin" in as_markdown(report)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_a_report_of_nothing(name: str) -> None:
    plan = made_plan(("ann", "ben"), name)
    assert as_markdown(report_of(plan, {"ann": [at(0)], "ben": [at(90)]}, {}))


# ------------------------------------------------------------------ towers and a whole run


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of both towers with random weights, as transformers saves them."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "clip" / "tiny"
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 49_408, "max_position_embeddings": 77, "eos_token_id": 49_407},
        vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def test_the_towers_are_those_of_transformers(towers: Path) -> None:
    import transformers
    from PIL import Image

    found = find_clip_towers(Roots((towers.parent.parent,)))
    assert found == towers
    mine = load_clip_towers(towers)
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    model = transformers.CLIPModel.from_pretrained(str(towers)).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(str(towers))
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    tokens = tokenizer(["a photo"], padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        given = model(**tokens, **processor(Image.fromarray(pixels), return_tensors="pt"))
    assert mine.match("a photo", pixels) == pytest.approx(float(given.text_embeds[0] @ given.image_embeds[0]), abs=1e-4)
    with pytest.raises(MissingModelError, match="both towers"):
        load_clip_towers(towers.parent)


def test_a_run_that_is_stopped_goes_on(
    analyser: FaceAnalyser, trained_checkpoint: Path, face_models: Path, towers: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    people = tmp_path / "people"
    people.mkdir()
    for number in (0, 4):
        shutil.copy(photo_of(f"never_seen_{number:02}"), people / f"p{number}.jpg")
    (tmp_path / "prompts.txt").write_text("a photo of a person, blue background\n", "utf-8")
    line = [
        "evaluate", "--people", str(people), "--prompts", str(tmp_path / "prompts.txt"), "--seeds", "2", "--steps", "6",
        "--cfg", "2", "--size", "128x128", "--adapters", str(TRAINED_ADAPTER), "--checkpoint", str(trained_checkpoint),
        "--face-models", str(face_models), "--clip", str(towers), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "models"))
    drawn = tmp_path / "out" / "pictures.jsonl"
    add, stop_after = Lines.add, 3

    def stopped(self: Lines, row: Any) -> None:
        add(self, row)
        if len(self.rows) == stop_after and self.file == drawn:
            raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "add", stopped)
    assert main(line) == 130
    kept = drawn.read_bytes()
    assert kept.count(b"\n") == stop_after
    monkeypatch.setattr(Lines, "add", add)
    assert main(line) == 0
    assert "3 pictures to draw, 3 are there." in capsys.readouterr().out
    assert drawn.read_bytes().startswith(kept)
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    alone, one = report["figures"]
    assert (alone["pictures"], one["pictures"]) == (2, 4)
    assert one["face"] > alone["face"] + 0.05
    assert set(one["by_person"]) == {"p0", "p4"}
    assert one["clip_text"] is not None
    assert one["clip_plain"] is not None
    assert one["seconds"] > 0
    assert report["judge"] == analyser.recogniser
    assert any("marks its own work" in note for note in report["notes"])
    assert "face similarity" in (tmp_path / "out" / "report.md").read_text("utf-8")
    before = drawn.read_bytes()
    assert main(line) == 0
    assert drawn.read_bytes() == before
    assert main([*line[:-1], str(tmp_path / "out"), "--weight", "0.5"]) == 2
    assert "weight 0.8, and 0.5 was asked for" in capsys.readouterr().err
    (kept_now,) = measurements(Roots((tmp_path / "models",)))
    assert (kept_now.checkpoint, kept_now.of(TRAINED_ADAPTER)["face"]) == (trained_checkpoint.stem, one["face"])
    assert "1 prompts x 2 seeds, 6 steps, CFG 2, weight 0.8; judged by" in kept_now.about


PAGE = Path(__file__).parents[1] / "docs" / "EVALUATE.md"


def write_page(page: Path) -> None:
    rows = [
        "| name | of | base | people | prompts | pictures each | steps | CFG | judge |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in PROTOCOLS.values():
        prompts = [f"{len(one.prompts)} own"] * bool(one.prompts) + [f"{one.file_prompts} of a file"] * bool(
            one.file_prompts
        )
        cells = [
            f"`{one.id}`",
            one.source,
            one.base,
            one.people,
            ", ".join(prompts),
            one.images,
            one.steps,
            f"{one.cfg:g}",
            one.judge,
        ]
        rows.append(f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} |")
    put_table(page, "protocols", "\n".join(rows) + "\n")


def test_the_page_has_the_protocols(tmp_path: Path) -> None:
    """To write them: `python tests/test_evaluation.py` in the project's folder."""
    copy = tmp_path / PAGE.name
    copy.write_text(PAGE.read_text("utf-8"), "utf-8")
    write_page(copy)
    assert copy.read_text("utf-8") == PAGE.read_text("utf-8")


if __name__ == "__main__":
    write_page(PAGE)
