"""The report of an evaluation: Markdown to read, JSON to compare, and a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from lib_faceid.evaluation.plan import Plan
from lib_faceid.evaluation.summary import Figures, People

__all__ = ["Report", "as_dict", "as_markdown", "as_svg", "differences"]

COLUMNS = (
    ("face", "face similarity", ".3f"), ("face_median", "median", ".3f"), ("face_lowest", "lowest", ".3f"),
    ("rank_1", "rank 1", ".2f"), ("not_found", "no face", ".2f"), ("share", "between strangers and own photos", ".0%"),
    ("variety", "two seeds", ".3f"), ("truth", "to the truth", ".3f"), ("copy_paste", "copy-paste", ".3f"),
    ("clip_text", "CLIP-T", ".2f"), ("clip_photo", "CLIP-I photo", ".3f"), ("clip_plain", "CLIP-I without", ".3f"),
    ("seconds", "seconds", ".2f"), ("memory_mib", "MiB", "d"),
)  # fmt: skip
ROW_PX, LEFT_PX, WIDTH_PX, TOP_PX = 34, 230, 760, 46


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    plan: Plan
    people: People
    figures: tuple[Figures, ...]
    """The checkpoint alone first."""
    judge: str
    conditioned_by: tuple[str, ...]
    """The recognisers that the references were made with."""
    towers: str = ""
    """The CLIP that matched; "" where none is here."""

    @property
    def is_own_judge(self) -> bool:
        """Whether the judge is the recogniser that conditions: it marks its own work."""
        return self.judge in self.conditioned_by


def differences(report: Report) -> list[str]:
    """Return what is not as in the paper of the protocol, a sentence each; and who judged."""
    protocol, plan = report.plan.protocol, report.plan
    notes = [f"Judged by {report.judge}, {_about_judge(report)}."]
    compared = (
        ("People", protocol.people, len(plan.people)),
        ("Pictures for each person and prompt", protocol.images, len(plan.seeds)),
        ("Prompts from a file", protocol.file_prompts, len(plan.prompts) - len(protocol.prompts)),
        ("Steps", protocol.steps, plan.steps),
    )
    notes += [
        f"{what}: {there} in the protocol, {here} here." for what, there, here in compared if there not in (None, here)
    ]
    if protocol.judge and protocol.judge_word not in report.judge.lower():
        notes.append(
            f"The protocol's judge is {protocol.judge}: similarities of another one cannot be compared with its."
        )
    if protocol.base:
        notes.append(f"The protocol's base model is {protocol.base}; here it is {Path(plan.checkpoint).name}.")
    if not report.towers:
        notes.append("No CLIP with both towers is on this machine (models/clip): CLIP-T and CLIP-I were not measured.")
    elif protocol.towers and protocol.towers.lower() not in report.towers.lower():
        notes.append(f"The protocol's CLIP is {protocol.towers}; here it is {report.towers}.")
    return [*notes, *([protocol.notes] if protocol.notes else [])]


def _about_judge(report: Report) -> str:
    if report.is_own_judge:
        return "which is also what the pictures were conditioned by: it marks its own work, and is too kind"
    return f"another recogniser than the one that conditions ({', '.join(report.conditioned_by) or 'none'})"


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report as plain values, for JSON."""
    plan = report.plan
    return {
        "plan": {
            **plan.settings,
            "people": [subject.name for subject in plan.people],
            "prompts": list(plan.prompts),
            "seeds": list(plan.seeds),
            "adapters": list(plan.adapters),
        },
        "judge": report.judge,
        "conditioned_by": list(report.conditioned_by),
        "towers": report.towers,
        "notes": differences(report),
        "own_photos": list(report.people.own),
        "strangers": list(report.people.strangers),
        "figures": [one.as_dict() for one in report.figures],
        "published": {name: dict(values) for name, values in plan.protocol.published.items()},
    }


def as_markdown(report: Report) -> str:
    """Return the table side by side, published figures below, and what differs from the protocol."""
    plan = report.plan
    rows = [(_name(one.adapter), _values(one)) for one in report.figures]
    published = [(f"*{name}, published*", dict(values)) for name, values in plan.protocol.published.items()]
    every = [values for _, values in (*rows, *published)]
    there = [column for column in COLUMNS if any(values.get(column[0]) is not None for values in every)]
    lines = [
        f"# {plan.protocol.id}: {plan.protocol.source}",
        "",
        _conditions(plan),
        "",
        f"| | {' | '.join(label for _, label, _ in there)} |",
        f"|---|{'---|' * len(there)}",
        *(_line(name, values, there) for name, values in (*rows, *published)),
        "",
        _calibration(report.people),
        "",
        *(f"- {line}" for line in differences(report)),
    ]
    return "\n".join(lines) + "\n"


def _conditions(plan: Plan) -> str:
    counts = f"{len(plan.people)} people, {len(plan.prompts)} prompts, {len(plan.seeds)} seeds"
    how = f"{plan.steps} steps, CFG {plan.cfg:g}, weight {plan.weight:g}, LoRA {plan.lora:g}"
    return f"{counts}; {Path(plan.checkpoint).name}, {how}."


def _values(one: Figures) -> dict[str, Any]:
    return {**one.as_dict(), "share": one.place and one.place.share}


def _line(name: str, values: Mapping[str, Any], columns: Sequence[tuple[str, str, str]]) -> str:
    cells = ["" if values.get(key) is None else format(values[key], digits) for key, _, digits in columns]
    return f"| {name} | {' | '.join(cells)} |"


def _name(adapter: str) -> str:
    return Path(adapter).name.replace("|", "\\|") if adapter else "the checkpoint alone"


def _calibration(people: People) -> str:
    own, strangers = people.own, people.strangers
    ours = f"photos of one person {min(own):.3f} to {max(own):.3f}" if own else "no person has a second photo"
    theirs = f"of two people {min(strangers):.3f} to {max(strangers):.3f}" if strangers else "there is one person only"
    return f"By the same judge: {ours}; {theirs}."


def as_svg(report: Report) -> str:
    """Return a plot: the similarity of each adapter, between strangers (grey) and the people's own photos (green)."""
    rows = [one for one in report.figures if one.face is not None]
    height = TOP_PX + ROW_PX * max(len(rows), 1) + 30
    scale = WIDTH_PX - LEFT_PX - 30
    x = lambda value: LEFT_PX + scale * min(max(value, 0.0), 1.0)  # noqa: E731
    bars = [_band(values, colour, x, height) for values, colour in _bands(report.people) if values]
    bars += [_bar(one, TOP_PX + ROW_PX * at + 9, x) for at, one in enumerate(rows)]
    ticks = [_text(x(tenth / 10), height - 8, f"{tenth / 10:g}", "middle") for tenth in range(0, 11, 2)]
    title = f"Face similarity by {report.judge} (line: from the lowest; grey: strangers, green: own photos)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/><text x="10" y="20">{escape(title)}</text>'
        f"{''.join(bars)}{''.join(ticks)}</svg>\n"
    )


def _bands(people: People) -> tuple[tuple[Sequence[float], str], ...]:
    return ((people.strangers, "#bbbbbb"), (people.own, "#bfe3c5"))


def _band(values: Sequence[float], colour: str, x: Callable[[float], float], height: int) -> str:
    """Return the rectangle from the lowest to the highest value."""
    left, wide = x(min(values)), max(x(max(values)) - x(min(values)), 2)
    size = f'width="{wide:.1f}" height="{height - TOP_PX - 22}"'
    return f'<rect x="{left:.1f}" y="{TOP_PX - 8}" {size} fill="{colour}" fill-opacity="0.7"/>'


def _bar(one: Figures, y: int, x: Callable[[float], float]) -> str:
    """Return an adapter's line from the lowest to the mean, with the mean as a dot and a number."""
    low, middle = x(one.face_lowest or 0), x(one.face or 0)
    return (
        f'<line x1="{low:.1f}" y1="{y}" x2="{middle:.1f}" y2="{y}" stroke="#1b6ac9" stroke-width="3"/>'
        f'<circle cx="{middle:.1f}" cy="{y}" r="6" fill="#1b6ac9"/>'
        + _text(LEFT_PX - 10, y + 5, _name(one.adapter)[-32:], "end")
        + _text(middle + 10, y + 5, f"{one.face or 0:.3f}", "start")
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
