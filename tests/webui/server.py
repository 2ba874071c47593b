"""A real WebUI as a subprocess, with this project as an extension, and a small client of its HTTP API."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]
TITLE = "IP-Adapter FaceID"
START_TIMEOUT_S = 300

CONFIG = {  # live previews need files that are not there offline; saved pictures would only fill the disk
    "live_previews_enable": False,
    "show_progress_every_n_steps": -1,
    "samples_save": False,
    "grid_save": False,
    "return_grid": False,
    # The WebUI restores an overridden setting after the job only where it stands in this file.
    **dict.fromkeys(("pad_cond_uncond", "pad_cond_uncond_v0", "s_min_uncond_all"), False),
    "batch_cond_uncond": True,
    "s_min_uncond": 0.0,
    "cross_attention_optimization": "Automatic",
    "fp8_storage": "Disable",
    **dict.fromkeys(("token_merging_ratio", "token_merging_ratio_img2img", "token_merging_ratio_hr"), 0.0),
    **dict.fromkeys(("hypertile_enable_unet", "hypertile_enable_unet_secondpass", "hypertile_enable_vae"), False),
    "hypertile_max_depth_unet": 3,
    "hypertile_max_tile_unet": 256,
    "hypertile_swap_size_unet": 3,
    "hypertile_max_tile_vae": 128,
    # What Forge's page takes over when it is opened: what `browsing.open_page` fills in, and the others begin with.
    "sd_t2i_width": 128,
    "sd_t2i_height": 128,
    **dict.fromkeys(("sd_t2i_cfg", "sd_t2i_hr_cfg"), 5.5),
    **dict.fromkeys(("sd_t2i_sampler", "sd_i2i_sampler"), "DPM++ 2M"),
}


@dataclass(frozen=True)
class Kind:
    """A WebUI that the extension serves, by what distinguishes it here."""

    name: str
    variable: str
    """FACEID_<variable>_DIR names a checkout of it, FACEID_<variable>_PYTHON its Python where that is elsewhere."""
    arguments: tuple[str, ...]
    """What has it draw on the CPU, in float32."""
    hires: tuple[tuple[str, Any], ...] = ()
    """What its API asks for besides in a job with hires fix."""
    config: tuple[tuple[str, Any], ...] = ()
    """What has to stand among its settings for it to start."""
    takes_checkpoint: bool = True
    """Whether its command line names the checkpoint; else a setting does."""

    @property
    def is_forge(self) -> bool:
        """Whether it is Forge or comes from it."""
        return self.name != "webui"


FORGE = ("--always-cpu", "--all-in-fp32", "--no-download-sd-model")
SAME_MODULES = (("hr_additional_modules", ["Use same choices"]),)
KINDS = {
    one.name: one
    for one in (
        Kind("webui", "WEBUI", ("--use-cpu", "all", "--no-half", "--do-not-download-clip", "--no-download-sd-model")),
        Kind("forge", "FORGE", FORGE, SAME_MODULES),
        Kind("forge_classic", "FORGE_CLASSIC", FORGE),
        Kind(
            "forge_neo",
            "FORGE_NEO",
            ("--cpu", "--force-fp32"),
            (*SAME_MODULES, ("hr_upscaler", "None")),  # there is none for latents
            (("VERSION_UID", "PY313"),),
            takes_checkpoint=False,
        ),
        Kind("reforge", "REFORGE", FORGE),
    )
}


def kind_of(checkout: Path) -> Kind:
    """Which kind a checkout is: the one that names it."""
    return next(kind for kind in KINDS.values() if os.environ.get(f"FACEID_{kind.variable}_DIR") == str(checkout))


TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:(?:[ \t].*)?\n)*\S.*(?:\n|$)")
CLOSED_PAGE = re.compile(r"WebSocketDisconnect|ConnectionClosed|ClosedResourceError|'websocket\.(?:send|close)'")


def without_closed_pages(log: str) -> str:
    """Return a log without what gradio writes when a browser closes a page: that may be another test's."""
    return TRACEBACK.sub(
        lambda found: "" if CLOSED_PAGE.search(found[0].rstrip().rpartition("\n")[2]) else found[0], log
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What the API answered to one job."""

    status: int
    body: dict[str, Any]
    log: str
    """What the WebUI printed meanwhile."""

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        """The pictures, uint8 [H, W, 3]."""
        assert self.status == 200, self.body
        decoded = (Image.open(io.BytesIO(base64.b64decode(one))) for one in self.body["images"])
        return [np.asarray(one.convert("RGB")) for one in decoded]

    @property
    def png(self) -> list[bytes]:
        assert self.status == 200, self.body
        return [base64.b64decode(one) for one in self.body["images"]]

    @property
    def info(self) -> dict[str, Any]:
        return json.loads(self.body["info"])

    @property
    def sentence(self) -> str:
        """Everything that an API user can read in the answer."""
        return json.dumps(self.body if self.status != 200 else self.info)


@dataclass
class Server:
    """A running WebUI. Its settings, models and extensions lie in a folder of its own, not in the checkout."""

    webui: Path
    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    """Beside what `start` sets."""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings instead of those in `CONFIG`."""

    @property
    def log_path(self) -> Path:
        return self.data / "server.log"

    def start(self, *arguments: str) -> None:
        config = CONFIG | dict(self.kind.config) | self.config
        if "--ckpt" in arguments and not self.kind.takes_checkpoint:
            at = arguments.index("--ckpt")
            config["sd_model_checkpoint"] = Path(arguments[at + 1]).name
            arguments = (*arguments[:at], *arguments[at + 2 :])
        (self.data / "config.json").write_text(json.dumps(config))
        command = [
            *(str(self.python()), "launch.py", "--skip-prepare-environment", "--data-dir", str(self.data)),
            *self.kind.arguments,
            *("--skip-torch-cuda-test", "--skip-version-check", "--skip-python-version-check"),
            *(("--gradio-allowed-path", str(self.webui)) if self.kind.is_forge else ()),  # where it runs elsewhere
            *("--disable-console-progressbars", "--api", "--port", str(self.port), *arguments),
        ]
        environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.environment,
        }
        with self.log_path.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                command, cwd=self.webui, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait(before)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    @property
    def kind(self) -> Kind:
        return kind_of(self.webui)

    def python(self) -> Path:
        named = os.environ.get(f"FACEID_{self.kind.variable}_PYTHON")
        return Path(named) if named else self.webui / "venv" / "bin" / "python"

    def txt2img(self, *units: dict[str, Any], **settings: Any) -> Answer:
        return self.post("/sdapi/v1/txt2img", _job(units, self.for_hires(self._there(settings))))

    def img2img(self, *units: dict[str, Any], **settings: Any) -> Answer:
        return self.post("/sdapi/v1/img2img", _job(units, self._there(settings)))

    def _there(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The same, where this WebUI has all the settings that a job sets: Forge Classic has left out some."""
        asked = {name[5:] for name in settings if name.startswith("opts_")}
        if missing := asked - set(self.get("/sdapi/v1/options") if asked else ()):
            pytest.skip(f"{self.kind.name} has no setting {', '.join(sorted(missing))}")
        return settings

    def for_hires(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A job with what this WebUI's API asks for besides in one with hires fix."""
        return {**settings, **dict(self.kind.hires)} if settings.get("enable_hr") else settings

    def left_in_the_unet(self) -> dict[str, Any]:
        """What the probe extension finds there between two jobs."""
        return self.get("/faceid-probe")

    def calls(self) -> list[dict[str, Any]]:
        """What the probe extension wrote down about the denoiser's calls in the last job."""
        return self.get("/faceid-probe/calls")

    def merged_layers(self) -> int:
        """How often the probe extension saw a layer's LoRA computed since the start."""
        return self.get("/faceid-probe/merged")

    def get(self, route: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{route}", timeout=60) as response:
            return json.loads(response.read())

    def post(self, route: str, body: dict[str, Any]) -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{route}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        before = self.log_path.stat().st_size
        try:
            with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310 - our own loopback address
                status, answer = response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            status, answer = error.code, json.loads(error.read())
        log = self.log_path.read_bytes()[before:].decode(errors="replace")
        return Answer(status, answer, without_closed_pages(log))

    def _wait(self, before: int) -> None:
        """Wait for the line that ends the start, and an open port.

        A request that comes earlier breaks the start: the WebUI adds its API to a server that runs already.
        """
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if b"Startup time" in self.log_path.read_bytes()[before:]:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                    return
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"The WebUI did not start:\n{self.log_path.read_text(errors='replace')[-4000:]}")


def _job(units: tuple[dict[str, Any], ...], settings: dict[str, Any]) -> dict[str, Any]:
    """Return a small, quick job; settings named `opts_x` override the WebUI's own setting x for this job."""
    probe = settings.pop("probe", None)
    options = {name[5:]: value for name, value in settings.items() if name.startswith("opts_")}
    job = {
        "prompt": "a person",
        "seed": 7,
        "steps": 4,
        "width": 128,
        "height": 128,
        "cfg_scale": 5,
        "sampler_name": "Euler",
        "override_settings": options,
        "override_settings_restore_afterwards": True,
        **{name: value for name, value in settings.items() if not name.startswith("opts_")},
    }
    scripts = {TITLE: {"args": list(units)}} if units else {}
    if probe:
        scripts["FaceID probe"] = {"args": [probe]}
    return {**job, "alwayson_scripts": scripts}
