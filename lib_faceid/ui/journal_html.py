"""Runs of the journal as HTML and SVG. Whatever a prompt, a name or a note holds is text here, and nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from lib_faceid.journal.compare import Compared, Difference
from lib_faceid.journal.journal import Point
from lib_faceid.journal.lineage import Step
from lib_faceid.journal.run import Drawn, Run, task_id
from lib_faceid.journal.shown import diagnosis_lines, score_text, when_text
from lib_faceid.ui.parts import data_url

__all__ = ["compare_html", "curve_html", "differences_html", "run_html", "thumbnails_html", "tree_html"]

Small = Mapping[int, bytes]
NONE: Small = MappingProxyType({})

PICTURE_PX = 256
MAX_PICTURES = 8
WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 640, 160, 34, 20, 8  # of the curve, in pixels


def run_html(run: Run, small: Small = NONE) -> str:
    """Return everything about a run. small: the pictures that were kept with it, by their numbers."""
    entries = [
        ("When", when_text(run.time)),
        ("Likeness", f"{score_text(run.likeness)}, best {score_text(run.best)}"),
        ("People", ", ".join(run.people)),
        ("Made from", f"{task_id(run.parent)}: {run.tried}" if run.parent else ""),
        ("Checkpoint", f"{run.checkpoint} {run.checkpoint_sha256[:10]}"),
        ("Tags", ", ".join(run.tags)),
        ("Note", run.note),
        ("Diagnosis", "\n".join(diagnosis_lines(run.diagnosis))),
    ]
    rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in entries if value.strip())
    return (
        f"<h3>{run.id}</h3>{_pictures(run, small)}<table>{rows}</table>"
        f'<pre class="faceid-parameters">{escape(run.infotext())}</pre>'
    )


def compare_html(first: Run, second: Run, found: Compared, small: tuple[Small, Small] = (NONE, NONE)) -> str:
    """Return two runs beside each other: their pictures, and what differs. small: the kept pictures of each."""
    nothing = "<p>Nothing that the journal knows of differs.</p>" if not (found.settings or found.scores) else ""
    both = zip((first, second), small, strict=True)
    sides = "".join(f"<div><h3>{run.id}</h3>{_pictures(run, kept)}</div>" for run, kept in both)
    table = nothing or differences_html((first.id, second.id), [*found.settings, *found.scores])
    return f'<div class="faceid-sides">{sides}</div>{table}'


def differences_html(names: tuple[str, str], found: Iterable[Difference]) -> str:
    """Return a table of what differs between two things of these names."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><tr><th></th>{head}</tr>{''.join(map(_difference, found))}</table>"


def tree_html(steps: Sequence[Step], chosen: str) -> str:
    """Return the tree of runs: what was changed, and what became of the likeness, each with a bar."""
    return f'<ul class="faceid-tree">{"".join(_step(step, step.id == chosen) for step in steps)}</ul>'


def curve_html(person: str, points: Sequence[Point]) -> str:
    """Return a person's likeness over the runs as a line, and the same in words for who cannot see."""
    if not points:
        return "<p>There is no run with a likeness of that person.</p>"
    lowest, highest = min(0.0, *(one.likeness for one in points)), max(1.0, *(one.likeness for one in points))
    step, scale = (WIDTH - LEFT - 8) / max(len(points) - 1, 1), (HEIGHT - ABOVE - BELOW) / (highest - lowest)
    places = [(LEFT + at * step, ABOVE + (highest - one.likeness) * scale) for at, one in enumerate(points)]
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{one.id}: {one.likeness:.3f}</title></circle>'
        for (x, y), one in zip(places, points, strict=True)
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(_mark(value, ABOVE + (highest - value) * scale) for value in (0.0, 0.5, 1.0))
    values = [one.likeness for one in points]
    mean = sum(values) / len(values)
    words = (
        f"Likeness of {person} in {len(points)} runs, from {points[0].id} to {points[-1].id}: first {values[0]:.3f}, "
        f"last {values[-1]:.3f}, mean {mean:.3f}, lowest {min(values):.3f}, highest {max(values):.3f}."
    )
    return (
        f'<figure class="faceid-curve"><svg role="img" aria-label="{escape(words, quote=True)}" viewBox="0 0 {WIDTH} '
        f'{HEIGHT}" width="{WIDTH}" height="{HEIGHT}">{marks}<polyline points="{line}" />{dots}</svg>'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def _mark(value: float, y: float) -> str:
    return (
        f'<text x="{LEFT - 6}" y="{y + 3:.1f}">{value:g}</text>'
        f'<line x1="{LEFT - 2}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" />'
    )


def _step(step: Step, is_chosen: bool) -> str:
    change = "" if step.change is None else f" ({step.change:+.3f})"
    width = round(100 * min(max(step.likeness or 0.0, 0.0), 1.0))
    mark = ' class="faceid-chosen" aria-current="true"' if is_chosen else ""
    return (
        f'<li{mark} style="margin-left: {min(step.depth, 20) * 1.5}em"><b>{step.id}</b> '
        f'<span class="faceid-like"><span style="width: {width}%"></span></span> '
        f"{score_text(step.likeness)}{change} {escape(step.tried)}</li>"
    )


def _difference(one: Difference) -> str:
    cells = "".join(f"<td>{escape('-' if value is None else str(value))}</td>" for value in (one.first, one.second))
    return f"<tr><th>{escape(one.name)}</th>{cells}</tr>"


def thumbnails_html(pages: Iterable[tuple[str, str]], small: Mapping[str, bytes]) -> str:
    """Return the kept pictures of a page of the list, each with its run. pages: run and likeness, in their order."""
    shown = "".join(
        f'<figure><img src="{_jpeg(small[run])}" alt="{run}"><figcaption>{run} {escape(likeness)}</figcaption></figure>'
        for run, likeness in pages
        if run in small
    )
    return f'<div class="faceid-shown faceid-small">{shown}</div>' if shown else ""


def _pictures(run: Run, small: Small) -> str:
    shown = "".join(_picture(one, small.get(at)) for at, one in enumerate(run.pictures[:MAX_PICTURES]))
    left = len(run.pictures) - MAX_PICTURES
    return f'<div class="faceid-shown">{shown}</div>' + (f"<p>and {left} more</p>" if left > 0 else "")


def _picture(one: Drawn, small: bytes | None) -> str:
    """Return one picture with its score: of its file, else the small one that was kept."""
    caption = f"seed {one.seed}, {score_text(one.likeness)}"
    source = _source(one.path) or (_jpeg(small) if small else "")
    picture = f'<img src="{source}" alt="{caption}">' if source else f"<div>{_why_not(one)}</div>"
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _why_not(one: Drawn) -> str:
    return "its file is gone" if one.path else "it was not saved"


def _jpeg(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def _source(path: str) -> str:
    if not path or not Path(path).is_file():
        return ""
    try:
        with Image.open(path) as image:
            image.thumbnail((PICTURE_PX, PICTURE_PX))
            return data_url(image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
