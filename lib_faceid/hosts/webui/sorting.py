"""The pictures of a finished job of the WebUI, the most alike first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_faceid.hosts.webui.scores import scores_by_image

__all__ = ["sort_gallery"]

NO_FACE = -2.0
BY_PICTURE = ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds")
UNSORTED = "FaceID: the gallery was not sorted by likeness: {}."


def sort_gallery(p: Any, processed: Any, say: Callable[[str], None]) -> None:
    """Sort the pictures of a job by their scores, with all that is known of each; a grid stays in front."""
    first = processed.index_of_first_image
    count = len(processed.images) - first
    if count < 2:
        return
    seen = scores_by_image(p)
    if not seen:
        say(UNSORTED.format("its pictures were not looked at"))
        return
    if count != len(processed.infotexts) - first:
        say(UNSORTED.format("there are masks or previews among its pictures"))
        return
    likenesses = {at: score.likeness for at, score in seen.items()}
    alike = [NO_FACE if (found := likenesses.get(at)) is None else found for at in range(count)]
    order = sorted(range(count), key=lambda at: -alike[at])
    for name, skipped in (("images", first), ("infotexts", first), *((name, 0) for name in BY_PICTURE)):
        values = list(getattr(processed, name))
        moved = [values[skipped + at] for at in order]
        setattr(processed, name, [*values[:skipped], *moved, *values[skipped + count :]])
    processed.seed, processed.subseed = processed.all_seeds[0], processed.all_subseeds[0]
    if not first:  # what is said of the first picture is said of the job
        processed.info = processed.infotexts[0]
