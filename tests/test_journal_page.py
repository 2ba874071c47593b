"""The tab of the journal without a browser: what its pages show is text, and its callbacks answer in words."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journal_runs import run_of
from PIL import Image

from lib_faceid.journal.compare import compare
from lib_faceid.journal.export import as_csv, as_json
from lib_faceid.journal.journal import Journal
from lib_faceid.journal.run import Run

gr = pytest.importorskip("gradio")

from lib_faceid.ui.journal import JournalServices, build_journal  # noqa: E402
from lib_faceid.ui.journal_html import compare_html, curve_html, run_html, tree_html  # noqa: E402

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def evil() -> Run:
    run = run_of(EVIL, prompt=EVIL, negative=EVIL, note=EVIL, tags=(EVIL,), diagnosis={EVIL: EVIL}, tried=EVIL)
    return replace(run, checkpoint=EVIL, settings={**run.settings, EVIL: EVIL})


def test_nothing_in_a_run_becomes_a_part_of_the_page(journal: Journal) -> None:
    run = journal.add(evil(), finds_parent=False)
    other = journal.add(replace(evil(), prompt=EVIL * 2, parent=1), finds_parent=False)
    for html in (
        run_html(other),
        compare_html(run, other, compare(run, other)),
        tree_html(journal.tree(1), "F-000001"),
        curve_html(EVIL, journal.curve(EVIL)),
    ):
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html


def test_a_picture_is_shown_while_its_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    Image.new("RGB", (600, 300), "red").save(path)
    run = run_of("Anna")
    run = replace(run, pictures=(replace(run.pictures[0], path=str(path)),))
    assert "data:image/jpeg;base64," in run_html(run)
    path.unlink()
    assert "its file is gone" in run_html(run)


def test_the_tab_is_built_and_asks_for_nothing_but_whether_it_is_on(journal: Journal) -> None:
    asked: list[bool] = []

    def is_on() -> bool:
        asked.append(True)
        return False

    def nothing(*_: Any) -> Any:
        raise AssertionError("asked while the page is built")

    with gr.Blocks() as page:
        tab = build_journal(JournalServices(nothing, is_on, nothing))
    assert asked == [True]
    assert tab.infotext.elem_id == "faceid_journal_infotext"
    assert len(page.fns) >= 12


def test_a_spreadsheet_carries_nothing_out() -> None:
    run = run_of("=cmd|' /C calc'!A0", prompt="@SUM(1)", note=" -1+2", tags=("\uff1d1",), likeness=-0.25, time=1.0)
    head, line = "".join(as_csv([run])).splitlines()
    assert head.startswith("run,time,parent")
    for cell in ("'=cmd", "'@SUM(1)", "' -1+2", "'\uff1d1", ",-0.2500,"):
        assert cell in line, cell


def test_json_comes_back() -> None:
    import json

    runs = [run_of("Anna", time=1.0), evil()]
    assert [Run.from_dict(one) for one in json.loads("".join(as_json(runs)))] == runs
    assert json.loads("".join(as_json([]))) == []


def test_an_export_of_the_page_is_a_link_with_the_file_in_it(journal: Journal) -> None:
    from lib_faceid.ui.journal import _exported

    journal.add(run_of("Anna"))
    services = JournalServices(lambda: journal, lambda: True, lambda _: None)
    link = _exported(services, ("Anna", "", "", "newest", -1, 1, "", ""), "csv")
    found = re.search(r'base64,([^"]+)"', link)
    assert found is not None
    assert "F-000001" in base64.b64decode(found[1]).decode("utf-8-sig")
    assert "is no date" in _exported(services, ("", "", "", "newest", -1, 1, "tomorrow", ""), "csv")
