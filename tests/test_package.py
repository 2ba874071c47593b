"""`pip install .`: a wheel is built without a network, unpacked beside nothing of the clone, and used from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "style.css")
FOLDERS = ("lib_faceid", "javascript")
MAX_WHEEL_BYTES = 32_000_000  # the miniature is 29 MB of it
DATA = (".txt.gz", ".txt", ".json", ".safetensors", ".jpg", ".md", "py.typed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it; from a copy, as setuptools writes beside what it reads."""
    source, out = tmp_path_factory.mktemp("source") / "clone", tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package alone."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(installed: Path, code: str, *arguments: str) -> str:
    """What a program prints that has the package from there, in an empty folder."""
    empty = installed / "elsewhere"
    empty.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(empty)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel: Path) -> None:
    files = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in files} == {"lib_faceid"}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lib_faceid").rglob("*")}
    wanted = {name for name in there if name.endswith((*DATA, ".py")) and "__pycache__" not in name}
    page = {f"lib_faceid/data/page/{Path(name).name}" for name in ("style.css", *(ROOT / "javascript").iterdir())}
    assert set(files) == wanted | page
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_the_command_and_the_extras(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    named = {name.rsplit("/", 1)[-1]: name for name in archive.namelist() if ".dist-info/" in name}
    assert "faceid = lib_faceid.commands.cli:main" in archive.read(named["entry_points.txt"]).decode()
    metadata = archive.read(named["METADATA"]).decode()
    assert {"diffusers", "page", "completion", "ray"} == {
        line.split(": ")[1] for line in metadata.splitlines() if line.startswith("Provides-Extra")
    }


def test_what_is_installed_has_its_page_and_its_miniature(installed: Path) -> None:
    code = (
        "import lib_faceid; from lib_faceid.app.page_files import page_file;"
        "from lib_faceid.miniature.trained import TRAINED_ADAPTER;"
        "print(lib_faceid.__file__); print(lib_faceid.load_adapter(TRAINED_ADAPTER).variant.id);"
        "print('.faceid' in page_file('style.css'), len(page_file('javascript/ip_adapter_faceid.js')) > 1000)"
    )
    place, variant, page = run(installed, code).splitlines()
    assert Path(place).is_relative_to(installed)
    assert (variant, page) == ("faceid", "True True")


def test_the_command_is_called_as_it_was_typed(installed: Path) -> None:
    code = "import sys; sys.argv[0] = {!r}; from lib_faceid.commands.cli import main; sys.exit(main())"
    for typed, name in (
        ("/usr/bin/faceid", "faceid"),
        ("faceid.exe", "faceid"),
        ("__main__.py", "python -m lib_faceid"),
    ):
        assert run(installed, code.format(typed), "face", "--help").startswith(f"usage: {name} face")
    assert run(installed, code.format("faceid"), "--version").startswith("sd-webui-faceid ")


def test_other_packages_models_are_not_ours(installed: Path) -> None:
    """`models` beside an installed package is a package of somebody else's."""
    code = "from lib_faceid.models.folders import usual_roots; print(*usual_roots().models)"
    assert run(installed, code).split() == ["models"]


def test_importing_the_package_costs_nothing() -> None:
    """Its public names come from 20 modules and torch; none is imported before it is used."""
    code = (
        "import sys; before = set(sys.modules); import lib_faceid; dir(lib_faceid); print(*set(sys.modules) - before)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name for name in found.stdout.split() if name.startswith("lib_faceid")} == {"lib_faceid"}
    assert not {"torch", "numpy", "PIL"} & set(found.stdout.split())
