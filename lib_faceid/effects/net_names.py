"""A net's tensors under diffusers' names, whatever layout its file has; and what is no such net, by its name.

The older layout is that of the files of https://github.com/lllyasviel/ControlNet: the names of `ldm`'s UNet, in which
the blocks of all levels are counted through. Each part is the same numbers in the same shape under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count, takewhile

from torch import Tensor

from lib_faceid.effects.controlnet import MARK
from lib_faceid.effects.t2i_names import is_t2i_adapter, t2i_named_as_diffusers
from lib_faceid.errors import FileError

__all__ = ["named_as_diffusers"]

State = Mapping[str, Tensor]
PREFIX = "control_model."  # of checkpoints with a net in them, and of files cut out of those
LDM_MARK = "input_hint_block.0.weight"
RGB = 3
MOST_HINT_LAYERS = 64  # 15 in every published file

# What begins so in one of a file's tensors -> what the file is. The first that is found counts: some are marked by what
# they have beside a whole ControlNet.
OTHERS: Mapping[str, str] = {
    "control_add_embedding.": "a ControlNet-Union, which is told which kind of picture it follows",
    "lora_controlnet": "a Control-LoRA, which is made whole by the weights of its checkpoint",
    "lllite_unet": "a ControlNet-LLLite, which changes the attention of a UNet",
    "down_blocks.0.motion_modules.": "a SparseCtrl, which is for videos",
    "style_embedding": "a T2I-Adapter for styles, which writes tokens into the prompt",
    "spatial_feat_mapping.": "the fuser of CoAdapters, which joins what several of them make",
    "task_embedding": "the fuser of CoAdapters, which joins what several of them make",
    "difference": "the difference of a ControlNet to a checkpoint that it was trained on",
    "image_proj.": "an adapter, which is chosen in a unit",
    "ip_adapter.": "an adapter, which is chosen in a unit",
    "controlnet_blocks.": "a ControlNet for SD 3, FLUX or another transformer",
    "model.diffusion_model.": "a checkpoint",
}
TAKES = "A ControlNet or T2I-Adapter for SD 1.5 or SDXL was expected, in diffusers' layout or its authors'"

RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ONCE = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block_out.0": "controlnet_mid_block",
}


def named_as_diffusers(name: str, tensors: State) -> dict[str, Tensor]:
    """Return the tensors of a ControlNet or T2I-Adapter by diffusers' names. name: of the file, for messages.

    Raises FileError for what is neither, or one of a kind that is not run here, saying what it is.
    """
    inner = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items() if key.startswith(PREFIX)}
    state = inner or dict(tensors)
    _refuse_others(name, state)
    if is_t2i_adapter(state):
        return t2i_named_as_diffusers(state)
    if MARK in state:
        found = state
    elif LDM_MARK in state:
        rename = _renaming(state)
        found = {rename(key): tensor for key, tensor in state.items()}
    else:
        raise FileError(
            f"{name} is no ControlNet in diffusers' layout: it has no tensor {MARK}; nor is it one in lllyasviel's "
            f"({LDM_MARK}). Get the file again from where it is published."
        )
    channels = found[MARK].shape[1] if MARK in found and found[MARK].ndim == 4 else RGB
    if channels != RGB:
        raise FileError(f"{name} follows pictures of {channels} channels, and {RGB} were expected: red, green, blue.")
    return found


def _refuse_others(name: str, state: State) -> None:
    for start, what in OTHERS.items():
        if any(key.startswith(start) for key in state):
            raise FileError(f"{name} is {what}. {TAKES}. Choose another file.")


def _renaming(state: State) -> Callable[[str], str]:
    """Return what gives diffusers' name of one of `ldm`'s; a name that it does not know stays."""
    table = {**ONCE, **dict(_blocks(state)), **dict(_counted(state))}

    def rename(key: str) -> str:
        for end in (at for at in range(len(key), 0, -1) if key[at : at + 1] == "."):
            if key[:end] in table:
                return table[key[:end]] + key[end:]
        return key

    return rename


def _counted(state: State) -> Iterator[tuple[str, str]]:
    """Give the names of what is but counted in another way: the layers of the hint, and the zero convolutions."""
    hint = [number for number in range(MOST_HINT_LAYERS) if f"input_hint_block.{number}.weight" in state]
    parts = ["conv_in", *(f"blocks.{at}" for at in range(len(hint) - 2)), "conv_out"]
    for number, part in zip(hint, parts, strict=False):
        yield f"input_hint_block.{number}", f"controlnet_cond_embedding.{part}"
    for number in range(_count(state, "zero_convs")):
        yield f"zero_convs.{number}.0", f"controlnet_down_blocks.{number}"


def _blocks(state: State) -> Iterator[tuple[str, str]]:
    """Give the names of the blocks: a halving ends a level, each other one has a residual block and perhaps more."""
    level = at = 0
    for number in range(1, _count(state, "input_blocks")):
        block = f"input_blocks.{number}"
        if f"{block}.0.op.weight" in state:
            yield f"{block}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
            level, at = level + 1, 0
            continue
        yield from _residual(f"{block}.0", f"down_blocks.{level}.resnets.{at}")
        yield f"{block}.1", f"down_blocks.{level}.attentions.{at}"
        at += 1
    for theirs, ours in ((0, 0), (2, 1)):
        yield from _residual(f"middle_block.{theirs}", f"mid_block.resnets.{ours}")


def _residual(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for part, name in RESIDUAL.items():
        yield f"{theirs}.{part}", f"{ours}.{name}"


def _count(state: State, parent: str) -> int:
    """Return how many modules a list has."""
    numbers = {key.split(".")[1] for key in state if key.startswith(f"{parent}.")}
    return sum(1 for _ in takewhile(lambda number: str(number) in numbers, count()))
