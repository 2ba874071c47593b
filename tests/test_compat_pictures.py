"""The same command draws the same picture, pixel for pixel, as it did with the code of an earlier commit.

Numbers depend on the processor, so no picture is kept: both codes draw in the same run, the earlier one out of the
repository's history. Where the same settings are meant to give another picture, `ALGORITHM` goes up, and EARLIER moves.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EARLIER = "a3290d2"
MODELS = """
import sys
from pathlib import Path
from lib_faceid.miniature import published_name, write_adapter, write_checkpoint
from lib_faceid.miniature.trained import write_trained_models
models = Path(sys.argv[1])
list(write_trained_models(models))
write_checkpoint(models / "Stable-diffusion" / "miniature_sd15.safetensors", "sd15")
for variant in ("plus", "plusv2", "portrait"):
    write_adapter(models / "faceid" / (published_name(variant, "sd15") + ".safetensors"), variant, "sd15")
"""
DRAW = """
import json, runpy, sys
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lib_faceid", "generate", *arguments]
    try:
        runpy.run_module("lib_faceid", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
TRAINED = "--checkpoint {models}/Stable-diffusion/miniature.safetensors --size 128x128 --steps 3 --cfg 2 --seed 5"
RANDOM = "--checkpoint {models}/Stable-diffusion/miniature_sd15.safetensors --size 64x64 --steps 2 --cfg 3 --seed 5"
PROMPT = "a photo of a person, blue background"
JOBS = {
    "nobody": f"{TRAINED} --person astronaut --weight 0",
    "trained": f"{TRAINED} --person astronaut --adapter ip-adapter-faceid_sd15_miniature.safetensors",
    "settings": f"{TRAINED} --person astronaut --adapter ip-adapter-faceid_sd15_miniature.safetensors --weight 1.1 "
    "--lora 0.3 --start 0.3 --end 0.9 --fade 0.2 --noise 0.3 --region left --weight-type composition",
    "plusv2": f"{RANDOM} --person Clara --adapter ip-adapter-faceid-plusv2_sd15.safetensors --structure 1.4 "
    "--layer-weights 3:2.5,6:1",
    "plus": f"{RANDOM} --person Clara --adapter ip-adapter-faceid-plus_sd15.safetensors",
    "two people": f"{RANDOM} --person Ben --adapter ip-adapter-faceid-portrait_sd15.safetensors --region left "
    "--and --person Averaged --adapter ip-adapter-faceid-portrait_sd15.safetensors --region right",
}


def arguments(name: str, models: Path, out: Path) -> list[str]:
    options = JOBS[name].replace("{models}", models.as_posix()).split(" ")
    return [*options, "--prompt", PROMPT, "--faces", str(models / "faceid" / "faces"), "--out", str(out / name)]


def run_in(code: Path, models: Path, *command: str) -> None:
    """Run a program with the package that lies in a folder, and with one thread, whose sums have one order."""
    environment = {**os.environ, "FACEID_MODELS": str(models), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", *command], cwd=code, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """The pixels of each job, by the code that drew it."""
    folder = tmp_path_factory.mktemp("pictures")
    earlier, models = folder / "earlier", folder / "models"
    packed = subprocess.run(["git", "archive", EARLIER, "lib_faceid"], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history here does not reach back to {EARLIER}: pictures of then and now were NOT compared")
    earlier.mkdir()
    subprocess.run(["tar", "-x", "-C", str(earlier)], input=packed.stdout, check=True)
    run_in(earlier, models, MODELS, str(models))
    people = ROOT / "tests" / "fixtures" / "compat" / "people"
    for path in people.glob("*.safetensors"):
        shutil.copy(path, models / "faceid" / "faces")
    clara = models / "faceid" / "faces" / "Clara.safetensors"
    clara.write_bytes(gzip.decompress((people / "Clara.safetensors.gz").read_bytes()))
    found: dict[str, dict[str, np.ndarray]] = {}
    for code in (earlier, ROOT):
        out = folder / f"by {code.name}"
        run_in(code, models, DRAW, json.dumps([arguments(name, models, out) for name in JOBS]))
        found[code.name] = {name: np.asarray(Image.open(out / name / "seed5.png")) for name in JOBS}
    return found


@pytest.mark.parametrize("name", JOBS)
def test_the_same_picture_as_before(drawn: dict[str, dict[str, np.ndarray]], name: str) -> None:
    earlier, now = drawn.values()
    assert np.array_equal(earlier[name], now[name]), np.abs(earlier[name].astype(int) - now[name]).max()


def test_the_pictures_differ_so_that_they_prove_something(drawn: dict[str, dict[str, np.ndarray]]) -> None:
    assert len({picture.tobytes() for picture in next(iter(drawn.values())).values()}) == len(JOBS)
