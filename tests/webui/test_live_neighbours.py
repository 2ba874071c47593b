"""Every row of the matrix beside its neighbour, in a real WebUI with all of them installed.

Where FACEID_WEBUI_EXTENSIONS names a folder with checkouts of the extensions. With FACEID_WRITE_DOCS=1 what was
measured is written into docs/WORKS_BESIDE.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.webui.beside import table
from tests.webui.beside.folders import checkouts, put_extensions, put_models
from tests.webui.beside.matrix import ROWS
from tests.webui.beside.measuring import Bench, Measured
from tests.webui.beside.measuring import trouble as trouble_in
from tests.webui.beside.pictures import named_pictures
from tests.webui.beside.row import STARTS, Row
from tests.webui.server import Server

PERSON = 1.0
"""What counts as acting: the mean difference of the pixels, 0 to 255, that a person makes at least."""
pictures: dict[str, NDArray[np.uint8]] = {}
"""What both drew, by the row's name."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, webui_dir: Path, data_dir: Path) -> Path:
    if not checkouts():
        pytest.skip("FACEID_WEBUI_EXTENSIONS names no folder with checkouts of extensions: no neighbour was tested")
    data = tmp_path_factory.mktemp("neighbours")
    put_models(data, data_dir)
    return data


@pytest.fixture(scope="module")
def written() -> Iterator[dict[str, str]]:
    """The table's lines, by the rows' names."""
    lines: dict[str, str] = {}
    yield lines
    if os.environ.get("FACEID_WRITE_DOCS"):
        table.write(lines)


@pytest.fixture(scope="module")
def benches(
    webui_dir: Path, folder: Path, person: dict[str, Any], data_folder: Path
) -> Iterator[Callable[[str], Bench]]:
    """benches(start) is the WebUI of that start; it is the only one, until another is asked for."""
    unit, named = {**person, "weight": 1.0}, named_pictures(data_folder / "photos")
    running: dict[str, Bench] = {}

    def stop() -> None:
        for bench in running.values():
            bench.server.stop()
        running.clear()

    def started(name: str) -> Bench:
        if name not in running:
            stop()
            start, server = STARTS[name], Server(webui_dir, folder, config=dict(STARTS[name].config))
            put_extensions(folder, start.ours, checkouts().values() if start.beside else ())
            checkpoint = folder / "models/Stable-diffusion/mini_sd15.safetensors"
            server.start("--ckpt", str(checkpoint), *start.arguments)
            complaints = trouble_in(server.log_path.read_text(errors="replace").rpartition("Launching Web UI")[2])
            running[name] = Bench(server, unit, named, tuple(complaints))
        return running[name]

    yield started
    stop()


# In an order that starts each WebUI once and changes checkpoints seldom.
IN_ORDER = sorted(ROWS, key=lambda row: (list(STARTS).index(row.start), row.family))


@pytest.mark.parametrize("row", IN_ORDER, ids=lambda row: row.name)
def test_a_job_beside_a_neighbour(benches: Callable[[str], Bench], row: Row, written: dict[str, str]) -> None:
    """Nothing fails, we act beside them, they act beside us, and both off is the plain picture's file."""
    if missing := set(row.needs) - set(checkouts()):
        pytest.skip(f"no {', '.join(sorted(missing))} in FACEID_WEBUI_EXTENSIONS: {row.name} was not tested")
    written[row.name] = table.line(replace(row, note="its live test fails"), [None] * 5)
    bench = benches(row.start)
    assert not bench.complaints, bench.complaints
    answers = failing(bench, row) if row.fails else acting(bench, row)
    written[row.name] = table.line(row, [True, *answers])


def failing(bench: Bench, row: Row) -> list[bool | None]:
    """A neighbour that fails by itself fails in the same way beside us, and nothing is left of it."""
    alone, both, restored = bench.fails(row)
    assert row.fails in alone
    assert row.fails in both
    assert restored
    return [None, None, None, restored]


def acting(bench: Bench, row: Row) -> list[bool | None]:
    """We act, they do, our LoRA or net does, and nothing is left."""
    seen = bench.measure(row)
    pictures[row.name] = seen.picture
    figures = f"ours {seen.ours:.3f}, theirs {seen.theirs}, {row.partner} {seen.partner:.3f}"
    print(f"{row.name}: {figures}, restored {seen.restored}")
    answers = [seen.ours > PERSON, None if seen.theirs is None else seen.theirs > 0, seen.partner > PERSON / 2]
    assert not seen.trouble, seen.trouble
    assert answers == [True, True if row.somebody_acts else None, True]
    assert seen.restored
    assert row.says in seen.log
    check_place(row, seen)
    return [*answers, seen.restored]


def check_place(row: Row, seen: Measured) -> None:
    """The person is where the row says, and the picture is that of the row that it names."""
    if row.side:
        left, _, _, right = (float(part.mean()) for part in np.array_split(seen.change, 4, axis=1))
        one, other = (left, right) if row.side == "left" else (right, left)
        assert one > row.times * other, (left, right)
    if missing := [name for name in row.same_as if name not in pictures]:
        pytest.skip(f"{missing} were not drawn: whether {row.name} draws the same is not known")
    for at, image in enumerate(seen.picture if row.same_as else ()):
        apart = np.abs(image.astype(int) - pictures[row.same_as[at % len(row.same_as)]][at]).max()
        assert apart <= row.within, (at, apart)
