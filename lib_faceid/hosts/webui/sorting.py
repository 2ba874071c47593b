"""The pictures of a finished job of the WebUI, the most alike first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from modules import images

from lib_faceid.hosts.webui.passes import Pixels

__all__ = ["sort_gallery"]

NO_FACE = -2.0
BY_PICTURE = ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds")


def sort_gallery(
    p: Any, processed: Any, judge_of: Callable[[int], Callable[[Pixels], float | None]], say: Callable[[str], None]
) -> None:
    """Sort the pictures of a job, with all that is known of each; a grid stays in front.

    judge_of: gives what says how alike a picture of that number in the job is. Raises FaceIDError where nobody is.
    """
    first = processed.index_of_first_image
    count = len(processed.images) - first
    if count < 2:
        return
    if count != len(processed.infotexts) - first:
        say("FaceID: the gallery was not sorted by likeness: there are masks or previews among its pictures.")
        return
    batch = p.batch_size * getattr(p, "faceid_keep", 1)
    numbers = [at // batch * p.batch_size + at % p.batch_size for at in range(count)]
    pictures = [np.asarray(images.flatten(one, "#ffffff")) for one in processed.images[first:]]
    seen = [judge_of(number)(picture) for number, picture in zip(numbers, pictures, strict=True)]
    alike = [NO_FACE if one is None else one for one in seen]
    order = sorted(range(count), key=lambda at: -alike[at])
    for name, skipped in (("images", first), ("infotexts", first), *((name, 0) for name in BY_PICTURE)):
        values = list(getattr(processed, name))
        sorted_part = [values[skipped + at] for at in order]
        setattr(processed, name, [*values[:skipped], *sorted_part, *values[skipped + count :]])
    if not first:  # what is said of the first picture is said of the job
        processed.info = processed.infotexts[0]
    processed.seed, processed.subseed = processed.all_seeds[0], processed.all_subseeds[0]
