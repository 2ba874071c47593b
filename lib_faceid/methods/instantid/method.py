"""InstantID's one variant. What is read and how follows https://github.com/instantX-research/InstantID (Apache-2.0,
commit 2145b67), `pipeline_stable_diffusion_xl_instantid.py` and `infer.py`.

The resampler reads the recogniser's raw vector, about 20 long, and not at unit length: its layer norms would hide the
difference, and the likeness would be weaker. Uncond is the resampler's answer to zeros.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lib_faceid.bases.base_model import SDXL
from lib_faceid.encoders.features import ARCFACE
from lib_faceid.methods import networks
from lib_faceid.methods.method import Method, Net, Reads, Shapes, Variant

__all__ = ["METHOD"]


def _reads_vectors(shapes: Shapes) -> bool:
    """Whether it is a resampler of 512-d identity vectors, whoever made them."""
    return "latents" in shapes and shapes.get("proj_in.weight", ())[1:] == (512,)


def _is_float32(tensors: Mapping[str, Tensor]) -> bool:
    """Whether all of a file is float32, as the published one is; the other of these shapes mixes dtypes."""
    return {tensor.dtype for tensor in tensors.values()} == {torch.float32}


# Of InstantX/InstantID on Hugging Face: ControlNetModel/diffusion_pytorch_model.safetensors. Other ControlNets for SDXL
# may be called so, and their tensors have the same shapes.
IDENTITYNET = Net(
    label="IdentityNet",
    id="identitynet_sdxl",
    file_name="identitynet_sdxl.safetensors",
    sha256="c8127be9f174101ebdafee9964d856b49b634435cf6daa396d3f593cf0bbbb05",
    size_bytes=2_502_139_136,
    name_hints=("identitynet", "instantid"),
)

METHOD = Method(
    id="instantid",
    label="InstantID",
    purpose="person",
    summary="One face for SDXL, strong and close to the photo, its pose too; little freedom for style.",
    variants=(
        Variant(
            id="instantid",
            label="InstantID",
            matches=_reads_vectors,
            network=networks.resampler,
            filename_hint="instantid",
            reads=(Reads(ARCFACE),),
            bases=(SDXL,),
            recogniser="glintr100",
            requires_recogniser=True,
            signs=_is_float32,
            net=IDENTITYNET,
        ),
    ),
    # Of InstantX/InstantID on Hugging Face: ip-adapter.bin, whose tensors have the shapes of another variant's.
    known_files={"02b3618e36d803784166660520098089a81388e61a93ef8002aa79a5b1c546e1": "instantid"},
    file_hint="instant",
    best_files={SDXL: "ip-adapter.bin"},
    source="InstantX/InstantID on Hugging Face (research only)",
)
