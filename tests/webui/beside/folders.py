"""A WebUI's data folder with neighbours in it: copies of the extensions, and the models that they need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.webui.beside.asked import EXTENSIONS
from tests.webui.beside.models import write_neighbours_models
from tests.webui.folder import write_instantid
from tests.webui.forge_repos import FOLDER
from tests.webui.server import PROJECT

__all__ = ["checkouts", "put_extensions", "put_models", "versions"]

NOT_COPIED = shutil.ignore_patterns(".git", "__pycache__", "tests", "samples", "node_modules", ".venv")


def checkouts() -> dict[str, Path]:
    """The extensions in the folder that FACEID_WEBUI_EXTENSIONS names, by their own folder's name."""
    named = os.environ.get("FACEID_WEBUI_EXTENSIONS")
    folders = [Path(named) / name for name in EXTENSIONS.values()] if named else []
    return {folder.name: folder for folder in folders if folder.is_dir()}


def versions() -> dict[str, str]:
    """The commit of each checkout."""
    asked = ["rev-parse", "--short=7", "HEAD"]
    return {
        name: subprocess.run(["git", "-C", folder, *asked], check=True, capture_output=True, text=True).stdout.strip()
        for name, folder in checkouts().items()
    }


def put_extensions(data: Path, ours: str, neighbours: Iterable[Path]) -> None:
    """Copy our project and the neighbours into the folder's extensions, and nobody else.

    Not links: the WebUI follows a link, no longer knows the extension by its name, and orders no callbacks.
    """
    folder, probe = data / "extensions", PROJECT / "tests" / "webui" / "probe"
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in {ours: PROJECT, "zz-probe": probe, **{one.name: one for one in neighbours}}.items():
        shutil.copytree(source, folder / name, ignore=NOT_COPIED, symlinks=True)


def put_models(data: Path, others: Path) -> None:
    """Link each model of another data folder into this one, and add what only neighbours need."""
    for path in (others / "models").rglob("*"):
        target = data / path.relative_to(others)
        if path.is_dir() and not path.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():
            target.symlink_to(path.resolve())
    if not (data / FOLDER).exists():
        (data / FOLDER).symlink_to(others / FOLDER)  # where the probe tells Forge of the miniatures' sizes
    write_neighbours_models(data / "models")
    write_instantid(data / "models")
    (data / "ui-config.json").write_text("{}")  # NegPiP reads it while the WebUI starts for the first time
