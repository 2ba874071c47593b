"""Write what was trained as the files that ship: float16, in the published layouts."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from lib_faceid.methods.loading import RECOGNISER_KEY
from lib_faceid.miniature.plus import PLUS_NOTE, TRAINED_PLUS
from lib_faceid.miniature.trained import RECOGNISER, TRAINED_ADAPTER, TRAINED_NOTE
from lib_faceid.miniature.weights import write_safetensors
from training.adapter import FaceAdapter
from training.plus import PlusNetworks
from training.unet import UNet
from training.vae import VAE

__all__ = ["export", "export_plus", "load_part"]


def export(folder: Path, vae: VAE, unet: UNet, adapter: FaceAdapter) -> list[Path]:
    """Write the three parts into the folder, and return their paths."""
    parts: dict[str, nn.Module] = {"unet": unet, "vae": vae, TRAINED_ADAPTER.stem: adapter}
    trained_on = {TRAINED_ADAPTER.stem: {RECOGNISER_KEY: RECOGNISER}}
    return [
        _write(folder / f"{name}.safetensors", network, **trained_on.get(name, {})) for name, network in parts.items()
    ]


def export_plus(folder: Path, networks: PlusNetworks) -> Path:
    """Write what Plus v2 has beyond FaceID into the folder, and return its path."""
    return write_safetensors(folder / TRAINED_PLUS.name, _halves(networks), PLUS_NOTE)


def load_part(network: nn.Module, path: Path) -> None:
    """Put the weights of a shipped part into a network."""
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})


def _write(path: Path, network: nn.Module, **metadata: str) -> Path:
    return write_safetensors(path, _halves(network), TRAINED_NOTE, **metadata)


def _halves(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
