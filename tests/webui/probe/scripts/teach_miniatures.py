"""For tests only: tells Forge of the miniatures in the data folder, of whose sizes it knows none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modules import paths

FOLDER = Path(paths.data_path) / "forge_repos"


def teach() -> None:
    """Add one kind of model for each folder there."""
    from huggingface_guess import model_list

    def told(base: Any, family: str, **sizes: Any) -> Any:
        repo = str(FOLDER / family)
        return type(
            f"Mini{base.__name__}", (base,), {"huggingface_repo": repo, "unet_config": base.unet_config | sizes}
        )

    model_list.models += [
        told(model_list.SD15, "sd15", model_channels=64),
        told(model_list.SDXL, "sdxl", model_channels=32, adm_in_channels=1792),
    ]


if find_spec("huggingface_guess") is not None and FOLDER.is_dir():
    teach()
