"""The WebUI's jobs, written into the journal where that is switched on. Where it is not, it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules import shared

from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.webui.api import adapter_files, journal
from lib_faceid.hosts.webui.pictures import pictures_of
from lib_faceid.hosts.webui.sampling import say
from lib_faceid.hosts.webui.scores import scores_by_image
from lib_faceid.hosts.webui.settings import setting
from lib_faceid.jobs.preparing import Prepared

__all__ = ["note", "record"]

_ATTRIBUTE = "faceid_drawn_with"
HOST = "webui"


def note(p: Any, units: Sequence[Prepared]) -> None:
    """After a batch: keep with `p` who was drawn, as the job may be over before the pictures are saved."""
    if setting("faceid_journal") and units:
        setattr(p, _ATTRIBUTE, list(units))


def record(p: Any, processed: Any) -> None:
    """After a job: write down its pictures, with their files as the WebUI saved them."""
    units = getattr(p, _ATTRIBUTE, None)
    if not units:
        return
    setattr(p, _ATTRIBUTE, None)
    from lib_faceid.jobs.recording import Finished, Machine
    from lib_faceid.jobs.recording import record as write_down

    scores = scores_by_image(p)
    try:
        finished = [
            Finished(
                infotext,
                image,
                str(getattr(image, "already_saved_as", None) or ""),
                scores.get(number),
            )
            for number, (image, infotext) in enumerate(pictures_of(processed))
        ]
        if not finished:
            return
        info = shared.sd_model.sd_checkpoint_info
        machine = Machine(HOST, adapter_files, Path(info.filename), getattr(info, "sha256", None) or "")
        run = write_down(journal(), units, finished, machine, keeps_thumbnails=setting("faceid_journal_thumbnails"))
    except (FaceIDError, OSError) as error:
        _say(p, processed, f"FaceID: not written into the journal: {error}")
    else:
        _say(p, processed, f"FaceID: written into the journal as {run.id}.")


def _say(p: Any, processed: Any, message: str) -> None:
    """Show a message under the pictures: what the WebUI shows there was put together before."""
    say(p, message)
    processed.comments += f"{message}\n"
