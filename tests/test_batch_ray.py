"""The engine `ray`, with a Ray that is played: what is sent, what comes back, actors that die. Real: docs/BATCH.md."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib_faceid.app.resources import Resources
from lib_faceid.batch import ray_engine
from lib_faceid.batch.casts import Cast
from lib_faceid.batch.engine import Drawn, LostError
from lib_faceid.batch.index import Task
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.ray_engine import RayEngine, start_ray
from lib_faceid.errors import FaceIDError, HostError, MissingPackageError
from lib_faceid.models.folders import Roots


class ActorDiedError(Exception):
    """As Ray's."""


class PlayedRay:
    """Actors in this process. dies: says whether an actor does, before each picture."""

    exceptions = SimpleNamespace(
        RayActorError=ActorDiedError, WorkerCrashedError=ActorDiedError, ObjectLostError=ActorDiedError,
        NodeDiedError=ActorDiedError, RayTaskError=ArithmeticError,
    )  # fmt: skip

    def __init__(self, gpus: int = 0, dies: Callable[[], bool] = lambda: False) -> None:
        self.gpus, self.dies, self.options, self.killed, self.puts = gpus, dies, dict[str, Any](), 0, 0

    def cluster_resources(self) -> dict[str, float]:
        return {"GPU": float(self.gpus)} if self.gpus else {"CPU": 2.0}

    def remote(self, **options: Any) -> Callable[[type], Any]:
        self.options = options
        return lambda kind: SimpleNamespace(remote=lambda *given: self.actor(kind(*given)))

    def actor(self, made: Any) -> Any:
        return SimpleNamespace(draw=SimpleNamespace(remote=lambda *given: lambda: made.draw(*given)))

    def put(self, content: bytes) -> bytes:
        self.puts += 1
        return content

    def get(self, reference: Callable[[], bytes]) -> bytes:
        if self.dies():
            raise ActorDiedError("The actor died.")
        return reference()

    def kill(self, _actor: Any) -> None:
        self.killed += 1


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """What the actors' drawers are asked for; they draw nothing."""
    asked: list[Picture] = []

    def draw(picture: Picture) -> Drawn:
        asked.append(picture)
        if picture.seed == 13:
            raise FaceIDError("No face was found.")
        return Drawn(b"png", {"seed": picture.seed}, 0.5, 0.1)

    monkeypatch.setattr(ray_engine, "ready", lambda _resources, _settings: SimpleNamespace(draw=draw))
    return asked


def task(seed: int = 1, **unit: Any) -> Task:
    return Task(seed, f"{seed}", 0, 0, Picture(2, 0, "x", seed, Cast("Anna", (unit or {"person": "Anna"},))))


def engine_of(ray: PlayedRay, count: int | None = None) -> RayEngine:
    return RayEngine(ray, Resources(Roots()), count)


def test_an_actor_for_each_gpu_of_a_cluster_that_grows() -> None:
    ray = PlayedRay(2)
    engine = engine_of(ray)
    assert list(engine.places()) == ["actor 1", "actor 2"]
    ray.gpus = 4
    assert len(engine.places()) == 4
    assert len(engine_of(ray, 1).places()) == 1
    assert len(engine_of(PlayedRay()).places()) == 1


def test_a_picture_comes_back_and_an_error_is_its_own(drawn: list[Picture]) -> None:
    ray = PlayedRay(1)
    worker = engine_of(ray).open("actor 1")
    assert ray.options == {"num_gpus": 1, "num_cpus": 1, "max_restarts": 0}
    assert worker.draw(task(3)).record == {"seed": 3}
    with pytest.raises(FaceIDError, match="No face was found"):
        worker.draw(task(13))
    assert [one.seed for one in drawn] == [3, 13]
    worker.close()
    with pytest.raises(LostError):
        worker.draw(task())


def test_photos_travel_where_a_node_has_none(drawn: list[Picture], tmp_path: Path) -> None:
    photo, gone = tmp_path / "a.jpg", str(tmp_path / "a.jpg")
    photo.write_bytes(b"photo")
    ray = PlayedRay()
    engine = engine_of(ray)
    worker = engine.open("actor 1")
    asked = task(1, images=[[gone, 1.0]], weight=0.5)
    engine.sent(gone)
    photo.unlink()  # this machine keeps it in the store; the node has no such file
    worker.draw(asked)
    worker.draw(asked)
    assert ray.puts == 1, "once for all pictures"
    ((path, weight),) = drawn[-1].cast.units[0]["images"]
    assert (Path(path).read_bytes(), Path(path).name, weight) == (b"photo", "a.jpg", 1.0)
    assert path != gone
    with pytest.raises(FaceIDError, match="cannot be read any more"):
        worker.draw(task(2, images=[[str(tmp_path / "b.jpg"), 1.0]]))


def test_a_dead_actor_is_replaced(drawn: list[Picture]) -> None:
    ends = iter([True, False])
    ray = PlayedRay(dies=lambda: next(ends))
    worker = engine_of(ray).open("actor 1")
    with pytest.raises(LostError, match=r"actor 1 ended while it drew \(The actor died"):
        worker.draw(task(5))
    assert worker.revive() == 0
    assert ray.killed == 1
    assert worker.draw(task(5)).likeness == 0.5
    assert len(drawn) == 1


def test_without_ray_or_without_a_cluster_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=refuse))
    with pytest.raises(HostError, match=r"cannot be reached at 10\.0\.0\.1:6379 \(nobody there\).*RAY_AUTH_MODE=token"):
        start_ray("10.0.0.1:6379")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "nothing is reported to its makers"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match="pip install 'ray>="):
        start_ray()


def test_pictures_travel_as_json() -> None:
    picture = task(2**64 - 1, person="Änne").picture
    assert Picture.from_dict(json.loads(json.dumps(picture.as_dict()))) == picture
