"""What a WebUI writes into the files that it saves: that a model made a person's picture, where the user wants that."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_faceid.pictures.provenance import SOURCE_TYPE
from tests.webui.server import Server


def saved_by(server: Server, *units: dict[str, Any], is_marked: bool) -> Path:
    """Draw one picture that the WebUI saves itself, and return its file."""
    before = set(server.data.rglob("*.png"))
    answer = server.txt2img(*units, save_images=True, opts_samples_save=True, opts_faceid_mark_pictures=is_marked)
    assert answer.status == 200, answer.sentence
    (path,) = set(server.data.rglob("*.png")) - before
    return path


def source_type_of(path: Path) -> str:
    """What exiftool finds; empty for a file that says nothing."""
    call = ["exiftool", "-j", "-n", "-XMP-iptcExt:DigitalSourceType", "-warning", str(path)]
    (found,) = json.loads(subprocess.run(call, capture_output=True, check=True, timeout=60).stdout)
    assert "Warning" not in found
    return found.get("DigitalSourceType", "")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_a_persons_picture_says_that_a_model_made_it(server: Server, person: dict[str, Any]) -> None:
    marked = saved_by(server, person, is_marked=True)
    assert source_type_of(marked) == SOURCE_TYPE
    with Image.open(marked) as image:
        assert "FaceID 0: " in image.info["parameters"]  # beside the WebUI's own metadata
    assert source_type_of(saved_by(server, person, is_marked=False)) == ""
    assert source_type_of(saved_by(server, is_marked=True)) == ""  # nobody of ours is on it
