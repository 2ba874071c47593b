"""`python -m tests.soak`, which `python dev.py soak` runs: many jobs in a live WebUI, and what they leave behind.

FACEID_WEBUI_DIR names a WebUI v1.10.1, FACEID_TEST_DATA the photos and face models of the tests. The exit status is 1
where a job answered otherwise than expected, or where anything is left behind.
"""

from __future__ import annotations

import argparse
import base64
import collections
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.jobs import PEOPLE, SoakJob, random_jobs
from tests.webui.folder import write_data_folder
from tests.webui.server import Answer, Server

__all__ = ["left_behind", "main"]

PHOTOS = ("astronaut.png", "Chris.jpeg", "Paul.jpeg", "Luciano.png")
PLAIN = {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
NOTHING = {"hooks": 0, "networks": []}
MAX_GROWTH_MIB = 100
"""From the first quarter of the jobs to the end. The WebUI by itself, given the same jobs (--plain), grows as well."""
SAMPLES = 20


@dataclass
class Soak:
    """What came of the jobs so far."""

    server: Server
    wrong: list[str] = field(default_factory=list[str])
    counts: collections.Counter[str] = field(default_factory=collections.Counter[str])
    samples: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])

    def draw(self, number: int, job: SoakJob) -> None:
        """Send a job, and note an answer that was not expected."""
        send = self.server.img2img if job.is_img2img else self.server.txt2img
        timer = threading.Timer(job.after_s, self.server.post, (f"/sdapi/v1/{job.ends_with}", {}))
        if job.ends_with:
            timer.start()
        answer = send(*job.units, **job.settings)
        if job.ends_with:
            timer.join()
        self.counts[f"{job.kind} ({answer.status})"] += 1
        if why := _trouble(job, answer):
            self.wrong.append(f"job {number} ({job.kind}): {why}")
            print(self.wrong[-1], flush=True)

    def sample(self, number: int) -> None:
        """Note what the WebUI's process holds now."""
        found = self.server.get("/faceid-probe/resources")
        self.samples.append((number, found))
        print(number, found, flush=True)
        if (left := self.server.left_in_the_unet()) != NOTHING:
            self.wrong.append(f"after job {number}: {left} is left in the UNet")


def _trouble(job: SoakJob, answer: Answer) -> str:
    """Return what was not expected of an answer; empty where all is well."""
    if answer.status != job.status:
        return f"status {answer.status}, expected {job.status}: {answer.sentence[:300]}"
    if job.status != 500 and "Traceback" in answer.log:
        return f"the log has a traceback: ...{answer.log[-600:]}"
    return ""


def main(argv: list[str]) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python dev.py soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same jobs (%(default)s)")
    parser.add_argument("--minutes", type=float, default=180, help="end after so long (%(default)s)")
    parser.add_argument("--plain", action="store_true", help="without any unit: what the WebUI itself does")
    options = parser.parse_args(argv)
    webui, test_data = os.environ.get("FACEID_WEBUI_DIR"), os.environ.get("FACEID_TEST_DATA")
    if not webui or not test_data:
        parser.error("FACEID_WEBUI_DIR must name a WebUI v1.10.1, and FACEID_TEST_DATA the tests' photos and models")
    with tempfile.TemporaryDirectory(prefix="faceid-soak-", ignore_cleanup_errors=True) as folder:
        data, temporary = Path(folder) / "data", Path(folder) / "tmp"
        temporary.mkdir()
        write_data_folder(data, Path(test_data))
        server = Server(Path(webui), data, environment={"TMPDIR": str(temporary), "TEMP": str(temporary)})
        server.start("--ckpt", str(data / "models" / "Stable-diffusion" / "mini_sd15.safetensors"))
        try:
            photos = [_base64(Path(test_data) / "photos" / name) for name in PHOTOS]
            jobs = random_jobs(options.jobs, options.seed, photos)
            if options.plain:
                jobs = [_without_units(job) for job in jobs]
            return _run(Soak(server), jobs, photos, options.minutes * 60)
        finally:
            server.stop()


def _run(soak: Soak, jobs: list[SoakJob], photos: list[str], limit_s: float) -> int:
    began = time.monotonic()
    for name, photo in zip(PEOPLE, photos, strict=False):
        saved = soak.server.post("/ip-adapter-faceid/faces", {"name": name, "images": [photo]})
        assert saved.status == 200, saved.body
    first = soak.server.txt2img(**PLAIN).png
    soak.sample(0)
    every = max(len(jobs) // SAMPLES, 1)
    for number, job in enumerate(jobs, 1):
        soak.draw(number, job)
        is_last = number == len(jobs) or time.monotonic() - began > limit_s
        if number % every == 0 or is_last:
            soak.sample(number)
        if is_last:
            break
    if soak.server.txt2img(**PLAIN).png != first:
        soak.wrong.append("the plain picture is another file than before the jobs")
    soak.wrong += left_behind(soak.samples)
    print(report(soak, time.monotonic() - began), flush=True)
    return 1 if soak.wrong else 0


def _without_units(job: SoakJob) -> SoakJob:
    settings = {name: value for name, value in job.settings.items() if name not in ("prompt", "probe")}
    return SoakJob(job.kind, [], settings, 200, job.is_img2img, job.ends_with, job.after_s)


def left_behind(samples: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """Return what grew between the first quarter of the jobs and the end."""
    (_, early), (_, last) = samples[max(len(samples) // 4, 1)], samples[-1]
    wrong = [
        f"{name}: {early[name]} became {last[name]}" for name in ("handles", "threads") if last[name] > early[name] + 4
    ]
    if last["temporary_files"] > early["temporary_files"]:
        wrong.append(f"temporary files: {early['temporary_files']} became {last['temporary_files']}")
    if last["memory_mib"] > early["memory_mib"] + MAX_GROWTH_MIB:
        wrong.append(f"memory: {early['memory_mib']} MiB became {last['memory_mib']} MiB")
    wrong += [
        f"{last['objects'][name]} objects {name} are alive"
        for name in ("WebUIJob", "Injection")
        if last["objects"][name]
    ]
    return wrong


def report(soak: Soak, seconds: float) -> str:
    """Return the figures, as a table of Markdown."""
    columns = ("jobs so far", "memory, MiB", "handles", "threads", "temporary files", "jobs of ours alive")
    lines = ["", _row(columns), _row(["---"] * len(columns))]
    for number, one in soak.samples:
        figures = [one[name] for name in ("memory_mib", "handles", "threads", "temporary_files")]
        lines.append(_row((number, *figures, one["objects"]["WebUIJob"] + one["objects"]["Injection"])))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(soak.counts.items()))
    closing = f"{len(soak.wrong)} things were not as expected." if soak.wrong else "Nothing is left behind."
    return "\n".join([*lines, "", f"{kinds}; {seconds / 60:.0f} minutes.", *soak.wrong, closing])


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
