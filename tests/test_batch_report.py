"""What a studio sees: the page in Chromium, the table, failures, the journal; all from what is on the disk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from batches import KNOWN, PlayedEngine, UnitError, key_of, likeness_of
from PIL import Image

from lib_faceid.batch import report
from lib_faceid.batch.engine import Drawn
from lib_faceid.batch.index import Task
from lib_faceid.batch.journalling import journal_of
from lib_faceid.batch.page import page
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.report import COLUMNS, told_in
from lib_faceid.batch.running import Run
from lib_faceid.batch.store import Store
from lib_faceid.batch.summary import BINS, Summary
from lib_faceid.journal.journal import open_journal
from lib_faceid.journal.run import Drawn as Picked
from lib_faceid.journal.run import Run as JournalRun
from lib_faceid.models.folders import Roots

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "=cmd()</script><img src=x onerror=alert(1)>"
ROWS = f"people,prompt,seeds\nAnna || Ben,{{people}} in town,1-20\nCleo,{HOSTILE},1-6\n"


def picture_of(task: Task) -> bytes:
    out = io.BytesIO()
    tone = int(255 * likeness_of(task.picture))
    Image.new("RGB", (64, 64), (tone, 90, 160)).save(out, "PNG")
    return out.getvalue()


class Painter(PlayedEngine):
    """Draws one colour for each likeness; one picture cannot be drawn."""

    def open(self, place: str):  # noqa: ANN201
        worker = super().open(place)
        plain = worker.draw

        def draw(task: Task) -> Drawn:
            found = plain(task)
            return Drawn(picture_of(task), found.record, found.likeness, found.seconds, {"prompt": task.picture.prompt})

        worker.draw = draw  # type: ignore[method-assign]
        return worker


def trouble(worker: str, picture: Picture) -> None:
    if picture.cast.label == "Ben" and picture.seed == 7:
        raise UnitError("No face was found in <b>reference 1</b>.")


def draw(folder: Path, file: str = "m.csv") -> Store:
    """Draw a manifest; where there is none yet, the one above."""
    if not (folder / file).exists():
        (folder / file).write_text(ROWS)
    store = Store(folder / "out")
    with store.held():
        run = Run(Manifest(folder / file, KNOWN), store, Painter(2, trouble), key_of, command=["faceid", "batch"])
        run.tell = told_in(store, file)
        run.run()
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return draw(tmp_path_factory.mktemp("report"))


@pytest.fixture
def opened(browser: Browser, store: Store) -> Iterator[Page]:
    shown = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    problems: list[str] = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("dialog", lambda dialog: problems.append(dialog.message))
    shown.goto((store.folder / "report.html").as_uri())
    yield shown
    shown.close()
    assert all(url.startswith("file:") for url in asked), "nothing from elsewhere"
    assert not problems


@pytest.mark.browser
def test_the_page_shows_filters_and_sorts(opened: Page) -> None:
    def captions() -> list[str]:
        return opened.locator("#all figcaption").all_inner_texts()

    assert opened.locator("#people tbody tr").count() == 3
    assert opened.locator("#people .bars i").count() == 3 * BINS
    assert len(captions()) == 45
    assert opened.locator("#worst figure").count() == 10
    worst = [float(text.split()[0]) for text in opened.locator("#worst figcaption").all_inner_texts()]
    assert worst == sorted(worst)
    opened.select_option("select[name=who]", label="Ben (19)")
    assert len(captions()) == 19
    assert all("Ben" in text for text in captions())
    opened.select_option("select[name=order]", "best")
    found = [float(text.split()[0]) for text in captions()]
    assert found == sorted(found, reverse=True)
    opened.fill("input[name=low]", "0.5")
    assert [float(text.split()[0]) >= 0.5 for text in captions()].count(False) == 0
    assert 0 < len(captions()) < 19
    opened.reload()
    assert opened.input_value("select[name=order]") == "best", "what was chosen outlives a reload"
    opened.fill("input[name=text]", "onerror")
    assert len(captions()) == 0
    opened.select_option("select[name=who]", "")
    opened.fill("input[name=low]", "")
    assert len(captions()) == 6, "text of a prompt stays text"
    opened.wait_for_function("[...document.images].slice(0, 4).every((one) => one.complete && one.naturalWidth === 64)")


@pytest.mark.browser
def test_the_page_says_what_could_not_be_drawn(opened: Page) -> None:
    text = opened.locator("#failures").inner_text()
    assert "No face was found in <b>reference 1</b>." in text
    assert "row 2" in text
    assert "faceid batch --rows 2" in text
    assert "45/46" in opened.locator("#line").inner_text()


def test_the_table_has_every_picture(store: Store) -> None:
    lines = list(csv.DictReader((store.folder / "results.csv").open(encoding="utf-8", newline="")))
    assert list(lines[0]) == list(COLUMNS)
    assert (len(lines), sum(one["state"] == "drawn" for one in lines)) == (46, 45)
    assert {one["prompt"] for one in lines if one["people"] == "Cleo"} == {f"'{HOSTILE}"}, (
        "no formula for a spreadsheet"
    )
    for one in lines[:45]:
        assert json.loads((store.folder / one["file"]).with_suffix(".json").read_text())["sha256"] == one["sha256"]


def test_the_table_for_programs_has_the_same_in_kinds(tmp_path: Path) -> None:
    """Words as they are, numbers as numbers."""
    parquet = pytest.importorskip("pyarrow.parquet")
    row = {"people": "Anna", "prompt": HOSTILE, "seeds": [1, 2**63 + 5], "cfg": 6.5}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    store = draw(tmp_path, file="m.jsonl")
    table = parquet.read_table(store.folder / "results.parquet")
    assert tuple(table.column_names) == COLUMNS
    lines = table.to_pylist()
    assert [one["seed"] for one in lines] == [1, 2**63 + 5]
    assert {one["prompt"] for one in lines} == {HOSTILE}
    assert {one["cfg"] for one in lines} == {6.5}
    shown = csv.DictReader((store.folder / "results.csv").open(encoding="utf-8", newline=""))
    assert [(one["key"], f"{one['likeness']:.4f}") for one in lines] == [
        (one["key"], f"{float(one['likeness']):.4f}") for one in shown
    ]
    assert not list(store.folder.glob("*.part"))


def test_very_many_pictures_have_a_page_for_each_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_SHOWN", 15)
    store = draw(tmp_path)
    pages = sorted((store.folder / "report").glob("*.html"))
    assert [one.name for one in pages] == ["0001.html", "0002.html", "0003.html"]
    first = data_of(pages[0])
    assert (first["title"], len(first["pictures"]), first["base"]) == ("Anna", 15, "../")
    assert first["note"] == "5 more stand in results.csv only."
    assert data_of(store.folder / "report.html")["people"][0]["page"] == "report/0001.html"


def data_of(file: Path) -> dict[str, Any]:
    text = file.read_text().split('type="application/json">')[1].split("</script>")[0]
    return json.loads(text)


def test_nothing_of_the_data_is_html() -> None:
    assert "<b>" not in page({"title": "</script><b>"})


def test_a_summary_counts() -> None:
    lines = [(f"{at}", 2, "Anna" if at % 2 else "Ben", at, at / 100, "x") for at in range(100)]
    found = Summary().read([*lines, ("none", 3, "Ben", 1, None, "x"), ("out", 3, "Ben", 1, -0.9, "x")])
    assert [one[0] for one in found.worst] == ["out", *(f"{at}" for at in range(9))]
    ben = found.people["Ben"]
    assert (ben.count, ben.measured, ben.lowest, sum(ben.histogram)) == (52, 51, -0.9, 51)
    assert Summary().read([]).worst == []


def test_runs_of_the_journal_name_the_file(tmp_path: Path) -> None:
    roots, said = Roots(models=(tmp_path,)), list[str]()
    write = journal_of(roots, "batch m", said.append)
    path = tmp_path / "a.png"
    path.write_bytes(b"png")
    task = Task(1, "k", 0, 0, Picture(2, 0, "x", 1))
    run = JournalRun("a prompt", pictures=(Picked(7),)).as_dict()
    write(task, Drawn(b"png", {}, None, 0.1, run), path)
    write(task, Drawn(b"png", {}, None, 0.1, None), path)
    (entry,) = open_journal(roots).page().entries
    found = open_journal(roots).run(entry.id)
    assert (found.prompt, found.tags, found.pictures[0].path) == ("a prompt", ("batch m",), str(path))
    assert not said
