"""The best of several seeds in the WebUI: chosen in the first pass; the job then draws the chosen one as its own.

Candidates are drawn one at a time, each as the only image of a batch, so that the chosen one is the very picture that
its seed gives alone. What their UNet calls gave is kept (`tape.py`): the WebUI's own sampling of the chosen seed, with
all that scripts, hires fix and saving do to it, gets it from there and asks the UNet for nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from modules import prompt_parser, rng, sd_samplers_common, shared

from lib_faceid.errors import FaceIDError, HostError, UnitError
from lib_faceid.hosts.webui.job import WebUIJob, failing
from lib_faceid.hosts.webui.passes import decoded_pixels, pass_of
from lib_faceid.hosts.webui.replaced import replaced
from lib_faceid.hosts.webui.sampling import is_stopped
from lib_faceid.hosts.webui.tape import Recorder, Tape, record
from lib_faceid.jobs.expected import Judge
from lib_faceid.likeness.search import Look, Plan, Search, search
from lib_faceid.units.job_options import INFOTEXT_KEY, JobOptions

__all__ = ["JudgeOf", "Searching", "begin_search", "clear", "of_job"]

JudgeOf = Callable[[int], Judge]
"""Gives what says how alike a picture of that number in the job is to its people. Raises UnitError without any."""
_ATTRIBUTE = "faceid_searching"
ADAPTIVE = "DPM adaptive"
LATENT_NOISE = 2  # the WebUI's number of that masked content
ARGUMENTS = ("conditioning", "unconditional_conditioning", "seeds", "subseeds", "subseed_strength", "prompts")


class Searching:
    """A job whose pictures are the best of several seeds each."""

    def __init__(self, p: Any, options: JobOptions, judge_of: JudgeOf, say: Callable[[str], None]) -> None:
        self.p, self.options, self._judge_of, self._say = p, options, judge_of, say
        self._recorder: Recorder | None = None
        self._undo: Callable[[], None] = _nothing
        self._plain, self._undo_sample = p.sample, _nothing
        self._kept: dict[int, list[tuple[int, int, Tape]]] = {}
        """Image -> (seed, subseed, tape) of those that are kept and not drawn yet, the most alike first."""
        self._infotexts: dict[int, str] = {}
        """Seed that was tried -> what the metadata say."""

    def begin(self) -> None:
        """Take the place of `p.sample`, and of its batches where several pictures are kept."""
        if self.options.keep > 1:
            _repeat_batches(self.p, self.options.keep)
        setattr(self.p, _ATTRIBUTE, self)
        self._undo_sample = replaced(self.p, "sample", self._sample)

    def end(self) -> None:
        """Give `p` its own way of sampling back, unless another extension has put itself before this one."""
        self._end_recording()
        if getattr(self.p, "faceid_keep", 1) > 1:  # whoever draws another job with this `p` draws its own batches
            self.p.n_iter //= self.p.faceid_keep
            del self.p.faceid_keep
        self._undo_sample()

    def before_sampling(self) -> None:
        """Put the recorder before the sampler that is about to run, if it is one of the first pass."""
        self._undo()
        if self._recorder is not None and not getattr(self.p, "is_hr_pass", False):
            self._undo = record(self.p.sampler, self._recorder)

    def _sample(self, *args: Any, **named: Any) -> Any:
        """Stand for `p.sample`, where the WebUI listens to errors."""
        try:
            return self._best({**dict(zip(ARGUMENTS, args, strict=False)), **named})
        except FaceIDError as error:
            failing(error)()

    def _best(self, given: dict[str, Any]) -> Any:
        """Choose each image's seed; then have the WebUI draw them, its UNet calls of the first pass played."""
        p = self.p
        if getattr(p, "firstpass_image", None) is not None:  # an upscale of a picture that is there: nothing to choose
            return self._plain(**given)
        _refuse_what_cannot_be(p)
        first = pass_of(p).images.start
        tapes: list[Tape] = []
        for image in range(p.batch_size):
            if not p.iteration % self.options.keep:
                self._choose(image, first + image, given)
            tapes.append(self._take(image, first + image))
        p.rng = _rng(p)
        is_even = len({tape.calls for tape in tapes}) == 1
        self._recorder = Recorder(tapes if is_even else [Tape() for _ in tapes])  # uneven ones were interrupted
        return self._run({**given, "seeds": p.seeds, "subseeds": p.subseeds})

    def _choose(self, image: int, number: int, given: dict[str, Any]) -> None:
        """Search for the seeds of one image of the batch. number: the image's in the whole job."""
        p, options, judge = self.p, self.options, self._judge_of(number)
        steps, seeds = _steps(p), _seeds(p, image, number, options.best_of)
        looks_ahead = options.look_ahead and p.sampler_name != ADAPTIVE
        if looks_ahead != options.look_ahead:
            self._say(f"FaceID: {ADAPTIVE} decides on its steps by itself: every seed is drawn to its end.")
        tapes: dict[int, Tape] = {}

        def draw(numbers: Sequence[int], step: int) -> list[Look]:
            looks: list[Look] = []
            for one in numbers:
                tape = tapes.setdefault(one, Tape())
                calls_before = tape.calls
                with _alone(p, image, number, seeds[one]):
                    self._recorder = Recorder([tape], until=step / steps)
                    samples = self._run({**given, **_of_batch(p)})
                if is_stopped():
                    return looks
                seen = samples if step == steps or tape.estimate is None else tape.estimate[None]
                looks.append(Look(judge(decoded_pixels(p, seen)), tape.calls - calls_before))
            return looks

        plan = Plan(options.best_of, steps, options.keep, options.likeness_target, looks_ahead)
        found = search(plan, draw, lambda one: tapes.pop(one, None) and None, _show)
        self._kept[number] = [(*seeds[one], tapes[one]) for one in found.chosen]
        self._report(found, number, [subseed if p.subseed_strength else seed for seed, subseed in seeds])

    def _run(self, given: dict[str, Any]) -> Any:
        """Have the WebUI sample, with the recorder before its first pass."""
        try:
            return self._plain(**given)
        finally:
            self._end_recording()

    def _take(self, image: int, number: int) -> Tape:
        """Make the next one that is kept the image of the batch; return its calls."""
        p = self.p
        if not (kept := self._kept.get(number)):
            return Tape()  # interrupted before anything was seen
        p.seeds[image], p.subseeds[image], tape = kept.pop(0)
        at = p.iteration * p.batch_size + image
        p.all_seeds[at], p.all_subseeds[at] = p.seeds[image], p.subseeds[image]
        return tape

    def _end_recording(self) -> None:
        self._undo()
        self._recorder, self._undo = None, _nothing

    def _report(self, found: Search, number: int, seeds: Sequence[int]) -> None:
        p = self.p
        which = f" of image {number + 1}" if p.batch_size * p.n_iter > self.options.keep else ""
        self._say(f"FaceID: the best{which}: {found.sentence(seeds)}")
        for one in found.chosen:
            self._infotexts[seeds[one]] = found.infotext(seeds)
        p.extra_generation_params[INFOTEXT_KEY] = self._infotext
        shared.state.textinfo = None

    def _infotext(self, index: int, all_seeds: Sequence[int], all_subseeds: Sequence[int], **_: Any) -> str | None:
        """Return what the metadata of a picture say of its search, where the WebUI writes them."""
        return self._infotexts.get(all_subseeds[index] if self.p.subseed_strength else all_seeds[index])


def begin_search(
    p: Any, options: JobOptions, job_of: Callable[[], WebUIJob | None], say: Callable[[str], None]
) -> None:
    """Have the best of several seeds drawn, where the options say so. job_of: gives the job of `p` whenever asked."""

    def judge_of(image: int) -> Judge:
        if (job := job_of()) is None:
            raise UnitError(
                f"best_of is {options.best_of}, and no unit that is on draws a person to be alike to. Add a photo, or "
                "set best_of to 1."
            )
        return job.judge_of(image)

    p.extra_generation_params.pop(INFOTEXT_KEY, None)  # of the cell before: all jobs of a plot share these
    if options.searches:
        clear(p)
        Searching(p, options, judge_of, say).begin()


def of_job(p: Any) -> Searching | None:
    """Return the search that a job's `p` itself has; a copy of it has none."""
    found = getattr(p, _ATTRIBUTE, None)
    return found if found is not None and found.p is p else None


def clear(p: Any) -> None:
    """End the search of `p`, if it has one."""
    if (found := of_job(p)) is not None:
        found.end()
        setattr(p, _ATTRIBUTE, None)


def _refuse_what_cannot_be(p: Any) -> None:
    """Raise HostError for what would give another picture than the chosen seed does by itself."""
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        raise HostError("'Best of' cannot be used with a refiner, which changes the checkpoint within a pass. Set one "
                        "of the two to off.")  # fmt: skip
    if getattr(p, "image_mask", None) is not None and getattr(p, "inpainting_fill", 1) == LATENT_NOISE:
        raise HostError("'Best of' cannot be used with the masked content 'latent noise', which is made of the first "
                        "seed before any is tried. Choose 'original' or 'fill'.")  # fmt: skip


def _of_batch(p: Any) -> dict[str, Any]:
    """Return what sampling is given of the batch as it is set."""
    conds = {"conditioning": p.c, "unconditional_conditioning": p.uc}
    return {**conds, "seeds": p.seeds, "subseeds": p.subseeds, "prompts": p.prompts}


def _nothing() -> None:
    """Undo nothing."""


def _show(line: str) -> None:
    shared.state.textinfo = f"FaceID: {line}"


def _steps(p: Any) -> int:
    """Return the steps of the first pass, as far as they are known before it."""
    if getattr(p, "init_latent", None) is None:
        return max(p.steps, 1)
    return max(sd_samplers_common.setup_img2img_steps(p, None)[1] + 1, 1)


def _seeds(p: Any, image: int, number: int, count: int) -> list[tuple[int, int]]:
    """Return the (seed, subseed) of an image's candidates, its own first; no two images of a job share one."""
    first = number * (count - 1)
    seed, subseed = p.seeds[image], p.subseeds[image]
    if p.subseed_strength:
        return [(seed, subseed + first + at) for at in range(count)]
    return [(seed + first + at, subseed + first + at) for at in range(count)]


def _rng(p: Any) -> Any:
    return rng.ImageRNG(
        p.rng.shape, p.seeds, subseeds=p.subseeds, subseed_strength=p.subseed_strength,
        seed_resize_from_h=p.seed_resize_from_h, seed_resize_from_w=p.seed_resize_from_w,
    )  # fmt: skip


@contextmanager
def _alone(p: Any, image: int, number: int, seeds: tuple[int, int]) -> Generator[None]:
    """Have `p` draw one image of its batch by itself, its first pass only, with that seed and subseed."""
    one, (seed, subseed) = slice(image, image + 1), seeds
    all_seeds = list(p.all_seeds)
    all_seeds[p.iteration] = seed  # where samplers with noise of their own look it up, for batches of one
    now: dict[str, Any] = {
        "faceid_image": number,
        "batch_size": 1,
        "prompts": p.prompts[one],
        "negative_prompts": p.negative_prompts[one],
        "seeds": [seed],
        "subseeds": [subseed],
        "all_seeds": all_seeds,
        "c": prompt_parser.MulticondLearnedConditioning(shape=(1,), batch=p.c.batch[one]),
        "uc": p.uc[one],
    }
    if hasattr(p, "enable_hr"):
        now["enable_hr"] = False
    for name in ("init_latent", "image_conditioning"):
        value = getattr(p, name, None)
        if value is not None and len(value) == p.batch_size:
            now[name] = value[one]
    before = {name: getattr(p, name, None) for name in (*now, "rng")}
    try:
        for name, value in now.items():
            setattr(p, name, value)
        p.rng = _rng(p)
        yield
    finally:
        for name, value in before.items():
            setattr(p, name, value)


def _repeat_batches(p: Any, times: int) -> None:
    """Have each batch of `p` that many times, one after the other."""
    size = p.batch_size
    for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds", "all_hr_prompts",
                 "all_hr_negative_prompts"):  # fmt: skip
        if values := getattr(p, name, None):
            batches = [values[at : at + size] for at in range(0, len(values), size)]
            setattr(p, name, [one for batch in batches for _ in range(times) for one in batch])
    p.n_iter *= times
    p.faceid_keep = times
