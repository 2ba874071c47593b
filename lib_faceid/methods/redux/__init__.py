"""FLUX.1 Redux: style and composition of an image for FLUX.1, as tokens beside the prompt's."""

from __future__ import annotations

__all__: list[str] = []
