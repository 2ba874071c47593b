"""One worker's session: models and people stay loaded from one picture to the next, as long as the job is the same.

It draws with what `generate` draws with; a picture is what `generate` gives for the same settings, byte for byte.
"""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_faceid.app.named import named_adapters, named_identities
from lib_faceid.app.picture_files import save_picture
from lib_faceid.app.recording import HOST
from lib_faceid.batch.casts import unit_of
from lib_faceid.batch.controls import controls_in
from lib_faceid.batch.engine import Drawn
from lib_faceid.batch.picture import Picture
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.likeness.meaning import answer_of
from lib_faceid.units.job_options import JobOptions

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources
    from lib_faceid.app.session import GeneratedImage, Opened, Session

__all__ = ["Drawer", "record_of"]


class Drawer:
    """Draws pictures one after the other. One thread at a time."""

    def __init__(self, resources: Resources, *, writes_journal: bool = False) -> None:
        from lib_faceid.app.session import Session

        self._resources, self._writes_journal = resources, writes_journal
        self._session: Session = Session(resources)
        self._stack = ExitStack()
        self._opened: tuple[tuple[Any, ...], Opened, Path] | None = None

    def draw(self, picture: Picture) -> Drawn:
        """Return a picture. Raises FaceIDError."""
        request = Request(
            picture.prompt, picture.negative, picture.size, picture.steps, picture.cfg, picture.seed
        )  # fmt: skip
        opened, checkpoint = self._open(picture, request)
        try:
            generated = next(iter(opened.pictures(request)))
        except BaseException:
            self.close()
            raise
        png = io.BytesIO()
        save_picture(generated, png)
        score = generated.score
        record = {
            **record_of(picture),
            "drawn_by": HOST,
            "drawn_seed": generated.request.seed,
            "likeness": score.likeness if score else None,
            "score": answer_of(score) if score else None,
        }
        run = self._run_of(opened, generated, checkpoint) if self._writes_journal else None
        return Drawn(png.getvalue(), record, score.likeness if score else None, generated.seconds, run)

    def close(self) -> None:
        """Take the job out of the model, which stays loaded."""
        self._opened = None
        self._stack.close()

    def _open(self, picture: Picture, request: Request) -> tuple[Opened, Path]:
        if self._opened is None or self._opened[0] != picture.job:
            self.close()
            units = [unit_of(one) for one in picture.cast.units]
            self._session.resources = replace(
                self._resources, adapters=named_adapters(units), identities=named_identities(units)
            )
            checkpoint = self._checkpoint(picture.checkpoint)
            options = JobOptions.from_dict(picture.options)
            made = self._session.job(units, request, controls_in(picture.controls))
            opening = self._session.opened(checkpoint, made, [request], options=options)
            self._opened = (picture.job, self._stack.enter_context(opening), checkpoint)
        return self._opened[1:]

    def _checkpoint(self, name: str) -> Path:
        return Path(name) if Path(name).exists() else self._resources.checkpoint_of(name)

    def _run_of(self, opened: Opened, generated: GeneratedImage, checkpoint: Path) -> dict[str, Any]:
        from lib_faceid.jobs.recording import Finished, Machine, run_of
        from lib_faceid.journal.journal import open_journal

        resources = self._session.resources
        finished = [Finished(generated.parameters, generated.image, "", generated.score)]
        machine = Machine(HOST, resources.models().adapter_files, checkpoint)
        job, journal = opened.job, open_journal(resources.roots)
        return run_of(journal, job.prepared, finished, machine, job.controls).as_dict()


def record_of(picture: Picture) -> dict[str, Any]:
    """Return what is written of a picture beside it: what it is, and not where in a manifest it stands."""
    found = picture.as_dict()
    del found["row"], found["cell"]
    return found
