"""The best of several seeds, and Aim, beside ADetailer in a real WebUI: it sees the pictures that are finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lib_faceid.likeness.aim import Aim
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from tests.webui.beside.asked import FACE, adetailer
from tests.webui.beside.folders import checkouts, put_extensions
from tests.webui.forge_repos import FOLDER
from tests.webui.server import TITLE, Answer, Server
from tests.webui.test_live_best import FOUR, JOB, seeds_of, unit
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_likeness import photos, scores_in

__all__ = ["photos", "unit"]

SMALL = {**FACE, "ad_confidence": 0.1}
SIZE = {"width": 128, "height": 128}
LOOKED = "mediapipe: 1 detected"
AGAIN = "acted on a face that ADetailer drew again"


@pytest.fixture(scope="module")
def beside(webui_dir: Any, data_dir: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A WebUI with ADetailer and the miniature."""
    if "adetailer" not in checkouts():
        pytest.skip("FACEID_WEBUI_EXTENSIONS names no checkout of ADetailer: nothing was tested beside it")
    data = tmp_path_factory.mktemp("adetailer")
    shutil.copytree(data_dir / "models", data / "models", symlinks=True)
    checkpoint = write_trained_checkpoint(data / "models" / "Stable-diffusion" / "miniature.safetensors")
    shutil.copyfile(TRAINED_ADAPTER, data / "models" / "faceid" / TRAINED_ADAPTER.name)
    (data / FOLDER).symlink_to(data_dir / FOLDER)
    put_extensions(data, "sd-webui-faceid", [checkouts()["adetailer"]])
    (data / "ui-config.json").write_text("{}")
    server = Server(webui_dir, data)
    server.start("--ckpt", str(checkpoint))
    yield server
    server.stop()


def drawn(server: Server, *units: dict[str, Any], **job: Any) -> Answer:
    """A job with ADetailer."""
    options = {"sd_model_checkpoint": "miniature.safetensors"}
    request = {name: value for name, value in JOB.items() if not name.startswith("opts_")} | SIZE | job
    scripts = {TITLE: {"args": list(units)}, **adetailer(SMALL)}
    sent = {**request, "override_settings": options, "alwayson_scripts": scripts}
    return clean(server.post("/sdapi/v1/txt2img", sent))


def test_the_chosen_picture_alone_is_drawn_again(beside: Server, unit: dict[str, Any]) -> None:
    best = drawn(beside, unit, FOUR)
    assert best.log.count(AGAIN) == best.log.count(LOOKED) == 1, best.log
    assert "4 seeds tried, 2 dropped on the way" in best.log
    (seed,) = seeds_of(best)
    plain = drawn(beside, unit, seed=seed)
    assert plain.log.count(AGAIN) == 1, plain.log
    assert np.array_equal(plain.images[0], best.images[0])
    assert scores_in(best)[0]["likeness"] == pytest.approx(scores_in(plain)[0]["likeness"], abs=1e-4)


def test_aim_judges_what_adetailer_has_finished(beside: Server, unit: dict[str, Any]) -> None:
    answer = drawn(beside, unit, {"aim": 0.3})
    found = Aim.from_dict(answer.info["extra_generation_params"]["FaceID aim"])
    assert answer.log.count("FaceID 0: Likeness 0.3: weight") == 1, answer.log
    assert answer.log.count(LOOKED) == len(found.probes) + 1
    best = found.proposed or found.best
    assert scores_in(answer)[0]["likeness"] == pytest.approx(best.likeness, abs=1e-3)
    alone = drawn(beside, {**unit, "weight": best.value})
    assert np.array_equal(alone.images[0], answer.images[0])
