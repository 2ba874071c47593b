"""Write what was trained as the files that ship: float16, in the published layouts."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lib_faceid.miniature.trained import TRAINED_ADAPTER, TRAINED_NOTE
from lib_faceid.miniature.weights import write_safetensors
from training.adapter import FaceAdapter
from training.unet import UNet
from training.vae import VAE

__all__ = ["export"]


def export(folder: Path, vae: VAE, unet: UNet, adapter: FaceAdapter) -> list[Path]:
    """Write the three parts into the folder, and return their paths."""
    parts: dict[str, nn.Module] = {"unet": unet, "vae": vae, TRAINED_ADAPTER.stem: adapter}
    return [_write(folder / f"{name}.safetensors", network) for name, network in parts.items()]


def _write(path: Path, network: nn.Module) -> Path:
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    return write_safetensors(path, tensors, TRAINED_NOTE)
