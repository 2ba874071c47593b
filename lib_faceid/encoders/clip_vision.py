"""What CLIP ViT-H/14 sees of a face: the hidden states that the Plus family reads besides the identity.

Only this encoder fits: the adapters read tokens of width 1280. It computes in float32, and one picture at a
time, so that neither a host's precision nor the batch changes what a photo means.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lib_faceid.arguments import as_path, shown
from lib_faceid.encoders.clip_layouts import vision_tensors
from lib_faceid.errors import FileError, MissingPackageError, UnitError, WrongFamilyError
from lib_faceid.models.checkpoint import read_tensors
from lib_faceid.models.folders import require_clip_vision
from lib_faceid.pictures.pixels import require_rgb

if TYPE_CHECKING:
    from transformers import CLIPVisionModel

__all__ = ["ClipVision", "check_clip_vision", "load_clip_vision", "preprocess", "unload"]

IMAGE_SIZE_PX = 224
PATCH_PX = 14
TOKENS = (IMAGE_SIZE_PX // PATCH_PX) ** 2 + 1  # 257: the patches and the class token
WIDTH = 1280
# Neither can be deduced from the shapes: 16 heads of 80, and the exact gelu (ViT-L has the quick one).
HEADS, ACTIVATION = 16, "gelu"
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of RGB, the same for every CLIP (github.com/openai/CLIP, MIT)
STD = (0.26862954, 0.26130258, 0.27577711)
OTHER_ENCODERS = {768: "CLIP ViT-B", 1024: "CLIP ViT-L/14", 1152: "SigLIP", 1664: "CLIP ViT-bigG/14"}
FREED_AFTER_S = 300  # without use: it has 2.5 GB
USE_OFFICIAL = "Use models/image_encoder/model.safetensors of h94/IP-Adapter."


class ClipVision:
    """CLIP ViT-H's image encoder on one device."""

    def __init__(self, model: CLIPVisionModel, source: str) -> None:
        self._model = model
        self.source = source
        """Which file it came from."""
        self._lock = threading.Lock()
        self._uncond: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._model.device

    def encode(self, crops_rgb: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return penultimate hidden states [n, 257, 1280] (float32, CPU) of n crops (uint8 RGB [H, W, 3])."""
        hidden = [self._hidden(preprocess(crop)[None]) for crop in crops_rgb]
        return torch.cat([torch.zeros(0, TOKENS, WIDTH), *hidden])

    def encode_uncond(self) -> Tensor:
        """Return the same [257, 1280] for the negative side: of pixel values that are all zero.

        Zero after the normalisation, so not of a black picture, as in the authors' own code
        (github.com/tencent-ailab/IP-Adapter 62e4af9, ip_adapter_faceid.py).
        """
        if self._uncond is None:
            self._uncond = self._hidden(torch.zeros(1, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX))[0]
        return self._uncond

    def _hidden(self, pixel_values: Tensor) -> Tensor:
        with self._lock, torch.no_grad(), _full_precision(self.device.type):
            output = self._model(pixel_values.to(self.device), output_hidden_states=True)
            return output.hidden_states[-2].float().cpu()


def load_clip_vision(path: Path | str | None = None, device: str | torch.device = "cpu") -> ClipVision:
    """Return the encoder in a file, or of the first file in the usual places.

    It is kept until `unload`, or until nobody has asked for it for five minutes. Raises MissingModelError,
    WrongFamilyError for another encoder, FileError for no encoder at all.
    """
    path = require_clip_vision() if path is None else as_path(path, "path")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnitError(f"device is {shown(device)}; one of torch's, such as cpu or cuda, was expected.") from error
    with _loading:
        encoder = _load(path, place)
        _idle.restart()
        return encoder


def check_clip_vision(path: Path) -> None:
    """Raise what `load_clip_vision` would raise for another encoder or a damaged file, without loading it."""
    _check_is_vit_h(vision_tensors(read_tensors(path), path.name, USE_OFFICIAL), path.name)


def unload() -> None:
    """Forget the encoder that is kept in memory (2.5 GB)."""
    _idle.stop()
    _load.cache_clear()


def preprocess(crop_rgb: NDArray[np.uint8]) -> Tensor:
    """Return a picture (uint8 [H, W, 3] in RGB order) as CLIP's pixel values [3, 224, 224].

    As transformers' CLIPImageProcessor does: shorter side to 224 px, the centre square, normalised.
    """
    height_px, width_px = require_rgb(crop_rgb).shape[:2]
    shorter = min(height_px, width_px)
    size = (IMAGE_SIZE_PX * width_px // shorter, IMAGE_SIZE_PX * height_px // shorter)
    image = Image.fromarray(np.ascontiguousarray(crop_rgb)).resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - IMAGE_SIZE_PX) // 2, (size[1] - IMAGE_SIZE_PX) // 2
    pixels = torch.from_numpy(np.array(image.crop((left, top, left + IMAGE_SIZE_PX, top + IMAGE_SIZE_PX))))
    normed = (pixels.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    return normed.permute(2, 0, 1).contiguous()


def _full_precision(device_type: str) -> contextlib.AbstractContextManager[object]:
    """Shield from a host's autocast, which would halve the precision. Not every device knows the word."""
    has_it = device_type in ("cpu", "cuda")
    return torch.autocast(device_type, enabled=False) if has_it else contextlib.nullcontext()


_loading = threading.Lock()


class _Idle:
    """Unloads the encoder when it has not been asked for in a while."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def restart(self) -> None:
        self.stop()
        self._timer = threading.Timer(FREED_AFTER_S, _load.cache_clear)
        self._timer.daemon = True  # it keeps no program alive
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


_idle = _Idle()


@functools.lru_cache(maxsize=1)
def _load(path: Path, device: torch.device) -> ClipVision:
    tensors = vision_tensors(read_tensors(path), path.name, USE_OFFICIAL)
    _check_is_vit_h(tensors, path.name)
    model = _empty_model(tensors)
    weights = {name: tensor.to(device, torch.float32) for name, tensor in tensors.items()}
    _fill(model, weights, path.name)
    # The one buffer: a plain count, which older files hold and newer ones do not.
    model.vision_model.embeddings.position_ids = torch.arange(TOKENS, device=device)[None]
    return ClipVision(model.eval().requires_grad_(requires_grad=False), str(path))


def _fill(model: CLIPVisionModel, weights: Mapping[str, Tensor], file_name: str) -> None:
    """Give the model the file's tensors themselves; raise FileError unless they are exactly what it needs.

    By hand: a WebUI that is loading a checkpoint meanwhile has put another `load_state_dict` into torch itself.
    """
    needed = dict(model.named_parameters())
    missing = [name for name in needed if name not in weights]
    unknown = [name for name in weights if name not in needed and not name.endswith("position_ids")]
    wrong = [name for name, tensor in weights.items() if name in needed and tensor.shape != needed[name].shape]
    if missing or unknown or wrong:
        first = (missing + unknown + wrong)[0]
        problem = f"{len(missing)} missing, {len(unknown)} unknown, {len(wrong)} of another shape, first {first}"
        raise FileError(f"{file_name} is not a whole CLIP ViT-H ({problem}). {USE_OFFICIAL}")
    for name in needed:
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, torch.nn.Parameter(weights[name], requires_grad=False))


def _check_is_vit_h(tensors: Mapping[str, Tensor], file_name: str) -> None:
    width = tensors["vision_model.embeddings.class_embedding"].shape[-1]
    expected = {
        "embeddings.patch_embedding.weight": (WIDTH, 3, PATCH_PX, PATCH_PX),
        "embeddings.position_embedding.weight": (TOKENS, WIDTH),
        "encoder.layers.1.layer_norm1.weight": (WIDTH,),  # so there is a layer before the last
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [name for name, shape in expected.items() if shapes.get(f"vision_model.{name}") != shape]
    if width != WIDTH or wrong:
        kind = OTHER_ENCODERS.get(width, f"another image encoder (its {wrong[0]} differs)")
        raise WrongFamilyError(
            f"{file_name} is {kind} of width {width}; the Plus variants read CLIP ViT-H/14 of width {WIDTH} "
            f"for pictures of {IMAGE_SIZE_PX} px. {USE_OFFICIAL}"
        )


def _empty_model(tensors: Mapping[str, Tensor]) -> CLIPVisionModel:
    """Return a model of the right size without weights: nothing is allocated, nor drawn at random."""
    try:
        from transformers import CLIPVisionConfig, CLIPVisionModel
    except (ImportError, RuntimeError) as error:  # its lazy imports raise the latter
        command = f'"{sys.executable}" -m pip install transformers'
        raise MissingPackageError(f"The Plus variants need transformers ({error}). Run: {command}") from error
    layers = {name.split(".")[3] for name in tensors if name.startswith("vision_model.encoder.layers.")}
    inner = tensors.get("vision_model.encoder.layers.0.mlp.fc1.weight", torch.empty(4 * WIDTH, 0))
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=inner.shape[0],
        num_hidden_layers=len(layers),
        num_attention_heads=HEADS,
        image_size=IMAGE_SIZE_PX,
        patch_size=PATCH_PX,
        hidden_act=ACTIVATION,
    )
    with torch.device("meta"):
        return CLIPVisionModel(config)
