"""What is run beside us, as data: one row for each job. Documentation shows the same rows (docs/WORKS_BESIDE.md)."""

from __future__ import annotations

from tests.webui.beside.row import Row
from tests.webui.beside.rows_controlnet import CONTROLNET
from tests.webui.beside.rows_extensions import EXTENSIONS_ROWS
from tests.webui.beside.rows_otherwise import OTHERWISE_ROWS
from tests.webui.beside.rows_webui import WEBUI_ROWS

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (*EXTENSIONS_ROWS, *CONTROLNET, *OTHERWISE_ROWS, *WEBUI_ROWS)
