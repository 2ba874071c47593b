"""Which versions run here: what a bug report has to say first."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

__all__ = ["NOT_INSTALLED", "versions"]

NOT_INSTALLED = "not installed"
# One module, published under several names, best known first.
PACKAGES = {
    "torch": ("torch",),
    "transformers": ("transformers",),
    "safetensors": ("safetensors",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    "numpy": ("numpy",),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "gradio": ("gradio",),
    "diffusers": ("diffusers",),
}


def versions() -> dict[str, str]:
    """Return name -> version of Python, the system, the device and each package; "not installed" where it is not."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    mps = "Apple GPU" if torch.backends.mps.is_available() else None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}".strip(),
        "device": cuda or mps or "CPU",
        **{name: _version(names) for name, names in PACKAGES.items()},
    }


def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        return found if name == names[0] else f"{found} ({name})"
    return NOT_INSTALLED
