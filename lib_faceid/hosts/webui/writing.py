"""People who are written into a WebUI's prompts: which text each row of a step's conditioning is of, and its rows
with the people in them. In a step in which nobody acts, the row is that of the text without trigger words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from modules import prompt_parser, sd_samplers, shared
from torch import Tensor

from lib_faceid.effects.text import Writing
from lib_faceid.errors import HostError
from lib_faceid.hosts.webui.passes import is_hires_pass
from lib_faceid.hosts.webui.sampling import say
from lib_faceid.hosts.webui.texts import Encoded, Encoding, encode, encode_plain
from lib_faceid.units.trigger import Line, lines_of, refuse_negative

__all__ = ["UNKNOWN", "written_cond"]

UNKNOWN = (
    "It cannot be told which prompt each row of this step belongs to, so nobody can be written into it: another "
    "extension has changed them. Switch extensions that change prompts off one by one."
)


class _Part(NamedTuple):
    """What a part of a prompt, between its ANDs, is up to a call of the denoiser."""

    end: int
    own: str
    """The text as it stands in the prompt, which the WebUI has encoded."""
    line: Line


Schedule = Sequence[_Part]


def written_cond(p: Any, writing: Writing, params: Any, encoding: Encoding) -> Any:
    """Return a step's conditioning with the people in it. Raises FaceIDError where they cannot be written.

    Its rows are those of the batch's images, one image after the other, in the order of the parts between ANDs.
    """
    lines = _lines(p, writing)
    cond = params.text_cond
    images = [image for image, parts in enumerate(lines) for _ in parts]
    if len(images) != len(cond["crossattn"]):
        raise HostError(UNKNOWN)
    at = params.denoiser.step
    rows = [
        _row(p, writing, _at(schedule, at), image, encoding) for image, parts in enumerate(lines) for schedule in parts
    ]
    writing.calls += any(is_written for _, is_written in rows)
    return _stacked(cond, [row for row, _ in rows])


def _lines(p: Any, writing: Writing) -> list[list[Schedule]]:
    """Return what each image's prompt is between its ANDs, in turn while it is drawn; made once for a pass."""
    is_hires = is_hires_pass(p)
    prompts, negatives = (getattr(p, f"{'hr_' if is_hires else ''}{name}") for name in ("prompts", "negative_prompts"))
    key = ("lines", is_hires, tuple(prompts), tuple(negatives))
    if key not in writing.kept:
        refuse_negative(negatives, writing.trigger)
        steps = p.firstpass_steps, _hires_steps(p) if is_hires else None
        of_prompts = {prompt: _lines_of_prompt(p, writing, prompt, steps) for prompt in dict.fromkeys(prompts)}
        found = [of_prompts[prompt] for prompt in prompts]
        conds = p.hr_c if is_hires else p.c
        ends = [[[one.end_at_step for one in part.schedules] for part in parts] for parts in conds.batch]
        if [[[part.end for part in schedule] for schedule in parts] for parts in found] != ends:
            raise HostError(UNKNOWN)
        writing.kept[key] = found
    return writing.kept[key]


def _lines_of_prompt(p: Any, writing: Writing, prompt: str, steps: tuple[int, int | None]) -> list[Schedule]:
    """Return the same for one prompt, by the WebUI's own reading of it."""
    (parts,), texts, _ = prompt_parser.get_multicond_prompt_list(prompt_parser.SdConditioning([prompt]))
    schedules = prompt_parser.get_learned_conditioning_prompt_schedules(
        [texts[index] for index, _ in parts], *steps, *_timelines()
    )
    lines, note = lines_of([[text for _, text in one] for one in schedules], writing.trigger, len(writing.people))
    if note:
        say(p, f"FaceID: {note}")
    return [
        [_Part(end, own, line) for (end, own), line in zip(schedule, of_part, strict=True)]
        for schedule, of_part in zip(schedules, lines, strict=True)
    ]


def _timelines() -> tuple[bool, ...]:
    """Return whether prompts are read with the old timelines, which Forge Neo has no more."""
    is_old = getattr(shared.opts, "use_old_scheduling", None)
    return () if is_old is None else (is_old,)


def _hires_steps(p: Any) -> int:
    steps = p.hr_second_pass_steps or p.steps
    config = sd_samplers.find_sampler_config(p.hr_sampler_name or p.sampler_name)
    return config.total_steps(steps) if config else steps


def _at(schedule: Schedule, call: int) -> _Part:
    """Return what is drawn at a call of the denoiser, as the WebUI chooses it."""
    return next((part for part in schedule if call <= part.end), schedule[0])


def _row(
    p: Any, writing: Writing, part: _Part, image: int, encoding: Encoding
) -> tuple[Mapping[str, Tensor] | None, bool]:
    """Return a row's conditioning, and whether somebody is in it; None for one that is the WebUI's own."""
    drawn = part.line.drawn(writing.trigger, writing.weights)
    texts = partial(_texts, p)
    if not drawn.people:
        if drawn.text == part.own:
            return None, False
        if drawn.text not in writing.kept:
            with encoding():
                writing.kept[drawn.text] = encode_plain(texts, drawn.text)
        return writing.kept[drawn.text], False
    key = drawn, image if writing.differs_by_image else 0
    if key not in writing.kept:
        with encoding() as encoders:
            writing.kept[key] = encode(encoders, texts, drawn, writing, image)
    found: Encoded = writing.kept[key]
    return {**found.cond, "crossattn": writing.written(found.cond["crossattn"], found.changes)}, True


def _texts(p: Any, texts: Sequence[str]) -> Any:
    """Return texts as the WebUI gives them to its encoders, with the size of the pass's pictures."""
    is_hires = is_hires_pass(p)
    width, height = (p.hr_upscale_to_x, p.hr_upscale_to_y) if is_hires else (p.width, p.height)
    return prompt_parser.SdConditioning(list(texts), width=width, height=height)


def _stacked(cond: Any, rows: Sequence[Mapping[str, Tensor] | None]) -> Any:
    """Return the conditioning with these rows in place of its own, in its own class; None leaves one as it is."""
    made = type(cond)(cond)
    for name, own in cond.items():
        parts = [own[at] if row is None else row[name].to(own) for at, row in enumerate(rows)]
        if name == "crossattn":  # of one length, as the WebUI has them: by their last token
            length = max(len(part) for part in parts)
            parts = [torch.cat([part, part[-1:].expand(length - len(part), -1)]) for part in parts]
        made[name] = torch.stack(parts)
    return made
