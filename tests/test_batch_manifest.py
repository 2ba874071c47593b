"""Manifests: what rows ask for, products of lists, and every mistake by row and column; never a traceback."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.batch.casts import UNIT_COLUMNS, unit_of
from lib_faceid.batch.columns import OPTION_COLUMNS, REQUEST_COLUMNS
from lib_faceid.batch.known import Known
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.planning import Plan, duration, plan_of
from lib_faceid.batch.reading import Manifest
from lib_faceid.commands.cli import main
from lib_faceid.errors import FileError

KNOWN = Known(lambda purpose: ("Anna", "Ben") if purpose == "person" else ("Dusk",), ("one", "two"), ("plus",), "one")


def manifest(folder: Path, text: str | bytes, name: str = "m.csv", **defaults: Any) -> Manifest:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Manifest(file, KNOWN, defaults)


def pictures(found: Manifest) -> list[Picture]:
    asked = [picture for one in found.asked() for picture in one.pictures()]
    assert not found.mistakes.first, [str(one) for one in found.mistakes.first]
    return asked


def mistakes(found: Manifest) -> list[str]:
    list(found.asked())
    return [str(one) for one in found.mistakes.first]


def test_lists_are_products(tmp_path: Path) -> None:
    text = (
        'people,prompt,place,seeds,size\nAnna || Ben:0.5:left,{people} in {place},town || wood,"1-3, 9",64x64||128x64\n'
    )
    found = pictures(manifest(tmp_path, text))
    assert len(found) == 2 * 2 * 2 * 4
    assert {one.prompt for one in found} == {
        f"{who} in {place}" for who in ("Anna", "Ben") for place in ("town", "wood")
    }
    assert sorted({one.seed for one in found}) == [1, 2, 3, 9]
    assert {one.size for one in found} == {(64, 64), (128, 64)}
    assert found[-1].cast.units == ({"person": "Ben", "weight": 0.5, "region": "left"},)
    assert [one.seed for one in found[:4]] == [1, 2, 3, 9], "seeds change fastest"
    assert found[0].cell == found[3].cell != found[4].cell


def test_the_same_rows_in_three_formats(tmp_path: Path) -> None:
    rows = [
        {"people": "Anna:0.8 + Ben:0.7:right", "prompt": "a {{b}}", "seeds": "1-2", "steps": 5, "cfg": 3, "lora": 0.5}
    ]
    lines = json.dumps({"defaults": {"steps": 5}}) + "\n" + json.dumps({**rows[0]}) + "\n"
    csv_text = "people;prompt;seeds;steps;cfg;lora\nAnna:0.8 + Ben:0.7:right;a {{b}};1-2;5;3;0.5\n"
    row = "{people: 'Anna:0.8 + Ben:0.7:right', prompt: 'a {{b}}', seeds: [1, 2], cfg: 3}"
    yaml_text = f"defaults: {{steps: 5, lora: 0.5}}\nrows:\n- {row}\n"
    found = [
        pictures(manifest(tmp_path, text, name))
        for name, text in (("m.csv", csv_text), ("m.jsonl", lines), ("m.yaml", yaml_text))
    ]
    pytest.importorskip("yaml")
    as_texts = [[{**one.as_dict(), "row": 0} for one in each] for each in found]
    assert as_texts[0] == as_texts[1] == as_texts[2]
    assert found[0][0].prompt == "a {b}"
    assert found[0][0].cast.label == "Anna + Ben"
    assert Picture.from_dict(json.loads(json.dumps(found[0][0].as_dict()))) == found[0][0]


def test_people_are_photos_too(tmp_path: Path, data_folder: Path) -> None:
    photo = data_folder / "photos" / "astronaut.png"
    (tmp_path / "a.png").symlink_to(photo)
    (tmp_path / "b.png").symlink_to(photo)
    (tmp_path / "no.png").write_text("text")
    rows: list[Any] = [
        {"people": "a.png & b.png:0.9:face=2", "prompt": "x"},
        {"people": [{"photos": ["a.png", {"image": "b.png", "weight": 2}], "face": "2", "weight": 0.9}], "prompt": "x"},
        {"people": [["Anna", {"photos": "a.png"}], "Ben"], "prompt": "x"},
    ]
    text = "\n".join(map(json.dumps, rows))
    first, second, both, _ = pictures(manifest(tmp_path, text, "m.jsonl"))
    assert first.cast.units[0]["images"] == [[str(tmp_path / "a.png"), 1.0], [str(tmp_path / "b.png"), 1.0]]
    assert (first.cast.units[0]["weight"], first.cast.units[0]["face"]) == (0.9, "2")
    assert second.cast.units[0]["images"][1] == [str(tmp_path / "b.png"), 2]
    assert both.cast.label == "Anna + a"
    (wrong,) = mistakes(manifest(tmp_path, "people,prompt\nno.png || Anna,x\n"))
    assert "row 2, column people: no.png is no picture" in wrong
    (wrong,) = mistakes(manifest(tmp_path, "people,prompt\ngone.jpg,x\n"))
    assert "gone.jpg cannot be read" in wrong


def test_every_picture_of_a_unit_is_a_file(tmp_path: Path, data_folder: Path) -> None:
    """Also a pose photo and a mask, each of which is one."""
    for name in ("a.png", "pose.png"):
        (tmp_path / name).symlink_to(data_folder / "photos" / "astronaut.png")
    row: dict[str, Any] = {"people": {"photos": "a.png", "pose": "pose.png", "mask": "a.png"}, "prompt": "x"}
    (found,) = pictures(manifest(tmp_path, json.dumps(row), "m.jsonl"))
    unit = unit_of(found.cast.units[0])
    assert (unit.pose, unit.mask) == (tmp_path / "pose.png", tmp_path / "a.png")
    row["people"]["pose"] = "gone.png"
    (wrong,) = mistakes(manifest(tmp_path, json.dumps(row), "m.jsonl"))
    assert "gone.png cannot be read" in wrong
    assert "pose" not in UNIT_COLUMNS


MISTAKES = {
    "people,prompt\nAnne,x\n": "row 2, column people: It calls 'Anne' with a <faceid:...> tag, and there is no",
    "people,prompt\nAnna:9,x\n": "row 2, column people: weight is 9.0",
    "people,prompt\nAnna::nowhere,x\n": "row 2, column people: region",
    "people,prompt,weight\nAnna,x,7\n": "row 2, column weight: weight is 7.0",
    "people,prompt,start,end\nAnna,x,0.9,0.2\n": "row 2, column people: start is 0.9",
    "people,prompt,adapter\nAnna,x,plas\n": "row 2, column adapter: there is no adapter 'plas'. Did you mean 'plus'?",
    "prompt,weight\nx,1\n": "row 2, column weight: a setting of people stands in a row without people",
    "prompt,seeds\nx,-1\n": "row 2, column seeds: '-1' is no seed",
    "prompt,seeds\nx,4-1\n": "is no seed",
    "prompt,seeds,seed\nx,1,1\n": "row 2, column seed: seeds and seed are both given",
    "prompt,size\nx,12x12\n": "row 2, column size: 12x12 is no size",
    "prompt,steps\nx,0\n": "row 2, column steps",
    "prompt,cfg\nx,nan\n": "row 2, column cfg",
    "prompt,checkpoint\nx,tow\n": "row 2, column checkpoint: there is no checkpoint 'tow'. Did you mean 'two'?",
    "prompt,best_of\nx,2.5\n": "row 2, column best_of: best_of is 2.5",
    "prompt,outfit\na {outift},x\n": "the prompt has {outift}, and its row has no such column. Did you mean {outfit}?",
    "prompt,wieght\nx,1\n": "row 2, column wieght: this is no setting, and no prompt has {wieght}. Did you mean",
    "prompt\n<faceid:Eve>\n": "row 2, column prompt: The prompt calls 'Eve'",
    "prompt,negative\nx,<faceid:Anna>\n": "row 2, column prompt: The negative prompt has a <faceid:...> tag",
    "people\nAnna\n": "row 2, column prompt: there is no prompt",
    "prompt,prompt\nx,y\n": "row 1: the head has 'prompt' twice",
    "prompt,size\nx,64x64,more\n": "row 2: 3 cells, and the head has 2",
    'prompt\n"x\n': "this is no CSV",
    "": "row 1: the manifest is empty",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_has_a_row_and_a_column(tmp_path: Path, text: str) -> None:
    found = mistakes(manifest(tmp_path, text))
    assert any(MISTAKES[text] in one for one in found), found


@pytest.mark.parametrize(
    ("file", "text", "row"),
    [
        ("m.jsonl", '{"prompt": "a fine \\ud83d\\ude00"}\n{"prompt": "half \\ud83d"}', 2),
        ("m.jsonl", '{"people": ["Anna", {"name": "\\udc00"}], "prompt": "x"}', 1),
        ("m.jsonl", '{"defaults": {"negative": "\\ud83d"}}\n{"prompt": "x"}', 1),
        ("m.yaml", '- prompt: "half \\ud83d"', 1),
    ],
)
def test_half_of_a_letter_is_a_mistake(tmp_path: Path, file: str, text: str, row: int) -> None:
    """Nothing later on could write it down: no file, no key, no table."""
    (found,) = mistakes(manifest(tmp_path, text, file))
    assert found.startswith(f"row {row}: column '")
    assert "half of a letter" in found


def test_every_mistake_of_a_row_is_said(tmp_path: Path) -> None:
    found = mistakes(manifest(tmp_path, "people,prompt,seeds,size,steps\nEve,{a},x,1,2\nAnna,fine,1,64x64,2\n"))
    assert [one.split(":")[0] for one in found] == [
        f"row 2, column {name}" for name in ("people", "size", "prompt", "seeds")
    ]


def test_a_plan_counts(tmp_path: Path) -> None:
    plan = plan_of(manifest(tmp_path, "people,prompt,seeds\nAnna || Ben,x,1-10\nAnna + Ben,x,1\nAnna,x,3\n"))
    assert (plan.rows, plan.pictures, plan.identities, plan.twice, plan.is_right) == (3, 22, 2, 1, True)
    assert plan.sentences(plan.work / 7200)[-1] == "About 2 h 0 min at the speed last measured."
    assert "not known yet" in plan.sentences(None)[-1]
    assert [duration(one) for one in (5, 600, 86400 * 4)] == ["5 s", "10 min", "4.0 days"]


def test_many_rows_take_little_memory(tmp_path: Path) -> None:
    """The first 20,000 of a million; the whole is measured in docs/BATCH.md."""
    import tracemalloc

    def rows(count: int) -> Path:
        file = tmp_path / f"{count}.csv"
        lines = (f"Anna:0.{at % 9 + 1},picture {at} of {{people}},{at}\n" for at in range(count))
        file.write_text("people,prompt,seeds\n" + "".join(lines))
        return file

    tracemalloc.start()
    peaks: list[int] = []
    for count in (2_000, 20_000):
        file = rows(count)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert plan_of(Manifest(file, KNOWN)).pictures == count
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    assert peaks[1] - peaks[0] < 18_000 * 100, "under 100 bytes a row"


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no manifest"):
        list(manifest(tmp_path, "", "m.txt").asked())
    with pytest.raises(FileError, match="no UTF-8"):
        list(manifest(tmp_path, b"prompt\n\xff\xfe\n").asked())
    with pytest.raises(FileError, match="cannot be read"):
        list(Manifest(tmp_path / "gone.csv", KNOWN).asked())


def test_the_command_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lib_faceid.models.folders._clone_models", lambda: ())
    Path("m.csv").write_text("people,prompt,seeds\nrobin,x,1-4\n")
    assert main(["batch", "plan", "m.csv"]) == 0
    assert "4 pictures from 1 row: 1 identity, 1 checkpoint." in capsys.readouterr().out
    Path("m.csv").write_text("people,prompt,seeds\nrobin:5,x,z\n")
    assert main(["batch", "plan", "m.csv"]) == 2
    said = capsys.readouterr()
    assert "row 2, column people: weight is 5.0" in said.out
    assert "row 2, column seeds" in said.out
    assert "m.csv has 2 mistakes. Nothing was drawn." in said.err


NAMES = ["people", "prompt", "seeds", "place", *UNIT_COLUMNS, *OPTION_COLUMNS, *REQUEST_COLUMNS]
CELLS = st.sampled_from(
    [
        "Anna",
        "Anna:0.5 + Ben",
        "a {place}",
        "{",
        "}}",
        "{{",
        "1-3",
        "0",
        "-1",
        "||",
        "64x64",
        "<faceid:Anna>",
        "<",
        "true",
        "1e999",
    ]
)
VALUES = st.recursive(
    CELLS | st.text(max_size=12) | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


def planned(name: str, content: bytes) -> Plan:
    """A plan, or the error of ours; whatever else is raised fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        plan = plan_of(Manifest(file, KNOWN))
    assert plan.is_right or all(one.row > 0 and one.sentence for one in plan.mistakes)
    return plan


@given(st.lists(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), VALUES, max_size=6), max_size=4))
def test_any_rows_give_a_plan_or_sentences(rows: list[dict[str, Any]]) -> None:
    plan = planned("m.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert plan.rows <= max(len(rows), 1)


@given(st.sampled_from(["m.csv", "m.jsonl", "m.yaml"]), st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_a_plan_or_a_sentence(name: str, content: bytes) -> None:
    with suppress(FileError):
        planned(name, content)


@given(
    st.lists(
        st.lists(CELLS | st.text(alphabet='ab,;"|{}<>: \n', max_size=8), min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_any_cells_give_a_plan_or_sentences(cells: list[list[str]]) -> None:
    head = ",".join(NAMES[: len(cells[0])])
    planned("m.csv", "\n".join([head, *(",".join(row) for row in cells)]).encode())
