"""People who are written into AUTOMATIC1111's prompts: its text encoders, and rows that others may have moved."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from lib_faceid.effects.text import Writing
from lib_faceid.errors import HostError
from lib_faceid.hosts.webui.texts import conditioner_encoders, unnoted
from lib_faceid.hosts.webui.writing import UNKNOWN, written_cond
from lib_faceid.unet.rows import follow_images

__all__ = ["written"]


def written(p: Any, writing: Writing, params: Any, images: Sequence[int] | None) -> Any:
    """Return a step's conditioning with the people in it. Raises FaceIDError where they cannot be written.

    images: of the batch, whose the rows are where nobody has moved them; None where that is not known.
    """
    cond = written_cond(p, writing, params, _encoding)
    if images and 0 < max(images) < len(images) - 1 and follow_images(params.x, images) != images:
        raise HostError(UNKNOWN)  # Regional Prompter's latent mode sorts them by its regions
    return cond


@contextmanager
def _encoding() -> Generator[Sequence[Any]]:
    """Give the text encoders of the checkpoint."""
    encoders = conditioner_encoders()
    with unnoted(getattr(getattr(encoders[0], "hijack", None), "extra_generation_params", None)):
        yield encoders
