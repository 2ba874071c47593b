"""`python dev.py check`: everything runs whatever fails, and the closing line of all tests is the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the interpreter is played by a script")
# Plays Python: says what it was asked to run, and fails where the test wants it to.
PLAYED = f"""#!{sys.executable}
import os, sys
asked = " ".join(sys.argv[1:])
if asked != "-c import xdist":
    print("ran", os.path.basename(sys.argv[0]), asked, "on", os.environ.get("OMP_NUM_THREADS"), flush=True)
    print("4 passed in 1 s")
sys.exit(os.environ["FAILS"] in os.path.basename(sys.argv[0]) + " " + asked)
"""


def check(folder: Path, fails: str, *args: str, gradio4: bool = True) -> tuple[int, list[str]]:
    """The exit status of `dev.py check`, and the lines that it prints."""
    interpreters = {"FACEID_PYTHON": folder / "python", "FACEID_GRADIO4_PYTHON": folder / "python4"}
    for path in interpreters.values():
        path.write_text(PLAYED, "utf-8")
        path.chmod(0o755)
    named = {name: str(path) for name, path in interpreters.items() if gradio4 or name == "FACEID_PYTHON"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "check", *args],
        env={**kept, **named, "FAILS": fails},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_all_passes(tmp_path: Path) -> None:
    status, lines = check(tmp_path, "nothing", "-k", "face")
    assert (status, lines[-1]) == (0, "4 passed in 1 s")
    assert not any("FAILED" in line or "Failed" in line for line in lines)
    ran = "\n".join(line for line in lines if line.startswith("ran"))
    for wanted in (
        "python -m ruff format --check .",
        "python -m ruff check .",
        "python -m pyright",
        "python4 -m pytest /",
        "python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -k face on 1",
    ):
        assert f"ran {wanted}" in ran
    assert "-m not one_gradio" in ran
    assert "bench" not in ran


def test_thorough_measures_what_a_person_costs(tmp_path: Path) -> None:
    _, lines = check(tmp_path, "nothing", "--thorough")
    assert any("-m tests.bench --quick" in line for line in lines)
    assert not any("--thorough" in line or "one_gradio" in line for line in lines)


@pytest.mark.parametrize(
    ("fails", "named"),
    [
        ("ruff format", "ruff format"),
        ("ruff check", "ruff check"),
        ("pyright", "pyright"),
        ("python4 ", "the page on gradio 4"),
        ("-n 2", "all tests"),
    ],
)
def test_what_fails_is_named_and_the_rest_runs(tmp_path: Path, fails: str, named: str) -> None:
    status, lines = check(tmp_path, fails)
    assert status == 1
    assert lines[-2:] == [f"Failed: {named}", "4 passed in 1 s"]
    assert sum(line.startswith("ran") for line in lines) == 5


def test_without_xdist_the_tests_run_in_one_process_and_that_is_said(tmp_path: Path) -> None:
    status, lines = check(tmp_path, "import xdist")
    assert (status, lines[-1]) == (0, "4 passed in 1 s")
    assert any("pytest-xdist is not installed" in line for line in lines)
    assert any(line.startswith("ran python -m pytest on 1") for line in lines)


def test_a_step_that_cannot_run_is_said_or_fails(tmp_path: Path) -> None:
    status, lines = check(tmp_path, "nothing", gradio4=False)
    assert status == 0
    assert any("the page on gradio 4: NOT RUN" in line for line in lines)
