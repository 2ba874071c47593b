"""For tests only: tells Forge of the miniatures in the data folder, of whose sizes it knows none."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modules import paths

FOLDER = Path(paths.data_path) / "forge_repos"


def teach() -> None:
    """Add one kind of model for each folder there."""
    from huggingface_guess import model_list

    for repo in sorted(FOLDER.iterdir()):
        base: Any = model_list.SDXL if repo.name == "sdxl" else model_list.SD15
        sizes = json.loads((repo / "sizes.json").read_text())
        known = {"huggingface_repo": str(repo), "unet_config": base.unet_config | sizes}
        model_list.models.append(type(f"Mini{base.__name__}", (base,), known))


if find_spec("huggingface_guess") is not None and FOLDER.is_dir():
    teach()
