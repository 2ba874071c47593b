"""Our own program as a host: diffusers, with models from the usual places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lib_faceid.app.resources import CARRIES, Resources
from lib_faceid.effects.effect import EffectKind
from lib_faceid.hosts.host import Settings
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import Roots

__all__ = ["OwnHost"]


@dataclass(frozen=True)
class OwnHost:
    """Our own program; `hosts.host.Host`."""

    resources: Resources
    checkpoint: Callable[[], str]
    """Gives the name of the checkpoint that is chosen right now."""
    name: str = "this program"
    carries: frozenset[EffectKind] = CARRIES

    def roots(self) -> Roots:
        """Return the folders of its models."""
        return self.resources.roots

    def base(self) -> int | None:
        """Return the cross attention dimension of the chosen checkpoint."""
        return self.resources.family(self.checkpoint())

    def settings(self) -> Settings:
        """Return the defaults: it has no settings but those beside its models, which bind every host."""
        return Settings()

    def models(self) -> Models:
        """Return where its models come from."""
        return self.resources.models()
