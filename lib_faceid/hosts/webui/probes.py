"""The pictures that a search draws before its job, each a job of its own: not saved, not scored, not recorded."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from lib_faceid.units.job_options import JobOptions

__all__ = ["aims", "as_probe", "is_probe", "options_for", "set_aimed"]

_ATTRIBUTE = "faceid_aims"  # of a job's `p`: "job" or "probe"


def set_aimed(p: Any) -> None:
    """Have a job known as one whose setting is searched for: it is one picture of one seed."""
    setattr(p, _ATTRIBUTE, "job")
    p.n_iter = p.batch_size = 1


def as_probe(p: Any) -> Any:
    """Return a copy of a job that has not begun, which shares nothing that is written into."""
    probe = copy(p)
    setattr(probe, _ATTRIBUTE, "probe")
    probe.extra_generation_params, probe.comments = dict(p.extra_generation_params), {}
    probe.override_settings = dict(p.override_settings)
    probe.do_not_save_samples = probe.do_not_save_grid = True
    return probe


def is_probe(p: Any) -> bool:
    """Say whether it draws one of those pictures."""
    return getattr(p, _ATTRIBUTE, "") == "probe"


def aims(p: Any) -> bool:
    """Say whether it draws one of those pictures, or the one that was found."""
    return hasattr(p, _ATTRIBUTE)


def options_for(p: Any, options: JobOptions) -> JobOptions:
    """Return a job's options; of a search for a setting all pictures have one seed, and whoever searches looks."""
    if not aims(p):
        return options
    return replace(options, best_of=1, keep=1, likeness_target=None, score=options.score and not is_probe(p))
