"""The table of docs/WORKS_BESIDE.md for Forge and its descendants: a row for each job, a column for each host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.webui.beside.row import Row
from tests.webui.beside.rows_forge import FORGE_ROWS
from tests.webui.beside.table import NOTHING, PAGE
from tests.webui.server import KINDS

__all__ = ["HOSTS", "cells_on", "write_cells"]

FIRST, LAST = "<!-- hosts: written by tests/webui/test_live_integrated.py -->\n", "<!-- /hosts -->"
HOSTS = {kind.name: kind.name.replace("_", " ").title().replace("Reforge", "reForge") for kind in KINDS.values()}
del HOSTS["webui"]
HEAD = ["beside", "job", *HOSTS.values()]
Cells = dict[tuple[str, str], dict[str, str]]


def cells_on(page: Path = PAGE) -> Cells:
    """What the page says: neighbour and job -> host -> word."""
    rest = page.read_text("utf-8").partition(FIRST)[2].partition(LAST)[0]
    lines = [[cell.strip() for cell in line.strip(" |").split("|")] for line in rest.strip().splitlines()[2:]]
    head = [cell.strip() for cell in rest.strip().partition("\n")[0].strip(" |").split("|")][2:]
    hosts = [name for shown in head for name in HOSTS if HOSTS[name] == shown]
    return {(line[0], line[1]): dict(zip(hosts, line[2:], strict=True)) for line in lines}


def write_cells(host: str, measured: Mapping[str, str], page: Path = PAGE) -> None:
    """Put what was measured in a host, by the rows' names, into its column; all else stays as it is."""
    kept = cells_on(page)
    lines = [HEAD, ["---"] * len(HEAD), *(_line(row, kept, host, measured) for row in FORGE_ROWS)]
    before, _, rest = page.read_text("utf-8").partition(FIRST)
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    page.write_text(before + FIRST + table + LAST + rest.partition(LAST)[2], "utf-8")


def _line(row: Row, kept: Cells, host: str, measured: Mapping[str, str]) -> list[str]:
    cells = dict.fromkeys(HOSTS, NOTHING) | kept.get((row.neighbour, row.job), {})
    cells[host] = measured.get(row.name, cells[host])
    return [row.neighbour, row.job, *cells.values()]
