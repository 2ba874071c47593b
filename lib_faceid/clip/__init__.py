"""CLIP ViT-H/14's eyes for the Plus family, and the tokenizer files of its text side."""

from __future__ import annotations

__all__: list[str] = []
