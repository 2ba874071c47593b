"""The scores of the pictures on our own page, as the page's script reads them to show the strip under the gallery."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from lib_faceid.app.session import GeneratedImage
from lib_faceid.likeness.meaning import LIKENESS_KEY, answer_of, infotext_of

__all__ = ["can_be_sorted", "most_alike_first", "scores_html"]

NO_FACE = -2.0


def can_be_sorted(generated: Sequence[GeneratedImage]) -> bool:
    """Return whether there is more than one picture whose people were looked at."""
    return sum(one.score is not None for one in generated) > 1


def most_alike_first(generated: Sequence[GeneratedImage]) -> tuple[GeneratedImage, ...]:
    """Return the pictures by likeness, those without one last; equals stay in the order of drawing."""

    def likeness(one: GeneratedImage) -> float:
        return NO_FACE if one.score is None or one.score.likeness is None else one.score.likeness

    return tuple(sorted(generated, key=likeness, reverse=True))


def scores_html(tab: str, generated: Sequence[GeneratedImage]) -> str:
    """Return an element that is not seen, with what the WebUI's own page holds of its pictures: `Processed.js()`."""
    scores = [one.score for one in generated if one.score is not None]
    pictures = [{"text": infotext_of(score), **answer_of(score)} for score in scores]
    info = {
        "infotexts": [one.parameters for one in generated],
        "extra_generation_params": {LIKENESS_KEY: {"pictures": pictures}},
    }
    return f'<div id="faceid_scores_{tab}" hidden><span data-info="{escape(json.dumps(info))}"></span></div>'
