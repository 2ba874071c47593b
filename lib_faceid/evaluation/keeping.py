"""What is kept of a report, for the page that says which adapter to take."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.evaluation.tables import Report
from lib_faceid.inventory.measured import Measurement
from lib_faceid.inventory.which import FIGURES

__all__ = ["measurement_of"]


def measurement_of(report: Report, day: str) -> Measurement:
    """Return the figures of each adapter that stand in the page's table. day: of today, as 2026-11-26."""
    plan = report.plan
    own = ", which also conditions, and so is too kind" if report.is_own_judge else ""
    counts = f"{len(plan.people)} people x {len(plan.prompts)} prompts x {len(plan.seeds)} seeds"
    about = (
        f"{day}, {counts}, {plan.steps} steps, CFG {plan.cfg:g}, weight {plan.weight:g}; judged by {report.judge}{own}"
    )
    figures: dict[str, dict[str, float]] = {}
    for one in report.figures:
        values = one.as_dict()
        figures[Path(one.adapter).name] = {name: values[name] for name in FIGURES if values.get(name) is not None}
    return Measurement(Path(plan.checkpoint).stem, about, figures)
