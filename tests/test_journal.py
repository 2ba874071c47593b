"""The journal: what is written down comes back, is found, compared, edited, and is gone when it is forgotten."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_runs import run_of, score_of

from lib_faceid.errors import FaceIDError, FileError, UnitError
from lib_faceid.journal import rows, words
from lib_faceid.journal.compare import compare, compare_metadata
from lib_faceid.journal.filters import Filter
from lib_faceid.journal.journal import Journal
from lib_faceid.journal.run import Drawn, Run, UsedUnit, number_of
from lib_faceid.journal.schema import MIGRATIONS
from lib_faceid.units.parameters import parameters_from


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "models" / "faceid" / "journal.sqlite")


def ids(journal: Journal, **wanted: Any) -> list[str]:
    return [entry.id for entry in journal.page(Filter(**wanted)).entries]


# ------------------------------------------------------------------------------------------------------ there and back
def test_a_life(journal: Journal) -> None:
    assert not journal.is_there
    assert (journal.page().entries, journal.people(), journal.curve("Anna")) == ((), (), ())
    assert not journal.file.parent.exists(), "asking makes nothing"
    first = journal.add(run_of("Anna", tags=("good", "draft")))
    second = journal.add(run_of("Anna", "Bert", weight=1.0))
    assert (first.id, second.id) == ("F-000001", "F-000002")
    assert journal.run("f-2") == journal.run(2) == second
    assert journal.run(1).as_dict() == first.as_dict()
    assert (journal.people(), journal.tags()) == (("Anna", "Bert"), ("draft", "good"))
    edited = journal.edit(1, note="soft light", tags=["good", "client A"])
    assert journal.run(1) == edited == replace(first, note="soft light", tags=("good", "client A"))
    assert journal.remove([1, "F-77"]) == 1
    with pytest.raises(UnitError, match="There is no run F-000001 in the journal"):
        journal.run(1)
    assert journal.add(run_of("Anna", likeness=None)).id == "F-000003", "a number is never given twice"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_files_are_their_owners(journal: Journal) -> None:
    journal.add(run_of("Anna"))
    with sqlite3.connect(journal.file) as open_one:
        open_one.execute("BEGIN IMMEDIATE")
        files = list(journal.file.parent.glob("journal.sqlite*"))
        assert {path.name for path in files} == {f"journal.sqlite{end}" for end in ("", "-wal", "-shm")}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    open_one.close()


TEXTS = st.text(max_size=40)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
UNITS = st.builds(
    UsedUnit, st.integers(0, 9) | st.just("tag 0"), st.dictionaries(TEXTS, PLAIN, max_size=3), TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple), st.lists(TEXTS.filter(bool), max_size=2, unique=True).map(tuple),
)  # fmt: skip
SCORES = st.none() | st.lists(st.none() | st.floats(-1, 1), max_size=3).map(lambda found: score_of(*found))
PICTURES = st.builds(Drawn, st.integers(0, 2**64 - 1), SCORES, TEXTS, TEXTS, TEXTS, st.none() | TEXTS)
RUNS = st.builds(
    Run, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=4), st.lists(UNITS, max_size=2).map(tuple),
    st.lists(PICTURES, max_size=2).map(tuple), TEXTS, TEXTS, st.dictionaries(TEXTS, PLAIN, max_size=2), PLAIN, TEXTS,
    TEXTS,
    st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), max_size=3, unique=True).map(tuple),
)  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(runs=st.lists(RUNS, min_size=1, max_size=3))
def test_any_run_comes_back_as_it_was(runs: list[Run]) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for step in MIGRATIONS:
        step(db)
    words.make_index(db)
    for before in runs:
        written = rows.insert(db, before)
        (after,) = rows.read(db, [written.number])
        assert after == written == replace(before, number=written.number)
        assert after.as_dict() == json.loads(json.dumps(after.as_dict()))
        assert Run.from_dict(after.as_dict()) == after
        assert rows.update(db, after) == after
    db.close()


def test_what_cannot_be_written_is_written_as_it_can(journal: Journal) -> None:
    odd = replace(run_of("Anna"), prompt="half \ud83d", diagnosis={"number": float("nan"), 3: {Path("/x")}})
    kept = journal.run(journal.add(odd).number)
    assert kept.prompt == "half \\ud83d"
    assert kept.diagnosis == {"number": None, "3": ["/x"]}


@pytest.mark.parametrize("text", ["", "F-", "F-0", "-1", "F-1x", "9" * 40, "Ⅷ", "F-000000"])
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="is no run"):
        number_of(text)


def test_the_settings_go_back_into_the_page() -> None:
    run = run_of(
        "Anna", prompt="a, b: c\nsecond line", settings={"Steps": "20", "Seed": "1", "Size": "8x8", "Odd": 'a, "b": c'}
    )
    told = parameters_from(run.infotext())
    assert told == {"Prompt": run.prompt, "Negative prompt": "blurry", **run.settings, "Seed": "7"}


def test_notes_and_tags_have_limits(journal: Journal) -> None:
    journal.add(run_of("Anna"))
    with pytest.raises(UnitError, match=r"The note has 10,001 letters"):
        journal.edit(1, note="x" * 10_001)
    with pytest.raises(UnitError, match="At most 50 tags"):
        journal.edit(1, tags=[f"t{number}" for number in range(51)])
    assert journal.edit(1, tags=["  two   words ", "a,b", ""]).tags == ("two words", "a", "b")


# ------------------------------------------------------------------------------------------------------ lists, in pages
@pytest.fixture
def filled(journal: Journal) -> Journal:
    """Numbers 1 to 60: Anna in odd ones, Bert in even ones; a likeness of n / 100, none for every tenth."""
    runs = [
        run_of(
            "Anna" if n % 2 else "Bert",
            likeness=None if n % 10 == 0 else n / 100,
            prompt="Crème brûlée in a café" if n % 3 == 0 else "a photo of a telephone",
            tags=("good",) if n % 5 == 0 else (),
            time=1000.0 + n,
        )
        for n in range(1, 61)
    ]
    journal.add_many(runs)
    return journal


CONDITIONS: list[dict[str, Any]] = [
    {},
    {"person": "Anna"},
    {"person": "Bert", "lowest": 0.2, "highest": 0.4},
    {"tag": "GOOD"},
    {"text": "creme CAFE"},
    {"text": "phot", "person": "Anna"},
    {"text": "phone"},
    {"text": "a"},
    {"text": "cafe", "tag": "good", "lowest": 0.1},
    {"since": 1010.0, "until": 1030.0},
    {"since": 1059.5, "text": "photo"},
    {"until": 1001.0},
    {"since": 2000.0},
    {"lowest": 0.5},
    {"person": "nobody"},
    {"text": "<>"},
    {"text": 'x" OR "'},
]


def by_hand(wanted: Filter) -> list[str]:
    """The same, the slow way."""
    found: list[tuple[float, int]] = []
    for n in range(1, 61):
        person, likeness = "Anna" if n % 2 else "Bert", None if n % 10 == 0 else n / 100
        prompt = "creme brulee in a cafe" if n % 3 == 0 else "a photo of a telephone"
        told = {*re.findall(r"\w+", prompt), person.lower(), *(["good"] if n % 5 == 0 else [])}
        asked = re.findall(r"\w+", wanted.text.lower())
        fits = [
            not wanted.person or wanted.person == person,
            not wanted.tag or (n % 5 == 0),
            all(any(one == word or (len(word) > 2 and one.startswith(word)) for one in told) for word in asked),
            bool(asked) or not wanted.text,
            not wanted.scores or likeness is not None,
            wanted.lowest is None or (likeness or 0) >= wanted.lowest,
            wanted.highest is None or (likeness or 0) <= wanted.highest,
            (wanted.since or 0) <= 1000 + n <= (wanted.until or 1e9),
        ]
        found += [(likeness or 0, n)] if all(fits) else []
    found.sort(key=lambda pair: -pair[1] if wanted.order == "newest" else (-pair[0], -pair[1]))
    return [f"F-{n:06d}" for _, n in found]


@pytest.mark.parametrize("has_fts", [True, False], ids=["indexed", "without FTS5"])
@pytest.mark.parametrize("order", ["newest", "likeness"])
@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
def test_every_filter_in_pages(
    filled: Journal, conditions: dict[str, Any], order: str, has_fts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "has_fts5", lambda db: has_fts)
    wanted = Filter(**conditions, order=order)
    found: list[str] = []
    after: tuple[float, ...] = ()
    while True:
        page = filled.page(wanted, after, size=7)
        found += [entry.id for entry in page.entries]
        if not (after := page.after):
            break
    assert found == by_hand(wanted)
    assert [run.id for run in filled.runs(wanted)] == found


def test_words_are_found_after_a_program_without_fts5_wrote(filled: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(words, "has_fts5", lambda db: False)
        filled.edit(1, note="marzipan")
        filled.add(run_of("Anna", prompt="marzipan again"))
    assert ids(filled, text="marzip") == ["F-000061", "F-000001"]
    filled.edit(1, note="")
    assert ids(filled, text="marzip") == ["F-000061"]


def test_scripts_without_blanks_between_words(journal: Journal) -> None:
    journal.add(run_of("Anna", prompt="花園裡的肖像"))
    assert ids(journal, text="肖像") == ["F-000001"]
    assert ids(journal, text="貓") == []


def test_a_filter_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(UnitError, match="order is 'age'; one of newest, likeness was expected"):
        Filter(order="age")
    with pytest.raises(UnitError, match="lowest is 'x'"):
        Filter(lowest="x")  # pyright: ignore[reportArgumentType]


# --------------------------------------------------------------------------------------------- compared, tree and curve
def test_two_runs_beside_each_other() -> None:
    first, second = run_of("Anna", likeness=0.41), run_of("Anna", likeness=0.52, weight=1.0, prompt="another")
    found = compare(first, second)
    assert [(one.name, one.first, one.second) for one in found.settings] == [
        ("prompt", "a portrait in a garden", "another"),
        ("FaceID 0 weight", 0.8, 1.0),
    ]
    assert ("likeness", 0.41, 0.52) in [(one.name, one.first, one.second) for one in found.scores]
    assert compare(first, first).settings == compare(first, first).scores == ()


def test_a_default_is_told_beside_another_value() -> None:
    plain = run_of("Anna")
    unit = plain.units[0]
    changed = replace(plain, units=(replace(unit, settings={**unit.settings, "structure": 1.5}),))
    assert [one.words for one in compare(plain, changed).settings] == ["FaceID 0 structure: 1.0 to 1.5"]


def test_two_pictures_differ_in_a_units_field_and_in_what_only_one_has() -> None:
    settings = "Steps: 20, Sampler: DDIM, Seed: {seed}, FaceID 0: {unit}"
    unit = '"adapter: mini, variant: faceid, weight: {weight}, refs: 3f9c1a2b, algo: 1"'
    first = f"a portrait\n{settings.format(seed=7, unit=unit.format(weight=0.8))}"
    second = f"a portrait\n{settings.format(seed=8, unit=unit.format(weight=1.2))}, Clip skip: 2"
    words = [one.words for one in compare_metadata(first, second)]
    assert words == ["Seed: 7 to 8", "FaceID 0 weight: 0.8 to 1.2", "Clip skip: none to 2"]
    assert compare_metadata(first, first) == ()


def test_a_run_that_differs_in_one_setting_is_a_child(journal: Journal) -> None:
    journal.add(run_of("Anna", likeness=0.4))
    other = journal.add(run_of("Anna", weight=0.5, prompt="something else"))
    child = journal.add(run_of("Anna", likeness=0.6, weight=1.0))
    assert (child.parent, child.tried) == (1, "FaceID 0 weight: 0.8 to 1.0")
    assert other.parent is None
    assert journal.add(run_of("Anna", likeness=0.6, weight=1.0)).parent is None, "the same again is nobody's child"
    assert journal.add(run_of("Anna", seed=8)).parent is None, "another seed is no step"
    assert journal.add(run_of("Bert")).parent is None
    grandchild = journal.add(run_of("Anna", likeness=0.7, weight=1.0, negative="waxy"))
    steps = journal.tree(child.number)
    assert [(one.id, one.parent, one.depth) for one in steps] == [
        ("F-000001", "", 0),
        ("F-000003", "F-000001", 1),
    ] or grandchild.parent == 3
    assert steps[1].change == pytest.approx(0.2)


def test_a_named_parent_wins_and_must_be_there(journal: Journal) -> None:
    journal.add(run_of("Anna"))
    child = journal.add(run_of("Bert", parent=1, tried="somebody else"))
    assert (child.parent, child.tried) == (1, "somebody else")
    with pytest.raises(UnitError, match="There is no run F-000009, which was named as the parent"):
        journal.add(run_of("Anna", parent=9))
    assert [one.id for one in journal.tree(2)] == ["F-000001", "F-000002"]
    journal.remove([1])
    assert journal.run(2).parent is None


def test_the_curve_of_a_person(journal: Journal) -> None:
    first = run_of("Anna", "Bert")
    both = replace(first, pictures=(Drawn(1, score_of(0.3, 0.7)), Drawn(2, score_of(0.5, None))))
    journal.add(both)
    journal.add(run_of("Bert", likeness=None))
    journal.add(run_of("Bert", likeness=0.1))
    assert [(one.id, one.likeness) for one in journal.curve("Anna")] == [("F-000001", 0.4)]
    assert [one.likeness for one in journal.curve("Bert")] == [0.7, 0.1]
    assert journal.run(1).likeness == 0.3, "of the picture whose people both have one"


# ------------------------------------------------------------------------------------------------------------ forgotten
def bytes_on_disk(journal: Journal) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(journal.file.parent.iterdir()) if path.is_file())


NAME, HASH = "Zuleikha Quist", "5eedf00d" * 8


def told_everywhere() -> list[Run]:
    hers = run_of(NAME, prompt=f"<faceid:{NAME}> in a garden", note=f"{NAME} likes it", tags=(NAME,))
    hers = replace(hers, units=(replace(hers.units[0], references=(HASH,)),))
    unsaved = replace(run_of(), units=(UsedUnit(0, {}, "", (HASH[:8],), ()),), prompt="from her photo, not saved")
    with_bert = run_of("Bert", NAME, prompt="both of them")
    named = run_of("Bert", prompt=f"beside {NAME}, smiling", diagnosis={"why": [f"like {NAME}"]})
    return [hers, unsaved, with_bert, named, run_of("Bert", prompt="alone", note="Zuleikha is another")]


def test_forgetting_leaves_no_byte(journal: Journal) -> None:
    written = journal.add_many(told_everywhere())
    for run in written:
        journal.edit(run.number, note=f"{run.note} seen")  # old versions of rows, too
    assert NAME.encode() in bytes_on_disk(journal)
    told = journal.forget(NAME)
    assert (told.runs, told.mended) == (3, 1)
    left = bytes_on_disk(journal)
    for secret in (NAME, HASH[:8], "her photo", "both of them"):
        assert secret.encode() not in left, secret
    assert "quist" not in left.decode("latin-1").lower(), "the index of words keeps small letters"
    assert ids(journal) == ["F-000005", "F-000004"]
    assert journal.run(4).prompt == "beside (forgotten), smiling"
    assert journal.run(4).diagnosis == {"why": ["like (forgotten)"]}
    assert ids(journal, text="smil") == ["F-000004"]
    assert (NAME in journal.people(), NAME in journal.tags()) == (False, False)


def test_a_photo_of_two_names_is_forgotten_with_one_alone(journal: Journal) -> None:
    hers = replace(run_of(NAME), units=(UsedUnit(0, {}, "", (HASH,), (NAME,)),))
    his = replace(run_of("Bert"), units=(UsedUnit(0, {}, "", (HASH,), ("Bert",)),))
    journal.add_many([hers, his])
    assert journal.forget(NAME).runs == 1
    assert ids(journal) == ["F-000002"]
    assert journal.forget(NAME, [HASH]).runs == 1, "where the caller says so, it goes with the photo"


def test_forgetting_nobody(journal: Journal) -> None:
    assert journal.forget("Anna").runs == 0
    assert not journal.is_there
    journal.add(run_of("Anna"))
    with pytest.raises(UnitError, match="No name was given"):
        journal.forget(" ")


def test_who_reads_meanwhile_keeps_bytes_and_that_is_said(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_faceid.journal.schema.WAIT_SECONDS", 0.2)
    journal.add_many([run_of(NAME), run_of("Bert")])
    with sqlite3.connect(journal.file, isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        with pytest.raises(FileError, match=r"another program"):
            journal.forget(NAME)
        reader.execute("COMMIT")
    reader.close()
    journal.forget(NAME)
    assert NAME.encode() not in bytes_on_disk(journal)


def test_thumbnails_are_kept_only_when_given_and_go_with_the_run(journal: Journal) -> None:
    journal.add_many([run_of(NAME), run_of("Bert")])
    assert not journal.thumbnails(1)
    journal.keep_thumbnails(1, [b"JPEG OF HER", b"AND ANOTHER"])
    assert journal.thumbnails("F-000001") == {0: b"JPEG OF HER", 1: b"AND ANOTHER"}
    assert journal.first_thumbnails(["F-000001", "F-000009"]) == {"F-000001": b"JPEG OF HER"}
    journal.forget(NAME)
    assert b"JPEG OF HER" not in bytes_on_disk(journal)


def test_every_mistake_is_ours(journal: Journal) -> None:
    with pytest.raises(FaceIDError):
        journal.add("no run")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnitError, match="That is no run of the journal"):
        Run.from_dict({"units": [{}]})


def test_who_is_not_saved_is_called_by_the_photo_found_by_it_and_forgotten(journal: Journal) -> None:
    def of_photo(*hashes: str, **more: Any) -> Run:
        return replace(run_of(likeness=0.4, **more), units=(UsedUnit(0, {"weight": 0.8}, "", hashes),))

    journal.add(of_photo("d3ca32c0"))
    second = journal.add(replace(of_photo("d3ca32c0"), units=(UsedUnit(0, {"weight": 1.0}, "", ("d3ca32c0",)),)))
    journal.add(of_photo("99998888", seed=9))
    journal.add(replace(run_of("Anna", seed=10), units=(UsedUnit(0, {}, "", ("99998888",), ("Anna",)),)))
    who = "photo d3ca32c0"
    assert journal.people() == ("Anna", "photo 99998888", who)
    assert [one.id for one in journal.page(Filter(person=who)).entries] == ["F-000002", "F-000001"]
    assert [one.likeness for one in journal.curve(who)] == [0.4, 0.4]
    assert (second.parent, second.tried) == (1, "FaceID 0 weight: 0.8 to 1.0"), "one setting of the same photo"
    assert journal.forget("Anna").runs == 2, "her photo's other run, too, which has no name of its own"
    assert journal.forget(who).runs == 2
    assert not journal.page().entries
