"""How alike the people in finished pictures are to those who were asked for, in numbers and words."""

from __future__ import annotations

__all__: list[str] = []
