"""Which version of the extension this is, as pyproject.toml says it, too."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
