"""Command-line flags of the WebUI that belong to this extension."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

__all__ = ["preload"]


def preload(parser: ArgumentParser) -> None:
    """Add our flags to the WebUI's."""
    parser.add_argument(
        "--faceid-models-dir", type=Path, help="another folder with FaceID adapters, face models and saved people"
    )
