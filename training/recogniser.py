"""ArcFace as a network that gradients can pass through: the few ONNX operations of w600k_mbf, in torch.

onnxruntime only runs forwards. A picture's loss "is this still the same person?" needs the way back, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Recogniser"]

BATCH = 64


class Recogniser(nn.Module):
    """A recogniser of faces [n, 3, 112, 112], RGB in -1 to 1, as ArcFace models take them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(str(path)).graph
        self._nodes = [(n.op_type, list(n.input), n.output[0], _attributes(n, onnx)) for n in graph.node]
        self._input, self._output = graph.input[0].name, graph.output[0].name
        weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        self._fold_reshapes(weights)
        self._weights = weights

    def _fold_reshapes(self, weights: dict[str, Tensor]) -> None:
        """Apply once what the graph does to its own weights at each run."""
        for kind, inputs, output, _ in self._nodes:
            if kind == "Reshape":
                weights[output] = weights[inputs[0]].reshape(weights[inputs[1]].tolist())
        self._nodes = [node for node in self._nodes if node[0] != "Reshape"]

    def forward(self, faces: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the feature maps after each downsampling, finest first, and the raw embeddings [n, 512]."""
        values, features = {self._input: faces}, [faces]
        for kind, inputs, output, attributes in self._nodes:
            tensors = [values[name] if name in values else self._weights[name] for name in inputs]
            value = values[output] = _apply(kind, tensors, attributes)
            if kind == "PRelu":
                if value.shape[-1] < features[-1].shape[-1]:
                    features.append(value)
                else:
                    features[-1] = value
        return [feature for feature in features if feature.shape[-1] > 1], values[self._output]

    @torch.no_grad()
    def embeddings(self, crops_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the raw embeddings [n, 512] of aligned faces [n, 112, 112, 3]."""
        batches = torch.from_numpy(crops_rgb).split(BATCH)
        return torch.cat([self((batch.permute(0, 3, 1, 2).float() - 127.5) / 127.5)[1] for batch in batches]).numpy()

    @torch.no_grad()
    def embedding(self, crop_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the raw embedding [512] of one aligned face [112, 112, 3]."""
        face = (torch.from_numpy(crop_rgb).permute(2, 0, 1).float() - 127.5) / 127.5
        return self(face[None])[1][0].numpy()


def _attributes(node: Any, onnx: Any) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _apply(kind: str, tensors: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    if kind == "Conv":
        strides, pads = attributes["strides"], attributes["pads"]
        return functional.conv2d(*tensors, stride=strides, padding=pads[:2], groups=attributes["group"])
    if kind == "PRelu":
        x, slope = tensors
        return torch.where(x > 0, x, slope * x)
    if kind == "BatchNormalization":
        x, scale, bias, mean, variance = tensors
        return functional.batch_norm(x, mean, variance, scale, bias, eps=attributes["epsilon"])
    if kind == "Add":
        return tensors[0] + tensors[1]
    if kind == "MatMul":
        return tensors[0] @ tensors[1]
    if kind == "Flatten":
        return tensors[0].flatten(1)
    raise NotImplementedError(f"{kind} is no operation of the recogniser that this was written for (w600k_mbf).")
