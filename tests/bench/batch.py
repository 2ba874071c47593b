"""What docs/BATCH.md says in figures: a fleet of pretended WebUIs, killed processes, a large manifest, the overhead.

cd tests; python -m bench.batch fleet
python -m bench.batch kill --rounds 20        (real workers, on the miniature)
python -m bench.batch plan --rows 1000000
python -m bench.batch overhead
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from batches import KNOWN, PlayedEngine, key_of
from fleet import TROUBLES, Pretended, fleet

from lib_faceid.batch.address import Address
from lib_faceid.batch.engine import Drawn
from lib_faceid.batch.index import Task
from lib_faceid.batch.planning import plan_of
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.running import Run
from lib_faceid.batch.store import Store
from lib_faceid.batch.webui import WebUIEngine
from lib_faceid.batch.work import Rules
from lib_faceid.miniature.folder import write_trained_models

__all__ = ["main"]

PROJECT = Path(__file__).resolve().parents[2]


def _run(folder: Path, text: str, engine: PlayedEngine | WebUIEngine) -> float:
    """Run a batch and return how many seconds it took."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.csv").write_text(text)
    store = Store(folder / "out")
    with store.held():
        began = time.monotonic()
        Run(Manifest(folder / "m.csv", KNOWN), store, engine, key_of, Rules(attempts=engine.attempts)).run()
        return time.monotonic() - began


def _fleet(options: argparse.Namespace) -> None:
    """Rows over WebUIs of which a share is in trouble at any time; then the cost of one that is five times slower."""
    dice = [random.Random(at) for at in range(options.hosts)]

    def trouble(at: int) -> str:
        return dice[at].choice(TROUBLES) if dice[at].random() < 0.3 else ""

    played = [Pretended(0.01, lambda at=at: trouble(at), hang_seconds=1.5) for at in range(options.hosts)]
    text = "people,prompt,seeds\n" + "".join(f"Anna,picture {at},{at}\n" for at in range(options.rows))
    with tempfile.TemporaryDirectory() as name, fleet(*played) as urls:
        engine = WebUIEngine([Address.of(url) for url in urls], 1.0, first_wait=0.1, longest_wait=1.0)
        seconds = _run(Path(name), text, engine)
        found = [json.loads(path.read_text())["seed"] for path in Path(name).glob("out/pictures/*/*.json")]
        assert sorted(found) == list(range(options.rows)), "every row, and each once"
    requests = sum(one.requests for one in played)
    print(f"{options.rows} rows over {options.hosts} WebUIs: each once, {requests} requests, {seconds:.0f} s")


class _Sleeper(PlayedEngine):
    """Workers that take their time, and no processor."""

    def __init__(self, times: list[float]) -> None:
        super().__init__(len(times))
        self.times = times
        self.trouble = lambda worker, _picture: time.sleep(self.times[int(worker.split()[1])])


def _slow(options: argparse.Namespace) -> None:
    for count in (8, 50):
        rates: list[float] = []
        for last in (1, 5):
            times = [options.seconds] * (count - 1) + [last * options.seconds]
            pictures = count * 60
            with tempfile.TemporaryDirectory() as name:
                seconds = _run(Path(name), f"people,prompt,seeds\nAnna,x,1-{pictures}\n", _Sleeper(times))
            rates.append(pictures / seconds / sum(1 / one for one in times))
        equal, slow = rates
        print(f"{count} workers: {equal:.1%} of the sum of their speeds; one five times slower: {slow:.1%}", flush=True)


def _overhead(options: argparse.Namespace) -> None:
    """What one picture costs beside drawing it: handed out, written twice and logged."""

    class Instant(PlayedEngine):
        def open(self, place: str):  # noqa: ANN202
            worker = super().open(place)
            plain, png = worker.draw, os.urandom(options.bytes)

            def draw(task: Task) -> Drawn:
                found = plain(task)
                return Drawn(png, found.record, found.likeness, 0.0)

            worker.draw = draw  # type: ignore[method-assign]
            return worker

    with tempfile.TemporaryDirectory() as name:
        text = f"people,prompt,seeds\nAnna,x,1-{options.rows}\n"
        seconds = _run(Path(name), text, Instant(1))
        again = _run(Path(name), text, Instant(1))
    each, found = 1000 * seconds / options.rows, 1000 * again / options.rows
    print(f"{each:.2f} ms a picture of {options.bytes} bytes; {found:.2f} ms to find it right")


def _plan(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "m.csv"
        with file.open("w") as out:
            out.write("people,prompt,place,seeds,size,steps,cfg,weight,best_of\n")
            for at in range(options.rows):
                who = ("Anna", "Ben", "Cleo")[at % 3]
                out.write(
                    f"{who}:0.{at % 9 + 1},{{people}} in {{place}} {at},place {at % 5000},{at},512x768,25,7,0.8,1\n"
                )
        began, used = time.monotonic(), time.process_time()
        plan = plan_of(Manifest(file, KNOWN))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(plan.sentences(None)[0])
    print(f"{time.monotonic() - began:.1f} s ({time.process_time() - used:.1f} s of processor time), {mib:.0f} MiB")


# ------------------------------------------------------------------ killed processes

ROWS = (
    'people,prompt,seeds,steps,size\nrobin || robin:0.4,"a photo of a person, red background",1-{each},{steps},{size}\n'
)


def _hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("pictures/*/*")}


def _start(folder: Path, out: str, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lib_faceid", "batch", "run", "m.csv", "--out", out, "--workers", f"{workers}"]
    environment = {**os.environ, "FACEID_MODELS": str(folder / "models"), "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _children(pid: int) -> list[int]:
    """The processes of a process, on Linux."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):  # each of its threads has its own
        with contextlib.suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _round(folder: Path, seed: int, calm: dict[str, str], seconds: float) -> str:
    """Kill workers and the driver at random times until it is through; raise AssertionError for any difference.

    seconds: what the calm run took; the first blow of a run falls before it could end, so that no round is without one.
    """
    dice, out, killed = random.Random(seed), f"round{seed}", {"worker": 0, "driver": 0}
    while True:
        process = _start(folder, out, 2)
        ends = time.monotonic() + dice.uniform(0.2, 0.8) * seconds if killed["driver"] < 2 else float("inf")
        strikes = time.monotonic() + dice.uniform(0.2, 0.6) * seconds if killed["worker"] < 2 else float("inf")
        while process.poll() is None:
            time.sleep(0.05)
            if time.monotonic() > strikes and (workers := [one for one in _children(process.pid) if _is_worker(one)]):
                os.kill(dice.choice(workers), signal.SIGKILL)
                killed["worker"] += 1
                strikes = float("inf")
            if time.monotonic() > ends:
                process.kill()
                process.wait()
                killed["driver"] += 1
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, process.returncode
    assert sum(killed.values()), f"round {seed}: nothing was killed"
    found = _hashes(folder / out)
    assert found == calm, f"round {seed}: {len(found)} files, {len(calm)} expected"
    drawn = len((folder / out / "log.jsonl").read_text().splitlines())
    shutil.rmtree(folder / out)
    return f"round {seed}: {killed['worker']} workers and {killed['driver']} drivers killed, {drawn} stored, all equal"


def _kill(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        list(write_trained_models(folder / "models"))
        (folder / "m.csv").write_text(ROWS.format(each=options.rows // 2, steps=options.steps, size=options.size))
        began = time.monotonic()
        assert _start(folder, "calm", 2).wait() == 0
        seconds = time.monotonic() - began
        calm = _hashes(folder / "calm")
        assert len(calm) == options.rows // 2 * 4, "a PNG and a JSON each"
        for seed in range(options.first, options.first + options.rounds):
            print(_round(folder, seed, calm, seconds), flush=True)


def main() -> None:
    """Measure what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, defaults in (
        ("fleet", _fleet, {"rows": 10_000, "hosts": 50}),
        ("slow", _slow, {"seconds": 0.4}),
        ("overhead", _overhead, {"rows": 2_000, "bytes": 400_000}),
        ("plan", _plan, {"rows": 1_000_000}),
        ("kill", _kill, {"rounds": 20, "first": 0, "rows": 16, "steps": 4, "size": "64x64"}),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for option, value in defaults.items():
            command.add_argument(f"--{option}", type=type(value), default=value)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
