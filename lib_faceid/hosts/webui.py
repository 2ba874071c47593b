"""The callbacks of the AUTOMATIC1111 WebUI (1.10).

The WebUI swallows whatever its script callbacks raise and goes on with the plain picture. So nothing is raised here: a
job that cannot draw the person is made to fail where the WebUI does listen, in `p.init` or inside the UNet call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from modules import scripts

from lib_faceid.choosing import Models
from lib_faceid.clip.vision import load_clip_vision
from lib_faceid.hosts.webui_api import face_analyser, request_policy
from lib_faceid.hosts.webui_job import WebUIJob, failing, say
from lib_faceid.hosts.webui_settings import roots, setting
from lib_faceid.models.folders import find_adapters, require_clip_vision
from lib_faceid.people.library import open_library
from lib_faceid.unit import units_from_args
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.overrides import with_overrides

__all__ = [
    "adapter_files",
    "apply_loras",
    "end",
    "models",
    "on_denoiser",
    "on_model_loaded",
    "on_scripts_unloaded",
    "plot_module",
    "report",
    "start",
]

_ATTRIBUTE = "faceid_job"
_live: WeakSet[WebUIJob] = WeakSet()


def start(p: Any, args: Sequence[Any]) -> None:
    """Begin a job for the units that act. Where one cannot be drawn, the job fails before anything is sampled."""
    end(p)
    try:
        units = with_overrides(units_from_args(args), p)
        for number, unit in enumerate(units):
            if unit.enabled and not unit.has_reference:
                p.extra_generation_params[infotext_key(number)] = "ignored, it has no photo"
                say(p, f"FaceID {number} is enabled but has no photo and no saved person: ignored.")
        if any(unit.acts for unit in units):
            job = WebUIJob(p, units, models())
            _live.add(job)
            setattr(p, _ATTRIBUTE, job)
            _close_with(p, job)
            job.prepare()
    except Exception as error:  # noqa: BLE001 - the host would swallow it and draw somebody else
        _refuse(p, error)


def _refuse(p: Any, error: Exception) -> None:
    """End the job with the error's sentence; or draw without the person, and say so, where the user set that."""
    if setting("faceid_on_failure") == "Stop":
        p.init = failing(error)
        return
    end(p)
    p.extra_generation_params[infotext_key(0)] = f"skipped ({error})"
    say(p, f"Drawn WITHOUT the person: {error}")


def apply_loras(p: Any) -> None:
    """After the WebUI has activated the prompt's networks, which it does once for each pass."""
    if (job := _job_of(p)) is None:
        return
    try:
        job.apply_loras()
    except Exception as error:  # noqa: BLE001 - as above
        job.refuse(error)


def report(p: Any) -> None:
    """After a batch: say what was applied."""
    if (job := _job_of(p)) is not None:
        job.report()


def end(p: Any) -> None:
    """Close the job that a processing object carries, if there is one."""
    if (job := _job_of(p)) is not None:
        job.close()
        _live.discard(job)
        setattr(p, _ATTRIBUTE, None)


def _job_of(p: Any) -> WebUIJob | None:
    """Return the job that a processing object carries."""
    return getattr(p, _ATTRIBUTE, None)


def on_denoiser(params: Any) -> None:
    """Before the UNet calls of one step: arm the job they belong to, and no other.

    A job stays armed after its step: rows with tags are its own, whoever sends them; rows without are left alone.
    """
    job = _job_of(getattr(params.denoiser, "p", None))
    for other in _live:
        if other is not job:
            other.disarm()
    if job is None:
        return
    try:
        job.arm(params)
    except Exception as error:  # noqa: BLE001 - the host would swallow it and draw somebody else
        job.refuse(error)


def on_model_loaded(*_: Any) -> None:
    """After another checkpoint was loaded, maybe in the middle of a job (hires checkpoint, refiner)."""
    for job in _live:
        job.detach()


def on_scripts_unloaded() -> None:
    """Before the scripts are loaded anew."""
    for job in list(_live):
        job.close()


def adapter_files() -> list[Path]:
    """Return the adapter files in the WebUI's usual folders."""
    return list(find_adapters(roots()))


def models() -> Models:
    """Return where this WebUI's models come from."""
    return Models(
        adapter_files=adapter_files,
        face_analyser=face_analyser,
        clip_vision=lambda: load_clip_vision(require_clip_vision(roots())),
        person=lambda name: open_library(roots()).load(name).identity,
        policy=request_policy,
    )


def plot_module() -> Any | None:
    """Return the module of the WebUI's X/Y/Z plot, which is loaded like an extension's script; None without it."""
    names = {"xyz_grid.py", "scripts.xyz_grid"}
    return next((one.module for one in scripts.scripts_data if one.script_class.__module__ in names), None)


def _close_with(p: Any, job: WebUIJob) -> None:
    """Have the job closed whenever the WebUI closes `p`, which it does even after an error."""
    close = p.close

    def close_both() -> None:
        job.close()
        close()

    p.close = close_both
