"""What the WebUI reads of us before anything of ours runs."""

from __future__ import annotations

import configparser
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def test_it_has_our_name_and_asks_for_nothing_that_goes_by_the_folders() -> None:
    """The WebUI refuses, in red, any order of callbacks in a folder that is called otherwise (a ZIP's, say)."""
    metadata = configparser.ConfigParser()
    assert metadata.read(PROJECT / "metadata.ini")
    assert metadata.sections() == ["Extension"]
    assert dict(metadata["Extension"]) == {"name": "sd-webui-faceid"}
