"""Our own program's pictures, written into the journal where that is switched on. Where it is not, it costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.errors import FaceIDError
from lib_faceid.jobs.job import Job
from lib_faceid.models.own_settings import own_settings

__all__ = ["Recorder"]

HOST = "this program"


@dataclass(eq=False)
class Recorder:
    """Watches the pictures of a job come, and writes them down when it is over, also where somebody stopped it."""

    session: Session
    checkpoint: Path
    say: Callable[[str], None] = lambda _: None
    _generated: list[GeneratedImage] = field(default_factory=list[GeneratedImage], init=False)
    _paths: dict[int, Path] = field(default_factory=dict[int, Path], init=False)

    def watch(self, job: Job, generated: Iterator[GeneratedImage]) -> Iterator[GeneratedImage]:
        """Give the pictures on."""
        if not own_settings(self.session.resources.roots).journal:
            yield from generated
            return
        try:
            for one in generated:
                self._generated.append(one)
                yield one
        finally:
            self._record(job)

    def saved(self, generated: GeneratedImage, path: Path) -> None:
        """Note where a picture was saved."""
        self._paths[id(generated)] = path

    def _record(self, job: Job) -> None:
        if not self._generated:
            return
        from lib_faceid.jobs.recording import Finished, Machine, record
        from lib_faceid.journal.journal import open_journal

        resources, units = self.session.resources, job.prepared
        try:
            finished = [
                Finished(one.parameters, one.image, str(self._paths.get(id(one), "")), one.score)
                for one in self._generated
            ]
            machine = Machine(HOST, resources.models().adapter_files, self.checkpoint)
            keeps = own_settings(resources.roots).thumbnails
            journal = open_journal(resources.roots)
            run = record(journal, units, finished, machine, keeps_thumbnails=keeps, controls=job.controls)
        except (FaceIDError, OSError) as error:
            self.say(f"Not written into the journal: {error}")
        else:
            self.say(f"Journal: {run.id}")
