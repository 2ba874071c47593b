"""A person in the UNet that Forge has built in, in float32 by one way of attention, in float64, or kept as GGUF: what
`test_forge_unet.py` compares.

Run by that Forge's own Python: `python tests/forge_unet.py FORGE ADAPTER out.safetensors float32 --attention-split`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from contributions import contribution
from forges import become

from lib_faceid.effects.injection import inject
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.references.identity import Identity

CHANNELS = 32
"""As `unets.adapter_for` has it: pytest, which that file needs, is not in a Forge's Python."""
SIZES: dict[str, Any] = {
    "in_channels": 4, "out_channels": 4, "model_channels": CHANNELS, "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4), "num_heads": 8, "use_spatial_transformer": True, "context_dim": 768,
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1,
    "transformer_depth_output": [1] * 9 + [0] * 3,
}  # fmt: skip


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def randomise(unet: nn.Module) -> None:
    """Give every parameter a random value: those that start from zero would hide what lies behind them."""
    for seed, parameter in enumerate(unet.parameters()):
        scale = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.copy_(random(*parameter.shape, seed=seed) * scale + float(parameter.ndim == 1))


@torch.no_grad()
def drawn(unet: nn.Module, adapter: Adapter, dtype: torch.dtype) -> dict[str, Tensor]:
    """What the UNet predicts for two images and their negative sides: alone, and with a person in each image."""
    x, context = random(4, 4, 16, 16, seed=7).to(dtype), random(4, 77, 768, seed=8).to(dtype)

    def call() -> Tensor:
        return unet(x, timesteps=torch.full((4,), 500), context=context, transformer_options={})

    people = [Identity(random(1, 512, seed=seed)) for seed in (1, 2)]
    alone = call()
    with inject(unet, [contribution(adapter, people)]) as injection:
        injection.set_rows([1, 2, 0, 0])
        person = call()
    assert torch.equal(call(), alone), "off is off"
    return {"alone": alone.double().contiguous(), "person": person.double().contiguous()}


def as_gguf(weights: dict[str, Tensor]) -> dict[str, Any]:
    """The matrices in 8 bits, as a GGUF file brings them."""
    gguf: Any = importlib.import_module("gguf")
    kept: Any = importlib.import_module("backend.operations_gguf")
    kind = gguf.GGMLQuantizationType.Q8_0

    def packed(weight: Tensor) -> Any:
        data = gguf.quants.quantize(weight.numpy(), kind)
        made = kept.ParameterGGUF(SimpleNamespace(data=data, tensor_type=kind, shape=reversed(weight.shape)))
        made.gguf_cls.bake(made)
        return made

    return {name: packed(one) if one.ndim == 2 else one for name, one in weights.items()}


def main(forge: str, adapter: str, out: str, kept: str, *arguments: str) -> None:
    """Draw with a Forge's own UNet, of random weights that are always the same. kept: a dtype, or gguf."""
    from safetensors.torch import save_file

    become(forge, "--always-cpu", *arguments)
    unet_of: Any = importlib.import_module("backend.nn.unet")
    dtype = torch.float32 if kept == "gguf" else getattr(torch, kept)
    unet: nn.Module = unet_of.IntegratedUNet2DConditionModel(**SIZES)
    randomise(unet)
    if kept == "gguf":
        operations: Any = importlib.import_module("backend.operations")
        weights = as_gguf(unet.state_dict())
        with operations.using_forge_operations(dtype=dtype, manual_cast_enabled=True, bnb_dtype="gguf"):
            unet = unet_of.IntegratedUNet2DConditionModel(**SIZES)
        unet.load_state_dict(weights)
    save_file(drawn(unet.eval().to(dtype), load_adapter(Path(adapter)), dtype), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
