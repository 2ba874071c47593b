"""README's request, sent as it stands there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.webui.server import PROJECT, Server


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here: README's request was not sent")
def test_the_request_draws_the_person(server: Server, data_folder: Path, tmp_path: Path) -> None:
    (command,) = re.findall(r"```sh\n(printf .*?)```", (PROJECT / "README.md").read_text("utf-8"), re.DOTALL)
    shutil.copy(data_folder / "photos" / "Paul.jpeg", tmp_path / "me.jpg")
    quick = command.replace('"steps": 25', '"steps": 3, "width": 128, "height": 128')
    here = quick.replace("127.0.0.1:7860", f"127.0.0.1:{server.port}")
    done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    answer = json.loads(done.stdout)
    assert len(answer["images"]) == 1, answer
    assert "FaceID 0" in json.loads(answer["info"])["infotexts"][0]
