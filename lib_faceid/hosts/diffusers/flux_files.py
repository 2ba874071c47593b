"""The parts of FLUX.1 that a file with a transformer lacks: T5, CLIP-L, the VAE and T5's vocabulary.

They are looked for where users have them, and recognised by their tensors: in the file itself, beside it, in the
folders of Forge and ComfyUI, and in a diffusers folder of FLUX.1 that lies there. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lib_faceid.errors import FileError, MissingModelError
from lib_faceid.models.checkpoint import read_tensors
from lib_faceid.models.folders import Roots
from lib_faceid.models.listing import children, is_file, is_folder

__all__ = ["State", "Wanted", "find_parts", "is_flux_folder", "vocabulary_folder", "wanted_parts"]

State = Mapping[str, Tensor]
SUFFIXES = (".safetensors", ".sft")
TEXT_FOLDERS, VAE_FOLDERS = ("text_encoder", "text_encoders", "clip"), ("VAE", "vae")
WHOLE_FOLDERS = ("Stable-diffusion", "diffusers", "checkpoints", "unet", "diffusion_models")
FORGE = "backend/huggingface/black-forest-labs/FLUX.1-dev/tokenizer_2"  # beside a Forge's models
VOCABULARY = ("tokenizer.json", "spiece.model")


@dataclass(frozen=True)
class Wanted:
    """A part that is looked for."""

    name: str
    """What diffusers calls it."""
    label: str
    sign: str
    """A tensor that it has, with the width at `axis`, behind any prefix."""
    axis: int
    width: int
    folders: tuple[str, ...]
    file_name: str
    """What it is best called."""

    def prefix_in(self, state: State) -> str | None:
        """Return what stands in front of its tensors; None where it is not among them."""
        found = (name for name in state if name == self.sign or name.endswith(f".{self.sign}"))
        fitting = (name for name in found if state[name].shape[self.axis : self.axis + 1] == (self.width,))
        return next((name.removesuffix(self.sign) for name in fitting), None)


def wanted_parts(context: int, pooled: int, latent: int) -> tuple[Wanted, ...]:
    """Return what a transformer needs beside it, by the widths of its context, of pooled text and of its latents."""
    text = "text_model.embeddings.token_embedding.weight"
    return (
        Wanted("text_encoder_2", "T5-XXL", "encoder.block.0.layer.0.layer_norm.weight", 0, context, TEXT_FOLDERS,
               "t5xxl_fp16.safetensors"),
        Wanted("text_encoder", "CLIP-L", text, 1, pooled, TEXT_FOLDERS, "clip_l.safetensors"),
        Wanted("vae", "the VAE", "decoder.conv_in.weight", 1, latent, VAE_FOLDERS, "ae.safetensors"),
    )  # fmt: skip


def find_parts(own: State, checkpoint: Path, roots: Roots, widths: tuple[int, int, int]) -> dict[str, State | Path]:
    """Return each part's tensors, without their prefix, or its folder in a diffusers folder.

    own: the checkpoint's tensors. Raises MissingModelError, which says what is missing and where it goes.
    """
    found: dict[str, State | Path] = {}
    missing: list[Wanted] = []
    for one in wanted_parts(*widths):
        part = _in_file(one, own) or _beside(one, checkpoint, roots) or _in_folder(one.name, checkpoint, roots)
        if part is None:
            missing.append(one)
        else:
            found[one.name] = part
    if missing:
        models = roots.own
        needs = ", ".join(f"{one.label} ({models / one.folders[0] / one.file_name})" for one in missing)
        raise MissingModelError(
            f"{checkpoint.name} holds the transformer of FLUX.1 alone, and these parts are not here: {needs}. Put them "
            "there, or name a whole diffusers folder of FLUX.1 as the checkpoint. No network was used."
        )
    return found


def vocabulary_folder(checkpoint: Path, roots: Roots) -> Path:
    """Return the folder with T5's vocabulary. Raises MissingModelError."""
    places = [folder / "tokenizer_2" for folder in _flux_folders(checkpoint, roots)]
    for folder in (models / name for models in roots.all_models for name in TEXT_FOLDERS):
        places += [folder, *(one for one in children(folder) if is_folder(one))]
    places += [models.parent / FORGE for models in roots.all_models]
    for place in places:
        if any(is_file(place / name) for name in VOCABULARY):
            return place
    raise MissingModelError(
        f"T5's vocabulary is not here, without which FLUX.1 reads no prompt: put the folder tokenizer_2 of "
        f"black-forest-labs/FLUX.1-schnell (under Apache-2.0) into {roots.own / TEXT_FOLDERS[0]}. No network was used."
    )


def is_flux_folder(folder: Path) -> bool:
    """Say whether a folder is laid out as diffusers saves FLUX.1."""
    return is_file(folder / "model_index.json") and "FluxTransformer2DModel" in _text(folder / "model_index.json")


def _in_file(one: Wanted, state: State) -> State | None:
    prefix = one.prefix_in(state)
    if prefix is None:
        return None
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _beside(one: Wanted, checkpoint: Path, roots: Roots) -> State | None:
    for path in _files(one, checkpoint, roots):
        try:
            state = read_tensors(path)
        except FileError:
            continue
        if part := _in_file(one, state):
            return part
    return None


def _files(one: Wanted, checkpoint: Path, roots: Roots) -> Iterator[Path]:
    folders = [checkpoint.parent, *(models / name for models in roots.all_models for name in one.folders)]
    for folder in folders:
        inside = [path for path in children(folder) if path != checkpoint]
        for path in [
            *inside,
            *(deeper for child in inside if folder != checkpoint.parent for deeper in children(child)),
        ]:
            if path.suffix.lower() in SUFFIXES and is_file(path):
                yield path


def _in_folder(name: str, checkpoint: Path, roots: Roots) -> Path | None:
    places = (folder / name for folder in _flux_folders(checkpoint, roots))
    return next((place for place in places if is_file(place / "config.json")), None)


def _flux_folders(checkpoint: Path, roots: Roots) -> Iterator[Path]:
    above = [checkpoint.parent, *(models / name for models in roots.all_models for name in WHOLE_FOLDERS)]
    is_whole: Callable[[Path], bool] = is_flux_folder
    yield from (one for folder in dict.fromkeys(above) for one in children(folder) if is_whole(one))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
