"""What "Auto" means right now, for each purpose and each family of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.faces.recognisers import in_pack
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.ranking import rank
from lib_faceid.methods.registry import methods_for
from lib_faceid.models.image_encoders import IMAGE_ENCODERS
from lib_faceid.units.unit import Purpose

__all__ = ["Auto", "auto_of", "trained_on"]


@dataclass(frozen=True)
class Auto:
    """What "Auto" means for one family of checkpoints."""

    family: int
    adapter: Path | None
    """None where nothing can be used."""
    note: str
    """Why it is not the best one, or what is missing; empty where nothing is to be said."""
    purpose: Purpose = "person"


def auto_of(
    family: int, purpose: Purpose, adapters: Sequence[tuple[Path, Adapter]], why_not: Mapping[str, str]
) -> Auto:
    """Return what Auto means for a purpose, by the rule of a job (`rank`). why_not: what is
    needed (an encoder, a recogniser) -> why it is not here.
    """
    fitting = {adapter: path for path, adapter in adapters if adapter.cross_attention_dim == family}
    fitting = {adapter: path for adapter, path in fitting.items() if adapter.purpose == purpose}
    if not fitting:
        labels = " or ".join(method.label for method in methods_for(purpose, family))
        return Auto(family, None, f"There is no {labels} adapter for {BASE_LABELS[family]}.", purpose)
    choice = rank(list(fitting), lambda variant: next(filter(None, map(why_not.__getitem__, variant.needs)), ""))
    needs = " and ".join(_called(one) for one in choice.best.variant.needs)
    if choice.adapter is None:
        return Auto(family, None, f"{choice.best.name} needs {needs}: {choice.reason}", purpose)
    lesser = f"{choice.best.name} would be better, and needs {needs}: {choice.reason}" if choice.reason else ""
    return Auto(family, fitting[choice.adapter], lesser or choice.adapter.assumed, purpose)


def _called(need: str) -> str:
    return IMAGE_ENCODERS[need].label if need in IMAGE_ENCODERS else in_pack(need)


def trained_on(auto: Sequence[Auto], adapters: Sequence[tuple[Path, Adapter]]) -> list[str]:
    """Return the recognisers that the adapters which Auto takes for people were trained on."""
    taken = {one.adapter for one in auto if one.purpose == "person"}
    return sorted({adapter.recogniser for path, adapter in adapters if path in taken and adapter.recogniser})
