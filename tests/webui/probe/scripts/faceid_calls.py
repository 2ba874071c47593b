"""An extension for tests only: the denoiser's calls in the last job, beside what the sampler itself knew of them."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from fastapi import FastAPI
from modules import script_callbacks, scripts

STEP = ("step_id", "step", "init_order", "i")
"""What samplers call the number of their step, in the function named like them or in one of these."""
FUNCTIONS = {"heun_step", "sample", "dpm_solver_fast", "dpm_solver_adaptive", "generic_step_sampler"}

calls: list[dict[str, Any]] = []
job: list[Any] = []


class Record(scripts.Script):
    """Begins a new record with each job."""

    def title(self) -> str:
        return "FaceID calls"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def process(self, p: Any, *_: Any) -> None:
        calls.clear()


def before_call(params: Any) -> None:
    """Write down one call of the denoiser."""
    denoiser = params.denoiser
    found = getattr(denoiser.p, "faceid_job", None)
    job[:] = [found and weakref.ref(found)]  # what is over shall not be kept alive by whoever looks for it
    calls.append(
        {
            "step": _step(getattr(denoiser.sampler.func, "__name__", "")),
            "noise": float(params.sigma[0]),
            "hires": bool(getattr(denoiser.p, "is_hr_pass", False)),
            "acted": _acted(),
            "people": [one.references[0].fingerprint for one in found._job.prepared] if found else [],
        }
    )


def after_call(_params: Any) -> None:
    calls[-1]["acted"] = _acted() - calls[-1]["acted"]


def _step(function: str) -> int:
    """The step by the sampler's own variables, up the stack; 0 before it has begun to count."""
    frame: Any = sys._getframe()
    while frame is not None:
        seen = frame.f_locals
        if frame.f_code.co_name in {*FUNCTIONS, function}:
            if "info" in seen:  # DPM adaptive
                return seen["info"]["steps"]
            for name in STEP:
                if name in seen:
                    return seen[name]
        frame = frame.f_back
    return 0


def _acted() -> int:
    """How many UNet calls of the job an identity acted in so far."""
    running = job[0] and job[0]()
    if running is None:
        return 0
    engine = running._job
    return engine.calls + (engine.injection.calls if engine.injection else 0)


def add_route(_demo: Any, app: FastAPI) -> None:
    app.add_api_route("/faceid-probe/calls", lambda: calls, methods=["GET"])


script_callbacks.on_app_started(add_route)
script_callbacks.on_cfg_denoiser(before_call)
script_callbacks.on_cfg_after_cfg(after_call)  # Forge has no other one behind the calls
