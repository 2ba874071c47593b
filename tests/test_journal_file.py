"""The journal's file: older and newer ones, damaged ones, many programs at once, killed ones; and no slow query."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journal_runs import run_of

from lib_faceid.errors import FileError
from lib_faceid.journal import schema, words
from lib_faceid.journal.filters import Filter, query
from lib_faceid.journal.journal import Journal, open_journal
from lib_faceid.journal.run import UsedUnit
from lib_faceid.models.folders import Roots

PROJECT = Path(__file__).resolve().parent.parent
OLD = PROJECT / "tests" / "fixtures" / "journal" / "version_1.sqlite"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def tables(file: Path) -> list[Any]:
    with sqlite3.connect(file) as db:
        found = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
    db.close()
    return found


# ----------------------------------------------------------------------------------------------------------- its forms
def test_a_file_of_the_first_form_is_brought_up(journal: Journal, tmp_path: Path) -> None:
    shutil.copy(OLD, journal.file)
    assert [entry.id for entry in journal.page().entries] == ["F-000005", "F-000002", "F-000001"]
    second = journal.run(2)
    assert (second.tried, second.parent, second.likeness) == ("FaceID 0 weight: 0.8 to 1", 1, 0.5)
    assert second.units[0].references == ("3f9c1a2b" * 8,)
    assert [entry.id for entry in journal.page(Filter(text="gard", tag="draft")).entries] == [
        "F-000005", "F-000002", "F-000001",
    ]  # fmt: skip
    assert [one.depth for one in journal.tree(5)] == [0, 1, 2]
    assert journal.add(run_of("Bert")).id == "F-000006"
    new = Journal(tmp_path / "new.sqlite")
    new.add(run_of("Anna"))
    assert [name for name, _ in tables(journal.file)] == [name for name, _ in tables(new.file)]
    assert journal.forget("nobody", ["3f9c1a2b"]).runs == 3, "photos of old runs are known as well"


def test_a_file_of_the_second_form_learns_who_was_drawn_from_photos_and_what_was_refused(journal: Journal) -> None:
    unit = UsedUnit(0, {"weight": 0.8}, "", ("d3ca32c0", "ab" * 32))
    image = UsedUnit(1, {"purpose": "image"}, "", ("11112222",))
    journal.add(replace(run_of(likeness=0.4, diagnosis={"not_it": ["waxy"]}), units=(unit, image)))
    journal.add(run_of("Anna", diagnosis="too dark"))
    expected = journal.people(), journal.curve("photo d3ca32c0"), journal.refused(1), tables(journal.file)
    assert expected[0] == ("Anna", "photo d3ca32c0")
    assert expected[2] == ({"waxy"}, {"waxy"})
    with sqlite3.connect(journal.file) as db:
        db.execute("DROP TABLE refused")
        db.execute("DELETE FROM people WHERE name != 'Anna'")
        db.execute("INSERT INTO words (words, rowid, prompt, note, tags, tried, people) "
                   "SELECT 'delete', number, prompt, note, tags, tried, people FROM runs WHERE number = 1")  # fmt: skip
        db.execute("UPDATE runs SET people = '' WHERE number = 1")
        db.execute("PRAGMA user_version = 2")
    db.close()
    assert [one.id for one in journal.page(Filter(person="photo d3ca32c0")).entries] == ["F-000001"]
    assert [one.id for one in journal.page(Filter(text="d3ca32c0")).entries] == ["F-000001"]
    assert journal.page().entries[1].people == ("photo d3ca32c0",)
    assert (journal.people(), journal.curve("photo d3ca32c0"), journal.refused(1), tables(journal.file)) == expected


def test_a_migration_that_fails_changes_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(OLD, journal.file)
    before = tables(journal.file)

    def half(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE runs ADD COLUMN half INTEGER")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], half))
        with pytest.raises(FileError, match="cannot be used: database or disk is full"):
            journal.page()
    assert tables(journal.file) == before
    assert len(journal.page().entries) == 3


def test_two_programs_bring_it_up_at_once(journal: Journal) -> None:
    shutil.copy(OLD, journal.file)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(journal.page().entries))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [3] * 6


def test_a_newer_file_is_left_alone(journal: Journal) -> None:
    journal.add(run_of("Anna"))
    with sqlite3.connect(journal.file) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 3}")
    db.close()
    with pytest.raises(FileError, match=r"was written by a newer version \(its form is 6, this one knows 3\)"):
        journal.page()
    with pytest.raises(FileError, match="nothing was changed"):
        journal.add(run_of("Anna"))


def test_a_file_made_without_fts5_gets_its_index_later(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(words, "has_fts5", lambda db: False)
        journal.add(run_of("Anna", prompt="marzipan"))
        assert "words" not in dict(tables(journal.file))
        assert len(journal.page(Filter(text="marzi")).entries) == 1
    assert len(journal.page(Filter(text="marzi")).entries) == 1
    journal.forget("nobody")
    assert "words" in dict(tables(journal.file))
    assert len(journal.page(Filter(text="marzi")).entries) == 1


# ------------------------------------------------------------------------------------------------------- what is broken
@pytest.mark.parametrize("content", [b"not a database at all" * 200, b"SQLite format 3\0" + os.urandom(5000)])
def test_what_is_no_journal_is_said(journal: Journal, content: bytes) -> None:
    journal.file.write_bytes(content)
    with pytest.raises(FileError, match=r"journal\.sqlite is no journal, or is damaged"):
        journal.page()
    assert journal.file.read_bytes() == content


def test_a_damaged_run_hides_no_other(journal: Journal) -> None:
    journal.add_many([run_of("Anna"), run_of("Bert")])
    with sqlite3.connect(journal.file) as db:
        db.execute("UPDATE bodies SET body = x'00' WHERE run = 1")
    db.close()
    with pytest.raises(FileError, match="A run in the journal is damaged"):
        journal.run(1)
    assert len(journal.page().entries) == 2
    assert journal.run(2).people == ("Bert",)


def test_a_body_that_unfolds_is_refused(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_faceid.journal.bodies.MAX_BODY_BYTES", 1000)
    journal.add(run_of("Anna", diagnosis="0" * 100_000))
    with pytest.raises(FileError, match="cut off, or too large"):
        journal.run(1)


def test_a_folder_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="The journal cannot be written"):
        Journal(tmp_path / "file" / "journal.sqlite").add(run_of("Anna"))


def test_a_program_that_writes_for_too_long(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.add(run_of("Anna"))
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.1)
    with sqlite3.connect(journal.file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FileError, match="is being written by another program"):
            journal.add(run_of("Anna"))
        assert len(journal.page().entries) == 1, "reading goes on"
    other.close()


def test_the_usual_place(tmp_path: Path) -> None:
    journal = open_journal(Roots(models=(tmp_path,)))
    assert journal.file == tmp_path / "faceid" / "journal.sqlite"
    assert not journal.file.parent.exists()


# ----------------------------------------------------------------------------------------------------- many, and killed
WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [{project!r}, {tests!r}]
from journal_runs import run_of
from lib_faceid.journal.journal import Journal
journal = Journal(Path({file!r}))
for number in range(int(sys.argv[2])):
    run = journal.add(run_of(f"person {{sys.argv[1]}}", prompt=f"number {{number}}", seed=number), finds_parent=False)
    sys.stdout.write(f"{{run.number}} {{number}}\\n")
    sys.stdout.flush()
"""


def writer(journal: Journal, name: int, count: int) -> subprocess.Popen[str]:
    code = WRITER.format(project=str(PROJECT), tests=str(PROJECT / "tests"), file=str(journal.file))
    return subprocess.Popen([sys.executable, "-c", code, str(name), str(count)], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of other systems")
@pytest.mark.slow("four programs write 1,000 runs")
def test_killed_in_the_middle_no_committed_run_is_lost(journal: Journal) -> None:
    """Each program names a run after its commit; three of four are killed on the way, in the middle of anything."""
    writers = [writer(journal, name, 250) for name in range(4)]
    heard: list[list[str]] = [[] for _ in writers]

    def listen(to: int) -> None:
        out = writers[to].stdout
        assert out is not None
        for line in out:
            heard[to].append(line)
            if to and len(heard[to]) == 60 * to:
                writers[to].send_signal(signal.SIGKILL)

    threads = [threading.Thread(target=listen, args=(to,)) for to in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = [one.wait() for one in writers]
    assert codes == [0, -9, -9, -9]
    assert len(heard[0]) == 250
    for name, lines in enumerate(heard):
        for line in lines:
            number, prompt = line.split()
            assert journal.run(int(number)).prompt == f"number {prompt}"
            assert journal.run(int(number)).people == (f"person {name}",)
    with sqlite3.connect(journal.file) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    assert len(list(journal.runs(Filter(text="number")))) >= sum(map(len, heard))


def test_threads_write_at_once(journal: Journal) -> None:
    threads = [threading.Thread(target=lambda: [journal.add(run_of("Anna")) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.id for entry in journal.page().entries] == [f"F-{number:06d}" for number in range(20, 0, -1)]


# -------------------------------------------------------------------------------------------------------------- indexes
PLANS: list[tuple[dict[str, Any], Sequence[str]]] = [
    ({}, ["SCAN runs"]),
    ({"person": "Anna"}, ["SEARCH people USING PRIMARY KEY"]),
    ({"person": "Anna", "order": "likeness"}, ["SEARCH people USING COVERING INDEX people_by_likeness"]),
    ({"tag": "good"}, ["SEARCH tags USING PRIMARY KEY"]),
    ({"text": "garden"}, ["SCAN words VIRTUAL TABLE INDEX"]),
    ({"order": "likeness"}, ["USING INDEX runs_by_likeness"]),
    ({"lowest": 0.9}, ["SEARCH runs USING INDEX runs_by_likeness"]),
    ({"since": 5.0, "until": 9.0}, ["SEARCH runs USING INTEGER PRIMARY KEY", "INDEX runs_by_time"]),
    ({"person": "Anna", "tag": "good", "text": "garden"}, ["SEARCH people USING", "SEARCH tags USING PRIMARY KEY"]),
]


@pytest.mark.parametrize(("conditions", "wanted"), PLANS, ids=str)
def test_each_query_goes_by_an_index(journal: Journal, conditions: dict[str, Any], wanted: Sequence[str]) -> None:
    """Pages of lists go along an index in their order: nothing is sorted but what is few, nothing is scanned."""
    journal.add_many([run_of("Anna", tags=("good",)) for _ in range(30)])
    with schema.connected(journal.file) as db:
        text, values = query(db, Filter(**conditions)).text("runs.prompt", conditions.get("order", "newest"), 50)
        plan = "\n".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}", values))
    for one in wanted:
        assert one in plan, plan
    is_sorted = "USE TEMP B-TREE FOR ORDER BY" in plan
    assert is_sorted == (conditions == {"lowest": 0.9}), plan


def test_a_page_of_five_thousand_is_quick(journal: Journal) -> None:
    """100,000 are measured by `python dev.py bench`; here it is a guard against going through all of them."""
    journal.add_many([run_of(f"P{n % 50}", likeness=n / 5000, seed=n) for n in range(5000)])
    for wanted in (
        Filter(),
        Filter(person="P7"),
        Filter(text="portrait"),
        Filter(lowest=0.99),
        Filter(order="likeness"),
    ):
        seconds = min(timed(journal, wanted) for _ in range(5))
        assert seconds < 0.1, wanted
    assert journal.file.stat().st_size < 5000 * 2000


def timed(journal: Journal, wanted: Filter) -> float:
    began = time.perf_counter()
    journal.page(wanted)
    return time.perf_counter() - began
