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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_faceid.miniature.trained import STRANGER, TRAINED_ADAPTER

ROOT = Path(__file__).parent.parent
EARLIER = "a3290d2"
DRAW = """
import functools, importlib, json, runpy, sys
for name in ("lib_faceid.hosts.diffusers", "lib_faceid.hosts.diffusers.pipeline"):  # it was a module, it is a folder
    try:
        host = importlib.import_module(name)
    except ImportError:
        continue
    for load in ("load_studio", "load_pipeline"):  # it was called otherwise
        if hasattr(host, load):
            setattr(host, load, functools.cache(getattr(host, load)))
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lib_faceid", "generate", *arguments]
    try:
        runpy.run_module("lib_faceid", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
TRAINED = "--checkpoint {trained} --size 128x128 --steps 3 --cfg 2 --seed 5"
RANDOM = "--checkpoint {random} --size 64x64 --steps 2 --cfg 3 --seed 5"
PROMPT = "a photo of a person, blue background"
JOBS = {
    "nobody": f"{TRAINED} --person robin --weight 0",
    "trained": f"{TRAINED} --person robin --adapter ip-adapter-faceid_sd15_miniature.safetensors",
    "settings": f"{TRAINED} --person robin --adapter ip-adapter-faceid_sd15_miniature.safetensors --weight 1.1 "
    "--lora 0.3 --start 0.3 --end 0.9 --fade 0.2 --noise 0.3 --region left --weight-type composition",
    "plusv2": f"{RANDOM} --person Clara --adapter ip-adapter-faceid-plusv2_sd15.safetensors --structure 1.4 "
    "--layer-weights 3:2.5,6:1",
    "plus": f"{RANDOM} --person Clara --adapter ip-adapter-faceid-plus_sd15.safetensors",
    "two people": f"{RANDOM} --person Ben --adapter ip-adapter-faceid-portrait_sd15.safetensors --region left "
    "--and --person Averaged --adapter ip-adapter-faceid-portrait_sd15.safetensors --region right",
}


def draw_with(code: Path, models: Path, jobs: list[list[str]]) -> None:
    """Draw with the package that lies in a folder, and with one thread, whose sums have one order."""
    environment = {**os.environ, "FACEID_MODELS": str(models), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, json.dumps(jobs)],
        cwd=code,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, miniature_adapter: Callable[..., Path]) -> Path:
    """A folder with adapters and saved people."""
    folder = tmp_path_factory.mktemp("models")
    faces, kept = folder / "faceid" / "faces", ROOT / "tests" / "fixtures" / "compat" / "people"
    faces.mkdir(parents=True)
    shutil.copyfile(STRANGER, faces / "robin.safetensors")
    for path in kept.glob("*.safetensors"):
        shutil.copyfile(path, faces / path.name)
    (faces / "Clara.safetensors").write_bytes(gzip.decompress((kept / "Clara.safetensors.gz").read_bytes()))
    for path in (TRAINED_ADAPTER, *(miniature_adapter(variant, "sd15") for variant in ("plus", "plusv2", "portrait"))):
        shutil.copyfile(path, folder / "faceid" / path.name)
    return folder


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory,
    models: Path,
    trained_checkpoint: Path,
    miniature_checkpoint: Callable[[str], Path],
) -> dict[str, dict[str, np.ndarray]]:
    """The pixels of each job, by the code that drew it."""
    folder = tmp_path_factory.mktemp("pictures")
    earlier = folder / "earlier"
    packed = subprocess.run(["git", "archive", EARLIER, "lib_faceid"], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history here does not reach back to {EARLIER}: pictures of then and now were NOT compared")
    earlier.mkdir()
    subprocess.run(["tar", "-x", "-C", str(earlier)], input=packed.stdout, check=True)
    places = {"{trained}": str(trained_checkpoint), "{random}": str(miniature_checkpoint("sd15"))}
    found: dict[str, dict[str, np.ndarray]] = {}
    for code in (earlier, ROOT):
        out = folder / f"by {code.name}"
        jobs = [
            [places.get(word, word) for word in options.split(" ")]
            + ["--prompt", PROMPT, "--faces", str(models / "faceid" / "faces"), "--out", str(out / name)]
            for name, options in JOBS.items()
        ]
        draw_with(code, models, jobs)
        found[code.name] = {name: np.asarray(Image.open(out / name / "seed5.png")) for name in JOBS}
    return found


@pytest.mark.slow("two programs draw, each of which imports torch and diffusers")
@pytest.mark.parametrize("name", JOBS)
def test_the_same_picture_as_before(drawn: dict[str, dict[str, np.ndarray]], name: str) -> None:
    earlier, now = drawn.values()
    assert np.array_equal(earlier[name], now[name]), np.abs(earlier[name].astype(int) - now[name]).max()


def test_the_pictures_differ_so_that_they_prove_something(drawn: dict[str, dict[str, np.ndarray]]) -> None:
    assert len({picture.tobytes() for picture in next(iter(drawn.values())).values()}) == len(JOBS)
