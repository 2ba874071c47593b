"""What is on this machine and what is missing: models, packages, versions."""

from __future__ import annotations

__all__: list[str] = []
