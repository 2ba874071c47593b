"""The callbacks of the WebUI (AUTOMATIC1111's 1.10, Forge).

The WebUI swallows whatever its script callbacks raise and goes on with the plain picture. So nothing is raised here: a
job that cannot draw the person is made to fail where the WebUI does listen, in `p.init` or inside the UNet call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal
from weakref import WeakSet

from modules import scripts

from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.webui import recording
from lib_faceid.hosts.webui.api import adapter_files
from lib_faceid.hosts.webui.engine import engine
from lib_faceid.hosts.webui.host import WebUI
from lib_faceid.hosts.webui.inner import inner_units, is_inner
from lib_faceid.hosts.webui.job import WebUIJob, failing
from lib_faceid.hosts.webui.probes import is_probe, options_for
from lib_faceid.hosts.webui.sampling import say
from lib_faceid.hosts.webui.scores import begin_scores
from lib_faceid.hosts.webui.searching import begin_search, clear, of_job
from lib_faceid.hosts.webui.settings import setting
from lib_faceid.hosts.webui.sorting import sort_gallery
from lib_faceid.jobs.choosing import Models
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.job_options import options_of
from lib_faceid.units.overrides import with_option_overrides, with_overrides
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.tags import tag_key
from lib_faceid.units.unit import Unit

__all__ = [
    "adapter_files",
    "apply_loras",
    "before_sampling",
    "call",
    "end",
    "finish",
    "is_in_step",
    "is_part",
    "models",
    "on_denoised",
    "on_denoiser",
    "on_model_loaded",
    "on_scripts_unloaded",
    "plot_module",
    "refuse",
    "report",
    "score",
    "start",
]

_ATTRIBUTE = "faceid_job"
_live: WeakSet[WebUIJob] = WeakSet()


def start(p: Any, args: Sequence[Any]) -> None:
    """Begin a job for the units that act. Where one cannot be drawn, the job fails before anything is sampled.

    The inner job of a face is left to `on_denoiser`, whether or not ADetailer calls our script for it. And a copy of
    a running job's `p` begins no job: ADetailer wakes other scripts with one, in the middle of a job.
    """
    if is_part(p) or _is_copy(p):
        return
    finish(p)
    try:
        options = options_for(p, with_option_overrides(options_of(args), p))
        begin_scores(p, is_asked_for=options.score)
        asked = units_from_args(args)
        units = with_overrides(asked, p)
        for number, unit in enumerate(units):
            if not unit.weight and asked[number].acts:  # a cell of a plot, of which its grid has the metadata
                p.extra_generation_params[infotext_key(number)] = "off (weight 0)"
            if unit.enabled and not unit.has_reference:
                p.extra_generation_params[infotext_key(number)] = "ignored, it has no photo"
                say(p, f"FaceID {number} is enabled but has no photo and no saved person: ignored.")
        _begin(p, units)
        begin_search(p, options, partial(_job_of, p), partial(say, p))
    except Exception as error:  # noqa: BLE001 - the host would swallow it and draw somebody else
        end(p)
        refuse(p, error, "init", 0)


def before_sampling(p: Any) -> None:
    """Before the sampler of a pass runs."""
    if engine().forgets_loras:
        _put_loras(p)
    if (found := of_job(p)) is not None:
        found.before_sampling()


def call(p: Any, tagged: Sequence[Unit]) -> None:
    """Draw the units of the coming batch's prompt tags besides the page's, instead of those of the batch before.

    Raises FaceIDError where one cannot be drawn; then the page's are left.
    """
    job = _job_of(p)
    units, before = (job.units, job.tagged) if job else ([], [])
    if list(tagged) == before:
        return
    end(p)
    for at in range(len(before)):
        p.extra_generation_params.pop(infotext_key(tag_key(at)), None)
    try:
        _begin(p, units, tagged)
    except Exception:
        end(p)
        _begin(p, units)
        raise


def _begin(p: Any, units: Sequence[Unit], tagged: Sequence[Unit] = ()) -> None:
    """Give `p` a job for these units, if any of them acts. Raises FaceIDError where one cannot be drawn."""
    if any(unit.acts for unit in (*units, *tagged)):
        job = WebUIJob(p, units, models(), tagged)
        _live.add(job)
        setattr(p, _ATTRIBUTE, job)
        _end_on_close(p)
        job.prepare()


def refuse(p: Any, error: Exception, at: Literal["init", "sample"], number: int | Literal["tags"]) -> None:
    """End the job with the error's sentence; or draw without the person, and say so, where the user set that.

    at: the method of `p` that the WebUI calls next, which is made to fail; number: the unit's, for the metadata.
    """
    if setting("faceid_on_failure") == "Stop":
        setattr(p, at, failing(error))
        return
    p.extra_generation_params[infotext_key(number)] = f"skipped ({error})"
    say(p, f"Drawn WITHOUT the person: {error}")


def apply_loras(p: Any) -> None:
    """After the WebUI has activated the prompt's networks, which it does once for each pass."""
    if not engine().forgets_loras:
        _put_loras(p)


def _put_loras(p: Any) -> None:
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
        if not is_probe(p):
            recording.note(p, job.prepared)


def score(p: Any, picture: Any) -> None:
    """After everything that changes a picture, and before its metadata are written: see how alike its people are."""
    if (job := _job_of(p)) is not None and job.is_of(p):
        job.score(picture)


def end(p: Any) -> None:
    """Close the job that a processing object carries, if there is one."""
    if (job := _job_of(p)) is not None and job.is_of(p):
        job.close()
        _live.discard(job)
        setattr(p, _ATTRIBUTE, None)


def finish(p: Any, processed: Any = None) -> None:
    """After the last batch, or when `p` is closed: end what it carries. processed: what the job gives back."""
    if processed is not None and (job := _job_of(p)) is not None and setting("faceid_sort_gallery"):
        sort_gallery(p, processed, job.say)
    end(p)
    clear(p)


def _job_of(p: Any) -> WebUIJob | None:
    """Return the job that a processing object carries."""
    return getattr(p, _ATTRIBUTE, None)


def _is_copy(p: Any) -> bool:
    """Say whether it is a copy of the `p` of a job that is running."""
    job = _job_of(p)
    return job is not None and not job.is_closed and not job.is_of(p)


def is_in_step(p: Any) -> bool:
    """Say whether its job is between the UNet calls of one step: what happens to `p` now is no end of a batch."""
    return (job := _job_of(p)) is not None and job.is_in_step


def is_part(p: Any) -> bool:
    """Say whether this is the job of a face inside a job of ours, which begins it."""
    return is_inner(p) and _outer() is not None


def _outer() -> WebUIJob | None:
    """Return the job that is running, of which another one may be a part."""
    return next((job for job in _live if not job.is_closed and not job.is_part), None)


def _inner_job(p: Any) -> WebUIJob | None:
    """Return the job of a face that is drawn again inside another job, begun now; None for anything else."""
    outer = _outer()
    if outer is None or not is_inner(p) or hasattr(p, _ATTRIBUTE):
        return None
    setattr(p, _ATTRIBUTE, None)
    outer.withdraw_loras()
    try:
        units, tagged = inner_units(outer, p)
        job = WebUIJob(p, units, models(), tagged)
        job.is_part = True
        acting = [str(prepared.number) for prepared in job.prepare()]
    except FaceIDError as error:  # another checkpoint for the faces, say; the picture around it has its person
        outer.say(f"A face was drawn again by ADetailer WITHOUT the person: {error}")
        return None
    if not acting:
        return None
    _live.add(job)
    setattr(p, _ATTRIBUTE, job)
    _end_on_close(p)
    outer.say(f"FaceID {', '.join(acting)} acted on a face that ADetailer drew again.")
    return job


def on_denoiser(params: Any) -> None:
    """Before the UNet calls of one step: arm the job they belong to, and no other.

    A job stays armed after its step: rows with tags are its own, whoever sends them; rows without are left alone.
    """
    p = getattr(params.denoiser, "p", None)
    job = _job_of(p) or _inner_job(p)
    for other in _live:
        other.is_in_step = other is job
        if other is not job:
            other.disarm()
    if job is None:
        return
    try:
        job.arm(params)
    except Exception as error:  # noqa: BLE001 - the host would swallow it and draw somebody else
        job.refuse(error)


def on_denoised(_params: Any) -> None:
    """After the UNet calls of one step."""
    for job in _live:
        job.end_step()


def on_model_loaded(*_: Any) -> None:
    """After another checkpoint was loaded, maybe in the middle of a job (hires checkpoint, refiner)."""
    for job in _live:
        job.detach()


def on_scripts_unloaded() -> None:
    """Before the scripts are loaded anew."""
    for job in list(_live):
        job.close()


def models() -> Models:
    """Return where this WebUI's models come from."""
    return WebUI().models()


def plot_module() -> Any | None:
    """Return the module of the WebUI's X/Y/Z plot, which is loaded like an extension's script; None without it."""
    names = {"xyz_grid.py", "scripts.xyz_grid"}
    return next((one.module for one in scripts.scripts_data if one.script_class.__module__ in names), None)


def _end_on_close(p: Any) -> None:
    """Have the job closed whenever the WebUI closes `p`, which it does even after an error."""
    close = p.close
    if not isinstance(close, partial) or close.args[:1] != (p,):  # once; a copy of `p` also holds its original's
        p.close = partial(_end_and_close, p, close)


def _end_and_close(p: Any, close: Callable[[], None]) -> None:
    finish(p)
    close()
