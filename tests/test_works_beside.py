"""What docs/WORKS_BESIDE.md claims is what the live test measures: the same rows, nothing else."""

from __future__ import annotations

import pytest

from tests.webui.beside.asked import EXTENSIONS
from tests.webui.beside.matrix import ROWS
from tests.webui.beside.row import STARTS, Row
from tests.webui.beside.table import NOTHING, PAGE, lines_on


def test_the_pages_rows_are_the_matrix_rows() -> None:
    """Else run tests/webui/test_live_neighbours.py with FACEID_WRITE_DOCS=1."""
    assert list(lines_on()) == [(row.neighbour, row.job) for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_line_says_what_the_row_expects(row: Row) -> None:
    """A line was written by a run that the row's test passed, and has its note."""
    _, _, starts, ours, theirs, lora, restored, note = lines_on()[row.neighbour, row.job]
    assert (starts, restored, note) == ("yes", "yes", row.note)
    nothing = (bool(row.fails), bool(row.fails) or not row.somebody_acts, bool(row.fails))
    assert (ours, theirs, lora) == tuple(NOTHING if is_nothing else "yes" for is_nothing in nothing)


def test_rows_are_told_apart_and_name_what_there_is() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        assert row.start in STARTS
        assert set(row.theirs) <= set(EXTENSIONS)
        assert set(row.same_as) <= set(names)


def test_every_extension_has_a_row() -> None:
    assert {title for row in ROWS for title in row.theirs} == set(EXTENSIONS)
    assert PAGE.is_file()
