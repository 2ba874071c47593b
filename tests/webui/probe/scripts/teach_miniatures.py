"""For tests only: tells Forge and its descendants of the miniatures in the data folder; they know published sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modules import paths

FOLDER = Path(paths.data_path) / "forge_repos"
FLUX = {"flux-dev": "Flux", "flux-schnell": "FluxSchnell"}
TEXTS = {"sd1_clip_config.json": "text_encoder", "clip_config_bigg.json": "text_encoder_2"}
"""What Forge of early 2024 calls the sizes of text encoders."""


def teach_forge() -> None:
    """Add one kind of model for each folder there."""
    from huggingface_guess import model_list

    for repo in sorted(FOLDER.iterdir()):
        if repo.name in FLUX:
            teach_flux(getattr(model_list, FLUX[repo.name]), model_list, repo)
            continue
        base: Any = model_list.SDXL if repo.name == "sdxl" else model_list.SD15
        known = {"huggingface_repo": str(repo), "unet_config": base.unet_config | read(repo / "sizes.json")}
        made = type(f"Mini{base.__name__}", (base,), known)
        model_list.models.append(made)
        for engine in import_module("backend.loader").possible_models:
            if base in engine.matched_guesses:  # Forge Neo takes these themselves and nothing that is made of them
                engine.matched_guesses.append(made)


def teach_flux(base: Any, model_list: Any, repo: Path) -> None:
    """Have every FLUX.1 of a kind be the miniature: its sizes are in Forge's code, which asks no file for them."""
    sizes = read(repo / "sizes.json")
    inner = sizes.pop("t5_inner")

    def sized(self: Any, unet_config: Any) -> None:
        base.__init__(self, unet_config | {name: one for name, one in sizes.items() if name in unet_config})

    made = type(f"Mini{base.__name__}", (base,), {"huggingface_repo": str(repo), "__init__": sized})
    model_list.models.insert(0, made)
    for engine in import_module("backend.loader").possible_models:
        if base in engine.matched_guesses:
            engine.matched_guesses.append(made)
    t5: Any = import_module("backend.nn.t5")
    real = t5.T5Stack

    def narrow(layers: int, width: int, _inner: int, *more: Any, **named: Any) -> Any:
        return real(layers, width, inner, *more, **named)

    t5.T5Stack = narrow


def teach_early_forge() -> None:
    """The same in the Forge on which reForge and Forge Classic build: there the sizes of all parts are in its code."""
    models: Any = import_module("ldm_patched.modules.supported_models")
    for repo in sorted(one for one in FOLDER.iterdir() if one.name not in FLUX):
        base: Any = models.SDXL if repo.name == "sdxl" else models.SD15
        known = {"unet_config": base.unet_config | read(repo / "sizes.json"), "repo": repo}
        models.models.append(type(f"Mini{base.__name__}", (Early, base), known))


class Early:
    """What a miniature adds to a kind of model."""

    repo = Path()

    def process_vae_state_dict(self, state_dict: Any) -> Any:
        """Comes before the VAE is made."""
        of_parts: Any = import_module("ldm_patched.modules.sd")
        sizes = read(self.repo / "vae" / "config.json")
        channels = sizes["block_out_channels"]
        ours = {"ch": channels[0], "ch_mult": [one // channels[0] for one in channels]}
        ours["num_res_blocks"] = sizes["layers_per_block"]
        real: Any = import_module("ldm_patched.ldm.models.autoencoder").AutoencoderKL
        of_parts.AutoencoderKL = lambda ddconfig, **named: real(ddconfig=ddconfig | ours, **named)
        return state_dict

    def clip_target(self, *args: Any, **named: Any) -> Any:
        target = super().clip_target(*args, **named)  # pyright: ignore[reportAttributeAccessIssue]
        real = target.clip

        def clip(**parameters: Any) -> Any:
            with text_sizes(self.repo):
                return real(**parameters)

        target.clip = clip
        return target


@contextmanager
def text_sizes(repo: Path) -> Iterator[None]:
    """Have the text encoders made meanwhile in the sizes of a repository."""
    from transformers import CLIPTextConfig

    real = CLIPTextConfig.from_json_file

    def from_json_file(path: Any, *more: Any) -> Any:
        config = real(str(repo / TEXTS[Path(path).name] / "config.json"), *more)
        if repo.name == "sdxl":  # where the layer before the last is read, there have to be three of them
            config.num_hidden_layers = max(config.num_hidden_layers, 3)
        return config

    CLIPTextConfig.from_json_file = from_json_file  # type: ignore[method-assign]
    try:
        yield
    finally:
        CLIPTextConfig.from_json_file = real  # type: ignore[method-assign]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


if FOLDER.is_dir() and find_spec("huggingface_guess") is not None:
    teach_forge()
elif FOLDER.is_dir() and find_spec("ldm_patched") is not None:
    teach_early_forge()
