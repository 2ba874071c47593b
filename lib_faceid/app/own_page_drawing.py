"""The job of our own page: drawn while somebody watches, and the pictures of the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from lib_faceid.app.last_pictures import LastPictures
from lib_faceid.app.live import Live, Moment
from lib_faceid.app.own_page_again import COUNT, next_seeds
from lib_faceid.app.own_page_asked import asked_for
from lib_faceid.app.own_page_results import applied_html, gallery_update, state_html
from lib_faceid.app.own_page_scores import can_be_sorted, most_alike_first
from lib_faceid.app.picture_files import KeptPictures
from lib_faceid.app.recording import Recorder
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.jobs.job import Job
from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import problem

__all__ = ["Drawing"]


@dataclass(frozen=True, eq=False)
class _Shown:
    """A job, as far as the page shows it."""

    args: Sequence[Any]
    """The page's values that it was drawn with."""
    job: Job
    moment: Moment
    kept: KeptPictures


@dataclass(eq=False)
class Drawing:
    """The page's jobs, one after the other."""

    session: Session
    last: LastPictures
    folder: Path | None
    """Where pictures are kept; None: nowhere."""
    _running: Live | None = field(default=None, init=False)
    _shown: _Shown | None = field(default=None, init=False)

    @property
    def pictures(self) -> Sequence[GeneratedImage]:
        """Those of the last job, in the order in which they are shown."""
        return self._shown.moment.generated if self._shown else ()

    def generated(self, *args: Any) -> Iterator[list[Any]]:
        """Give what the results and the two buttons below them show, again and again; a sentence for what fails."""
        try:
            yield from self._drawn(args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the page
            yield [*_buttons(is_over=True), notice(problem(error), "error"), [], gr.update(visible=False), "", *_on([])]

    def varied(self, *args: Any) -> Iterator[list[Any]]:
        """Give the same of a job with the seeds that follow those of the last one, and all else as it was there."""
        shown = self._shown
        if shown is not None and shown.moment.generated:
            args = tuple(next_seeds(shown.args, shown.moment.generated, args[COUNT]))
        yield from self.generated(*args)

    def by_likeness(self) -> list[Any]:
        """Return the pictures, the most alike first, and what is said of them."""
        if self._shown is None:
            return [gr.update()] * 2
        moment = self._shown.moment
        moment = replace(moment, generated=most_alike_first(moment.generated))
        self._shown = replace(self._shown, moment=moment)
        return [gallery_update(moment), applied_html(self._shown.job, moment, self._shown.kept)]

    def stop(self) -> None:
        """End the job that is being drawn."""
        if self._running:
            self._running.stop()

    def _drawn(self, args: Sequence[Any]) -> Iterator[list[Any]]:
        checkpoint, units, requests, options, controls = asked_for(args)
        session, kept = self.session, KeptPictures(self.folder)
        job, path = session.job(units, requests[0], controls), session.resources.checkpoint_of(checkpoint)
        recorder = Recorder(session, path)
        live = Live(lambda report: _keeping(kept, recorder, job, session.draw(path, job, requests, report, options)))
        self._running, count = live, -1
        for moment in live.moments():
            done = moment.generated
            is_new, count = len(done) != count, len(done)
            if is_new:
                self.last.keep(job, done, path)
            self._shown = _Shown(args, job, moment, kept)
            seen, texts = [gr.update()] * 2
            if is_new:
                seen, texts = gallery_update(moment, len(requests)), applied_html(job, moment, kept)
            can_sort = gr.update(visible=moment.is_over and can_be_sorted(done))
            on = _on(done if moment.is_over else [])
            yield [*_buttons(is_over=moment.is_over), state_html(moment), seen, can_sort, texts, *on]


def _buttons(*, is_over: bool) -> list[Any]:
    """Return the updates of Generate and Stop."""
    return [gr.update(interactive=is_over), gr.update(interactive=not is_over)]


def _on(pictures: Sequence[GeneratedImage]) -> list[Any]:
    """Return the updates of the two buttons that go on from pictures."""
    return [gr.update(interactive=bool(pictures))] * 2


def _keeping(
    kept: KeptPictures, recorder: Recorder, job: Job, generated: Iterator[GeneratedImage]
) -> Iterator[GeneratedImage]:
    """Give the pictures on, each once it is on the disk; the journal is told where."""
    for one in recorder.watch(job, generated):
        if path := kept.keep(one):
            recorder.saved(one, path)
        yield one
