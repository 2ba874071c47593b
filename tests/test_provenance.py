"""A picture says that a model made it, so that readers of metadata find it; where that is not wanted, it does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lib_faceid.app.picture_files import save_picture
from lib_faceid.app.session import GeneratedImage
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.pictures.provenance import SOURCE_TYPE, XMP_KEY

DRAWN = GeneratedImage(Image.new("RGB", (8, 8)), Request("a face"), "a face\nSteps: 25", 1.0)


def test_a_png_carries_it_beside_its_settings(tmp_path: Path) -> None:
    save_picture(DRAWN, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"] == DRAWN.parameters
        assert SOURCE_TYPE in image.info[XMP_KEY]
        image.save(tmp_path / "unmarked.png")
    content = (tmp_path / "a.png").read_bytes()
    assert b'iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket begin="\xef\xbb\xbf"' in content
    save_picture(GeneratedImage(DRAWN.image, DRAWN.request, DRAWN.parameters, 1.0, is_marked=False), tmp_path / "b.png")
    assert SOURCE_TYPE.encode() not in (tmp_path / "b.png").read_bytes()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_it(tmp_path: Path) -> None:
    save_picture(DRAWN, tmp_path / "a.png")
    read = ["exiftool", "-j", "-n", "-XMP-iptcExt:DigitalSourceType", "-warning", str(tmp_path / "a.png")]
    (found,) = json.loads(subprocess.run(read, capture_output=True, check=True, timeout=60).stdout)
    assert found["DigitalSourceType"] == SOURCE_TYPE
    assert "Warning" not in found


def test_every_way_of_drawing_can_leave_it_out() -> None:
    for command in ("generate", "ui"):
        call = [sys.executable, "-m", "lib_faceid", command, "--help"]
        told = subprocess.run(call, check=True, capture_output=True, text=True)
        assert "--no-mark" in told.stdout
