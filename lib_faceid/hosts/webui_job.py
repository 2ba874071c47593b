"""One job of the WebUI: where it is attached, which rows are whose, how it fails aloud, and how it is undone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

from fastapi import HTTPException
from modules import sd_unet, shared
from torch import Tensor, nn

from lib_faceid.choosing import Models
from lib_faceid.errors import HostError
from lib_faceid.generation import Job, Prepared
from lib_faceid.hosts import webui_lora
from lib_faceid.hosts.webui_settings import setting
from lib_faceid.unet.lora import merge_lora
from lib_faceid.unet.rows import tag_rows
from lib_faceid.unit import Unit
from lib_faceid.units.infotext import infotext_key, unit_to_infotext

__all__ = ["FaceIDStopped", "WebUIJob", "failing", "say"]

_UNCOND, _COND = 0, 1


class FaceIDStopped(HTTPException):
    """Ends a job with a sentence: red under the picture in the page, HTTP 422 in the API."""

    def __str__(self) -> str:
        return str(self.detail)


class WebUIJob:
    """One job of the WebUI: the engine's job, and what is undone when it ends."""

    def __init__(self, p: Any, units: Sequence[Unit], models: Models) -> None:
        self._p = p
        self._job = Job(units, models)
        self._undo = ExitStack()
        self._merged = ExitStack()
        self._lora_pass: tuple[nn.Module, bool] | None = None
        self._refused: nn.Module | None = None

    def prepare(self) -> None:
        """Get every unit ready, and write down what will be drawn. Raises FaceIDError."""
        if sd_unet.get_unet_option() is not None:
            raise HostError("FaceID cannot act on a TensorRT UNet. Set 'SD Unet' to None in the settings.")
        for prepared in self._job.prepare(_unet()):
            adapter = prepared.adapter
            self._p.extra_generation_params[infotext_key(prepared.number)] = unit_to_infotext(
                prepared.unit, adapter.name, adapter.variant.id, self._references(prepared)
            )
            for note in prepared.notes:
                say(self._p, f"FaceID {prepared.number}: {note}")

    @property
    def _is_hires(self) -> bool:
        """Whether the second pass of hires fix is running."""
        return bool(getattr(self._p, "is_hr_pass", False))

    def _references(self, prepared: Prepared) -> tuple[str, ...]:
        """What a picture says of the photos: short hashes, or nothing where the user wants that."""
        return prepared.references if setting("faceid_write_hashes") else ()

    def apply_loras(self) -> None:
        """Put the adapters' LoRAs beside those of the prompt. May be called again, also for another UNet."""
        unet = _unet()
        loras = self._job.loras(unet, hires=self._is_hires)
        if webui_lora.is_available():
            for message in webui_lora.activate(loras):
                say(self._p, message)
        elif self._lora_pass != (unet, self._is_hires):
            self._merged.close()
            for adapter, strength in loras:
                self._merged.enter_context(merge_lora(unet, adapter, strength))
        self._lora_pass = (unet, self._is_hires)

    def arm(self, params: Any) -> None:
        """Tag the rows that the coming UNet calls are made of, if anyone acts at this step."""
        unet = _unet()
        if unet is self._refused:
            return
        injection = self._job.attach(unet, hires=self._is_hires)
        if self._lora_pass != (
            unet,
            self._is_hires,
        ):  # a refiner: the WebUI activates no networks for it
            self.apply_loras()
        injection.set_progress(_progress(params))
        if not injection.acts:
            injection.expect_tags(())
            return
        params.text_cond = _tagged(params.text_cond, _COND)
        params.text_uncond = _tagged(params.text_uncond, _UNCOND)
        injection.expect_tags([_context(cond).shape[1] for cond in (params.text_cond, params.text_uncond)])

    def detach(self) -> None:
        """Take the hooks out of the UNet; the next step puts them into whichever UNet is loaded by then."""
        self._job.detach()

    def disarm(self) -> None:
        """Leave UNet calls alone from here on: they are somebody else's."""
        if self._job.injection is not None:
            self._job.injection.expect_tags(())

    def refuse(self, error: Exception) -> None:
        """Deal with a UNet that cannot be injected: a refiner is left alone, said aloud; anything else ends the job."""
        if shared.sd_model.sd_checkpoint_info is getattr(self._p, "refiner_checkpoint_info", None):
            self._job.detach()
            self._refused = _unet()
            webui_lora.deactivate()
            say(self._p, f"FaceID stopped where the refiner took over: {error}")
        else:
            self._fail_at_next_call(_unet(), error)

    def report(self) -> None:
        """Say in one line per unit what was applied, once at least a batch is drawn."""
        calls = self._job.calls + (self._job.injection.calls if self._job.injection else 0)
        for prepared in self._job.prepared:
            if calls:
                say(self._p, prepared.summary(self._p.steps))
            else:
                key = infotext_key(prepared.number)
                self._p.extra_generation_params[key] = "not applied"
                say(
                    self._p,
                    f"{key} was NOT applied: no step of this job reached it. Widen start and end, or switch other "
                    f"extensions off one by one to find the one that replaces the UNet.",
                )

    def close(self) -> None:
        """Leave nothing behind. May be called any number of times."""
        self._job.close()
        self._undo.close()
        self._merged.close()
        webui_lora.deactivate()

    def _fail_at_next_call(self, unet: nn.Module, error: Exception) -> None:
        """Raise the error from inside the UNet, where no callback wrapper swallows it."""
        handle = unet.register_forward_pre_hook(failing(error))
        self._undo.callback(handle.remove)


def say(p: Any, message: str) -> None:
    """Show a message under the picture, in the API's answer, and once in the log."""
    if message not in p.comments:
        print(message)  # noqa: T201 - the WebUI's log is its standard output
    p.comment(message)


def failing(error: Exception) -> Callable[..., NoReturn]:
    """Return a function that takes anything and ends the job with the error's sentence."""

    def fail(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise FaceIDStopped(getattr(error, "status_code", 500), f"IP-Adapter FaceID: {error}") from error

    return fail


def _progress(params: Any) -> float:
    """Return how far the pass is, by calls of the denoiser: the WebUI's own measure for prompt editing.

    Its step counter is of no use here: it still names the step before when a new one begins.
    """
    return params.denoiser.step / (params.denoiser.total_steps or params.total_sampling_steps)


def _context(cond: Any) -> Tensor:
    return cond["crossattn"] if isinstance(cond, dict) else cond


def _tagged(cond: Any, slot: int) -> Any:
    """Return the conditioning with a tag in front of every row. SDXL's is a dict; the host's own is left alone."""
    context = tag_rows(_context(cond), [slot] * len(_context(cond)))
    if not isinstance(cond, dict):
        return context
    tagged = copy.copy(cond)
    tagged["crossattn"] = context
    return tagged


def _unet() -> nn.Module:
    return shared.sd_model.model.diffusion_model
