"""Tab at the command line: asked as a shell asks, through argcomplete itself."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from lib_faceid.commands import completion
from lib_faceid.people.library import People
from lib_faceid.references.identity import Identity

PROJECT = Path(__file__).parent.parent


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Anna and Ben are saved there."""
    people = People(tmp_path / "faces")
    for name in ("Anna", "Ben"):
        people.save(name, Identity(torch.ones(1, 512), recogniser="w600k_r50"))
    return people.folder


def offered(line: str, folder: Path) -> list[str]:
    """What a shell offers behind such a line."""
    pytest.importorskip("argcomplete", reason="argcomplete is not installed: completion was not tested")
    answer = folder / "answer"
    asked = {
        "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
        "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_COMP_WORDBREAKS": " ", "_ARGCOMPLETE_SHELL": "bash", "PYTHONPATH": os.pathsep.join(
            [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        ),
    }  # fmt: skip
    code = "import sys; sys.argv[0] = 'faceid'; from lib_faceid.commands.cli import main; main()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env={**os.environ, **asked}, check=True)
    return [word.strip() for word in answer.read_text("utf-8").split("\n")]


def test_commands_people_choices_and_models(library: Path, tmp_path: Path) -> None:
    assert offered("faceid gen", tmp_path) == ["generate"]
    assert offered(f"faceid face show --faces {library} A", tmp_path) == ["Anna"]
    assert offered(f"faceid generate --faces {library} --person B", tmp_path) == ["Ben"]
    assert offered("faceid generate --combine med", tmp_path) == ["median"]
    assert offered("faceid models download plusv2_sd1", tmp_path) == ["plusv2_sd15"]


def test_without_a_shell_that_asks_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_ARGCOMPLETE", raising=False)
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    completion.answer_shell(None)  # type: ignore[arg-type]
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    completion.answer_shell(None)  # type: ignore[arg-type]


def test_people_and_files(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Ann.jpg").touch()
    (tmp_path / "Andes").mkdir()
    found = completion.people_or_files("An", Namespace(faces=library))
    assert found == ["Anna", f"Andes{os.sep}", "Ann.jpg"]
    assert completion.saved_names("", Namespace()) == []
    assert "buffalo_l" in completion.model_names("b")
