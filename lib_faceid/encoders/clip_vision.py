"""What image encoders give of a picture: CLIP ViT-H/14 and ViT-bigG/14, and SigLIP, the ones that adapters read.

They compute in float32, and one picture at a time, so that neither a host's precision nor the batch changes what a
picture means.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.arguments import as_path, one_of, shown
from lib_faceid.encoders.clip_layouts import PROJECTION
from lib_faceid.encoders.clip_model import encoder_tensors, read_model
from lib_faceid.encoders.crops import square
from lib_faceid.encoders.features import FEATURE_SHAPES, FeatureKey
from lib_faceid.encoders.siglip import MEAN as SIGLIP_MEAN
from lib_faceid.encoders.siglip import STD as SIGLIP_STD
from lib_faceid.errors import FileError, UnitError
from lib_faceid.models.fingerprint import file_fingerprint
from lib_faceid.models.folders import require_clip_vision
from lib_faceid.models.image_encoders import IMAGE_ENCODERS, IMAGE_SIZE_PX, ImageEncoder, image_encoder

if TYPE_CHECKING:
    from lib_faceid.encoders.clip_model import Model

__all__ = ["ClipVision", "Output", "check_clip_vision", "load_clip_vision", "preprocess", "unload"]

Output = Literal["penultimate", "projected", "last"]
"""The hidden states before the last layer; image_embeds: the class token after the last one, normed, projected; or, of
SigLIP, the hidden states after the last layer, normed."""

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of RGB, the same for every CLIP (github.com/openai/CLIP, MIT)
STD = (0.26862954, 0.26130258, 0.27577711)
FREED_AFTER_S = 300  # without use: ViT-H has 2.5 GB, bigG 7.4 GB


class ClipVision:
    """One image encoder on one device.

    >>> clip = load_clip_vision("clip_vision.safetensors")
    >>> clip.encode([read_photo("me.jpg")]).shape
    torch.Size([1, 257, 1280])
    """

    def __init__(self, model: Model, source: str, encoder: str = "clip_vit_h", fingerprint: str = "") -> None:
        self._model = model
        self._kind = image_encoder(encoder)
        self._lock = threading.Lock()
        self._blank: dict[str, Tensor] = {}
        self.source = source
        """Which file it came from."""
        self.fingerprint = fingerprint or source
        """Changes when the file is replaced by another: what was encoded before is then no longer its own."""

    @property
    def encoder(self) -> str:
        """Its id, such as `clip_vit_h`: the first part of its features' keys."""
        return self._kind.id

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._model.device

    @property
    def has_projection(self) -> bool:
        """Whether its file has what image_embeds are made with."""
        return hasattr(self._model, "visual_projection")

    def encode(self, crops_rgb: Sequence[NDArray[np.uint8]], output: Output = "penultimate") -> Tensor:
        """Return what the encoder gives of n crops (uint8 RGB [H, W, 3]), float32 on the CPU, without any norm.

        `penultimate` is [n, 257, width] (1280 for ViT-H, 1664 for bigG), `projected` is [n, 1024] or [n, 1280], `last`
        is [n, 729, 1152].
        Raises FileError for `projected` where the file has no projection.
        """
        return self.encode_outputs(crops_rgb, [output])[output]

    def encode_outputs(self, crops_rgb: Sequence[NDArray[np.uint8]], outputs: Sequence[Output]) -> dict[Output, Tensor]:
        """Return several outputs of n crops, as `encode` gives each, from one run of the network for each crop."""
        for output in outputs:
            self._require(output)
        encoded = [self._encoded(self._pixels(crop)[None], outputs) for crop in crops_rgb]
        return {
            output: torch.cat([torch.zeros(0, *self._shape(output)), *(one[output] for one in encoded)])
            for output in outputs
        }

    def blank(self, output: Output = "penultimate") -> Tensor:
        """Return what stands for no image, on the negative side: as `encode` gives one, float32 on the CPU.

        The hidden states are those of pixel values that are all zero: zero after the normalisation, so not of a black
        picture. The image_embeds are zeros. Both as in the authors' own code (github.com/tencent-ailab/IP-Adapter
        62e4af9, ip_adapter.py). Zeros stand for `last` too, which has no negative side.
        """
        self._require(output)
        if output not in self._blank:
            zeros = torch.zeros(1, 3, self.image_px, self.image_px)
            is_hidden = output == "penultimate"
            self._blank[output] = (
                self._encoded(zeros, [output])[output][0] if is_hidden else torch.zeros(self._shape(output))
            )
        return self._blank[output]

    @property
    def image_px(self) -> int:
        """The side of the square pictures that it looks at."""
        return self._kind.image_px

    def _pixels(self, crop_rgb: NDArray[np.uint8]) -> Tensor:
        mean, std = (MEAN, STD) if self._kind.has_class_token else (SIGLIP_MEAN, SIGLIP_STD)
        return preprocess(crop_rgb, self.image_px, mean, std)

    def _shape(self, output: Output) -> tuple[int, ...]:
        return FeatureKey(self.encoder, output).shape

    def _require(self, output: Output) -> None:
        one_of(output, "output", [key.output for key in FEATURE_SHAPES if key.encoder == self.encoder])
        if output == "projected" and not self.has_projection:
            raise FileError(
                f"{Path(self.source).name} has no {PROJECTION}, which the image_embeds of {self._kind.label} are made "
                f"with. {self._kind.remedy}"
            )

    def _encoded(self, pixel_values: Tensor, outputs: Sequence[Output]) -> dict[Output, Tensor]:
        """Return what one run of the network gives of pixel values [1, 3, image_px, image_px]."""
        needs_hidden = "penultimate" in outputs
        with self._lock, torch.no_grad(), _full_precision(self.device.type):
            given = self._model(pixel_values.to(self.device), output_hidden_states=needs_hidden)
            read: dict[Output, Callable[[], Tensor]] = {
                "penultimate": lambda: given.hidden_states[-2],
                "projected": lambda: given.image_embeds,
                "last": lambda: given.last_hidden_state,
            }
            return {output: read[output]().float().cpu() for output in outputs}


def load_clip_vision(
    path: Path | str | None = None, device: str | torch.device = "cpu", encoder: str = "clip_vit_h"
) -> ClipVision:
    """Return an encoder of a file, or of the first file in the usual places that holds it.

    One of each kind is kept until `unload`, until its file is replaced, or until nobody has asked for it for five
    minutes. Raises MissingModelError, WrongFamilyError for another encoder, FileError for a damaged file, and
    UnitError for an id that is not in IMAGE_ENCODERS.

    >>> load_clip_vision("clip_vision.safetensors").encoder
    'clip_vit_h'
    """
    kept = _kept[image_encoder(encoder).id]
    path = require_clip_vision(encoder=encoder) if path is None else as_path(path, "path")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnitError(f"device is {shown(device)}; one of torch's, such as cpu or cuda, was expected.") from error
    return kept.load(path, place)


def check_clip_vision(path: Path, encoder: str = "clip_vit_h") -> str:
    """Return what the encoder in a file lacks, as a sentence; empty for a whole one. It is not loaded.

    Raises what `load_clip_vision` would raise for another encoder or a damaged file.
    """
    kind = image_encoder(encoder)
    if PROJECTION in encoder_tensors(path, kind) or not kind.projection:
        return ""
    return f"It has no {PROJECTION}: adapters that read image_embeds cannot be used with it. {kind.remedy}"


def unload() -> None:
    """Forget the encoders that are kept in memory."""
    for kept in _kept.values():
        kept.free()


def preprocess(
    crop_rgb: NDArray[np.uint8],
    size_px: int = IMAGE_SIZE_PX,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
) -> Tensor:
    """Return a picture (uint8 [H, W, 3] in RGB order) as CLIP's pixel values [3, size_px, size_px].

    As transformers' CLIPImageProcessor does: the centre square, normalised by mean and standard deviation of RGB.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(square(crop_rgb, size_px)))
    normed = (pixels.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    return normed.permute(2, 0, 1).contiguous()


def _full_precision(device_type: str) -> contextlib.AbstractContextManager[object]:
    """Shield from a host's autocast, which would halve the precision. Not every device knows the word."""
    has_it = device_type in ("cpu", "cuda")
    return torch.autocast(device_type, enabled=False) if has_it else contextlib.nullcontext()


class _Kept:
    """The one encoder of a kind that is in memory, with the file and the device that it is for."""

    def __init__(self, kind: ImageEncoder) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._clip: ClipVision | None = None
        self._key: tuple[str, torch.device] | None = None
        self._timer: threading.Timer | None = None
        self._until = 0.0

    def load(self, path: Path, device: torch.device) -> ClipVision:
        with self._lock:
            key = (file_fingerprint(path), device)
            if self._clip is None or self._key != key:
                self._clip = None  # two of them do not fit where one does
                model = read_model(path, self._kind, device)
                self._clip, self._key = ClipVision(model, str(path), self._kind.id, key[0]), key
            self._restart()
            return self._clip

    def free(self) -> None:
        with self._lock:
            self._clip = None
            self._stop()

    def _restart(self) -> None:
        self._stop()
        self._until = time.monotonic() + FREED_AFTER_S
        self._timer = threading.Timer(FREED_AFTER_S, self._free_if_idle)
        self._timer.daemon = True  # it keeps no program alive
        self._timer.start()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _free_if_idle(self) -> None:
        with self._lock:
            if time.monotonic() >= self._until:  # or it was asked for while this waited
                self._clip = None


_kept = {name: _Kept(kind) for name, kind in IMAGE_ENCODERS.items()}
