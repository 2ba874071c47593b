"""The engine `ray`: actors of a Ray cluster, or of this machine, each with one pipeline that stays loaded.

Only this file knows Ray, which is an extra (`pip install ".[diffusers,ray]"` in the clone). Models lie on each node
where this machine has them; the files of people and photos travel through Ray's object store, each once for a node.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from lib_faceid.app.resources import Resources
from lib_faceid.batch.controls import with_picture
from lib_faceid.batch.engine import Drawn, LostError
from lib_faceid.batch.index import Task
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.unit_pictures import pictures_of, with_pictures
from lib_faceid.batch.worker import answer, ready, unpack
from lib_faceid.errors import FaceIDError, HostError, MissingPackageError
from lib_faceid.models.person_suffixes import is_person_file

__all__ = ["RayActor", "RayEngine", "RayWorker", "start_ray"]

WAIT_SECONDS, MOST_STARTS = 2.0, 10


def start_ray(address: str | None = None) -> Any:
    """Return Ray, connected to a cluster or started on this machine. Raises MissingPackageError, HostError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports to its makers
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise MissingPackageError(
            f"--engine ray needs Ray, which cannot be imported ({error}). Run: pip install 'ray>=2.40'"
        ) from error
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = address or "this machine"
        raise HostError(
            f"Ray cannot be reached at {where} ({error}). Start it there: ray start --head. "
            "A cluster with a token wants RAY_AUTH_MODE=token here, and the token in ~/.ray/auth_token."
        ) from error
    return ray


class RayActor:
    """What runs in the cluster: a drawer, and the files of people that were sent along."""

    def __init__(self, resources: Resources, settings: Mapping[str, Any]) -> None:
        self._drawer: Any = ready(resources, dict(settings))
        self._folder = tempfile.TemporaryDirectory(prefix="faceid-")

    def draw(self, text: str, names: Sequence[str], *contents: bytes) -> bytes:
        """Return a finished picture as one message. names: of the files that are sent with it."""
        values: Any = json.loads(text)
        places = {name: self._place(name, content) for name, content in zip(names, contents, strict=True)}
        values["units"] = [_moved(one, places) for one in values["units"]]
        values["controls"] = [
            with_picture(one, lambda path: places.get(path, path)) for one in values.get("controls", ())
        ]
        return answer(self._drawer, Picture.from_dict(values))

    def _place(self, name: str, content: bytes) -> str:
        """Return where a file is on this node: where it was named if it is there, else a copy."""
        if Path(name).is_file():
            return name
        path = Path(self._folder.name) / Path(name).name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
        return str(path)


@dataclass
class RayEngine:
    """Actors. count: so many at most; None: one for each GPU that the cluster has, or gets; on a CPU one."""

    ray: Any
    resources: Resources
    count: int | None = None
    threads: int | None = 1
    writes_journal: bool = False
    name: str = "ray"
    attempts: int = 5
    _sent: dict[str, Any] = field(default_factory=dict[str, Any], init=False)

    @property
    def gpus(self) -> int:
        """How many the cluster has now."""
        return int(self.ray.cluster_resources().get("GPU", 0))

    def places(self) -> Sequence[str]:
        """Return the actors' names; more once the cluster has grown."""
        return [f"actor {number + 1}" for number in range(self.count or max(self.gpus, 1))]

    def open(self, place: str) -> RayWorker:
        """Return an actor, started."""
        worker = RayWorker(place, self)
        worker.start()
        return worker

    def sent(self, path: str) -> Any:
        """Return a file in the object store; it is put there once."""
        if path not in self._sent:
            self._sent[path] = self.ray.put(Path(path).read_bytes())
        return self._sent[path]


@dataclass
class RayWorker:
    """One actor. When it, or its node, dies, another one takes its place."""

    name: str
    engine: RayEngine
    _actor: Any = field(default=None, init=False)
    _starts: int = field(default=0, init=False)

    def start(self) -> None:
        """Start an actor; where there is no room for it, its first picture waits until there is."""
        engine = self.engine
        has_gpu = engine.gpus > 0
        settings = {"threads": None if has_gpu else engine.threads, "writes_journal": engine.writes_journal}
        kind = engine.ray.remote(num_gpus=1 if has_gpu else 0, num_cpus=1, max_restarts=0)(RayActor)
        self._actor = kind.remote(engine.resources, settings)
        self._starts += 1

    def draw(self, task: Task) -> Drawn:
        """Return the picture. Raises LostError where the actor died."""
        picture = task.picture
        try:
            names = sorted(_files_of(picture))
            contents = [self.engine.sent(name) for name in names]
        except OSError as error:
            raise FaceIDError(f"{error.filename} cannot be read any more ({error.strerror}).") from error
        errors: Any = self.engine.ray.exceptions
        if self._actor is None:
            raise LostError(f"{self.name} is closed.", counts=False)
        try:
            message = self.engine.ray.get(self._actor.draw.remote(json.dumps(picture.as_dict()), names, *contents))
        except (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError, errors.NodeDiedError) as error:
            first = " ".join(str(error).split())[:200]
            raise LostError(f"{self.name} ended while it drew ({first}).") from error
        except errors.RayTaskError as error:
            raise HostError(" ".join(str(error).split())[-300:]) from error
        self._starts = 0
        return unpack(message)

    def revive(self) -> float | None:
        """Start another actor."""
        self.close()
        if self._starts >= MOST_STARTS:
            return None
        self.start()
        return 0

    def close(self) -> None:
        """End the actor."""
        actor, self._actor = self._actor, None
        if actor is not None:
            self.engine.ray.kill(actor)


def _files_of(picture: Picture) -> set[str]:
    """Return the files that a picture names, models aside: photos, masks, people, pictures to follow."""
    units = picture.cast.units
    found = {path for unit in units for path in pictures_of(unit)}
    found |= {one["picture"] for one in picture.controls if one["picture"]}
    return found | {unit["person"] for unit in units if is_person_file(unit.get("person") or "")}


def _moved(unit: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    found = with_pictures(unit, lambda path: places.get(path, path))
    if found.get("person") in places:
        found["person"] = places[found["person"]]
    return found
