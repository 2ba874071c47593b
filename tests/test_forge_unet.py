"""A person in Forge's own UNet, against the same in float64: by each way of attention that runs on a CPU, and as GGUF.

Where FACEID_FORGE_DIR names a checkout, in that Forge's own Python: nothing of it is played.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from forges import run_in
from safetensors.torch import load_file
from torch import Tensor
from unets import adapter_for

WAYS = ("--attention-pytorch", "--attention-split", "--attention-quad")
PARTS = ("alone", "person")


def drawn(folder: Path, *arguments: str) -> dict[str, Tensor]:
    """What Forge's UNet predicts, `forge_unet.py` says of what. Skips without a Forge."""
    adapter_for(folder)
    (file,), out = folder.glob("faceid*.safetensors"), folder / "out" / "found.safetensors"
    out.parent.mkdir(exist_ok=True)
    run_in("FORGE", "forge_unet.py", file, out, *arguments)
    return load_file(out)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return drawn(tmp_path_factory.mktemp("exact"), "float64", WAYS[0])


@pytest.mark.parametrize("kept", [*(("float32", way) for way in WAYS), ("gguf", WAYS[0])], ids=" ".join)
def test_a_person_is_as_exact_as_the_unet_itself(
    exact: dict[str, Tensor], tmp_path: Path, kept: tuple[str, str]
) -> None:
    found = drawn(tmp_path, *kept)
    scale = (exact["person"] - exact["alone"])[:2].abs().max()
    alone, person = (float((found[name] - exact[name]).abs().max() / exact[name].abs().max()) for name in PARTS)
    print(f"{kept}: alone {alone:.1e}, with a person {person:.1e}; the person's effect {float(scale):.2f}")
    assert scale > 0.1 * exact["alone"].abs().max(), "or nothing was compared"
    assert (alone > 1e-3) is (kept[0] == "gguf"), "8 bits are coarse"
    assert person <= 2 * alone
