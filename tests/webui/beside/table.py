"""The table of docs/WORKS_BESIDE.md: a line for each row of the matrix, written from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.webui.beside.folders import versions
from tests.webui.beside.matrix import ROWS, Row
from tests.webui.server import PROJECT

__all__ = ["NOTHING", "PAGE", "line", "lines_on", "write"]

PAGE = PROJECT / "docs" / "WORKS_BESIDE.md"
NOTHING = "—"  # there is nothing that could be seen
FIRST, LAST = "<!-- rows: written by tests/webui/test_live_neighbours.py -->\n", "<!-- /rows -->"
HEAD = (
    "| beside | job | starts | ours acts | theirs acts | our LoRA or net acts | both off: the plain file | |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def line(row: Row, answers: Sequence[bool | None]) -> str:
    """The row with what was seen: starts, ours, theirs, LoRA, restored; None where there is nothing to see."""
    words = [{True: "yes", False: "**no**", None: NOTHING}[one] for one in answers]
    return _line([row.neighbour, row.job, *words, row.note])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |" if cells else ""


def lines_on(page: Path = PAGE) -> dict[tuple[str, str], list[str]]:
    """The page's lines by neighbour and job, in cells."""
    _, _, rest = page.read_text("utf-8").partition(FIRST + HEAD)
    lines = rest.partition(LAST)[0].strip().split("\n\n")[0].splitlines()
    return {(_cells(one)[0], _cells(one)[1]): _cells(one) for one in lines}


def write(measured: Mapping[str, str], page: Path = PAGE) -> None:
    """Put the lines, by their rows' names, where the page has them; a row that was not measured keeps its line."""
    kept = lines_on(page)
    lines = [measured.get(row.name) or _line(kept.get((row.neighbour, row.job), ())) for row in ROWS]
    commits = ", ".join(f"{name} {commit}" for name, commit in sorted(versions().items()))
    before, _, rest = page.read_text("utf-8").partition(FIRST)
    table = HEAD + "\n".join(filter(None, lines)) + f"\n\nAt these commits: {commits}.\n"
    page.write_text(before + FIRST + table + LAST + rest.partition(LAST)[2], "utf-8")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]
