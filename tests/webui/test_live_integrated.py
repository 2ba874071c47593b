"""What is built into Forge and its descendants, and Forge Couple, each beside a person.

Couple where FACEID_WEBUI_EXTENSIONS has its checkout, `sd-forge-couple`. With FACEID_WRITE_DOCS=1 what was seen is
written into the host's column in docs/WORKS_BESIDE.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.beside.folders import put_extensions
from tests.webui.beside.forge_table import write_cells
from tests.webui.beside.measuring import Bench, trouble
from tests.webui.beside.models import write_neighbours_models
from tests.webui.beside.pictures import named_pictures
from tests.webui.beside.row import Row
from tests.webui.beside.rows_forge import COUPLE, FORGE_ROWS
from tests.webui.server import Server, kind_of

pytestmark = pytest.mark.not_in("webui", why="it has none of these")
OTHERWISE = {"reforge": {"Dynamic thresholding"}}
"""Host -> what it has under the same title with other arguments."""
PERSON = 1.0
"""What counts as acting: the mean difference of the pixels, 0 to 255, that a person makes at least."""


@pytest.fixture(scope="module")
def bench(webui_dir: Path, data_dir: Path, data_folder: Path, person: dict[str, Any]) -> Iterator[Bench]:
    """The WebUI with our project, and with Couple where it is at hand."""
    named = os.environ.get("FACEID_WEBUI_EXTENSIONS")
    couple = Path(named) / "sd-forge-couple" if named else Path("nowhere")
    put_extensions(data_dir, "sd-webui-faceid", [couple] if couple.is_dir() else [])
    write_neighbours_models(data_dir / "models")
    pictures = named_pictures(data_folder / "photos")
    server = Server(webui_dir, data_dir)
    server.start("--ckpt", str(data_dir / "models/Stable-diffusion/mini_sd15.safetensors"))
    yield Bench(server, {**person, "weight": 1.0}, pictures | called_there(server))
    server.stop()


def called_there(server: Server) -> dict[str, str]:
    """What the units built in call each of their models: the file's name and a hash."""
    return {name.partition(" [")[0]: name for name in server.get("/controlnet/model_list")["model_list"]}


@pytest.fixture(scope="module")
def titles(bench: Bench) -> set[str]:
    """The scripts that the WebUI has, in small letters."""
    return {one["name"] for one in bench.server.get("/sdapi/v1/script-info")}


@pytest.fixture(scope="module")
def seen(webui_dir: Path) -> Iterator[dict[str, str]]:
    """The host's cells of the table, by the rows' names."""
    cells: dict[str, str] = {}
    yield cells
    if os.environ.get("FACEID_WRITE_DOCS"):
        write_cells(kind_of(webui_dir).name, cells)


@pytest.mark.parametrize("row", FORGE_ROWS, ids=lambda row: row.name)
def test_a_person_beside_what_is_built_in(bench: Bench, titles: set[str], row: Row, seen: dict[str, str]) -> None:
    """Nothing fails, both act, so does our LoRA, and both off is the plain picture's file."""
    (title,) = row.theirs
    if title.lower() not in titles or row.neighbour in OTHERWISE.get(bench.server.kind.name, ()):
        pytest.skip(f"this WebUI has no {title}" + (", nor FACEID_WEBUI_EXTENSIONS" if title == COUPLE else ""))
    seen[row.name] = "**no**"
    found = bench.measure(row)
    print(f"{row.name}: ours {found.ours:.3f}, theirs {found.theirs}, LoRA {found.partner:.3f}, {found.restored}")
    assert not found.trouble, found.trouble
    assert found.ours > PERSON
    assert found.theirs is not None
    assert (found.theirs > 0) is (row.note != "draws the same picture")
    assert found.partner > PERSON / 2
    assert found.restored
    seen[row.name] = "yes"


def test_who_is_asked_first_changes_nothing(bench: Bench, titles: set[str]) -> None:
    """Their net and IP-Adapter before us, and behind us: the same file."""
    if "controlnet" not in titles:
        pytest.skip("this WebUI has no ControlNet")
    server, row = bench.server, next(one for one in FORGE_ROWS if one.job == "all three")

    def drawn() -> tuple[list[str], bytes]:
        answer = bench.draw(row, {row.partner: 1.0})
        assert not trouble(answer.log)
        return server.get("/faceid-probe/order"), answer.png[0]

    usual, before = drawn()
    ours = next(name for name in usual if "faceid.py" in name)
    theirs = next(name for name in usual if "controlnet.py" in name)
    other_way = sorted((ours, theirs), key=usual.index, reverse=True)
    server.stop()
    server.config = {"prioritized_callbacks_script_process_before_every_sampling": other_way}
    server.start("--ckpt", str(server.data / "models/Stable-diffusion/mini_sd15.safetensors"))
    changed, after = drawn()
    assert (usual.index(ours) < usual.index(theirs)) is not (changed.index(ours) < changed.index(theirs))
    assert before == after
