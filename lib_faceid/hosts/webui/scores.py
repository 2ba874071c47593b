"""The likenesses of a WebUI job's pictures: in each picture's metadata, and in the API's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_faceid.hosts.webui.settings import setting
from lib_faceid.likeness.meaning import LIKENESS_KEY, answer_of, infotext_of
from lib_faceid.likeness.score import PictureScore
from lib_faceid.likeness.watching import Watches

__all__ = ["WATCHES", "Scores", "begin_scores", "forget_scores", "is_scored", "scores_by_image", "scores_of"]

WATCHES = Watches()
"""The alarms of everybody, from one job to the next."""
_ASKED_FOR = "faceid_is_scored"  # of a job's `p`
PLOT = "X Type"  # stands in the metadata of a plot's grid, which is no picture of one cell


class Scores(dict[str, Any]):
    """One value of `p.extra_generation_params`, in both ways in which the WebUI reads those.

    For a picture's metadata it is called, as what differs from image to image is. In the JSON of the API's answer it is
    an object with the `pictures`, in the order in which they were drawn.
    """

    def __init__(self) -> None:
        super().__init__(pictures=[])
        self.by_image: dict[int, PictureScore] = {}
        """The last score of each image, counted from 0 through the job."""

    def begin(self) -> None:
        """Count pictures anew: scripts draw one job after the other with copies of one `p`, which share this."""
        self.by_image.clear()

    def add(self, image: int, seed: int | None, score: PictureScore) -> None:
        """Write down the score of an image, counted from 0 through the job."""
        self.by_image[image] = score
        self["pictures"].append({"image": image, "seed": seed, "text": infotext_of(score), **answer_of(score)})

    def __call__(
        self, p: Any, index: int = 0, use_main_prompt: bool = False, all_prompts: Sequence[str] = (), **_: Any
    ) -> str | None:
        """Return what an image's metadata say; None for a grid, and for an image that was not looked at (yet).

        While a batch is worked on, index counts from its first image, and afterwards through the job.
        """
        if use_main_prompt or PLOT in p.extra_generation_params:
            return None
        first = p.iteration * p.batch_size if all_prompts is p.prompts else 0
        score = self.by_image.get(first + index)
        return infotext_of(score) if score else None


def scores_of(p: Any) -> Scores:
    """Return the scores of the job of `p`, put among its parameters where they are not there yet."""
    found = p.extra_generation_params.get(LIKENESS_KEY)
    if not isinstance(found, Scores):
        found = p.extra_generation_params[LIKENESS_KEY] = Scores()
    return found


def scores_by_image(p: Any) -> Mapping[int, PictureScore]:
    """Return the scores of the job of `p` so far; none where its pictures are not looked at."""
    found = p.extra_generation_params.get(LIKENESS_KEY)
    return found.by_image if isinstance(found, Scores) else {}


def begin_scores(p: Any, *, is_asked_for: bool) -> None:
    """Make ready for the pictures of a job; is_asked_for: whether its request wants them to be looked at."""
    setattr(p, _ASKED_FOR, is_asked_for)
    forget_scores(p)


def forget_scores(p: Any) -> None:
    """Forget what was seen in the pictures of the jobs of `p` so far."""
    if isinstance(found := p.extra_generation_params.get(LIKENESS_KEY), Scores):
        found.begin()


def is_scored(p: Any) -> bool:
    """Say whether the pictures of the job of `p` are to be looked at: by its request, and by the settings."""
    return getattr(p, _ASKED_FOR, True) and setting("faceid_score")
