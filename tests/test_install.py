"""install.py: adds what is missing, never moves what is there, never stops the WebUI."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
import venv
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import install

ROOT = Path(install.__file__).parent
HOST_PACKAGES = {"numpy", "protobuf", "pydantic", "pillow", "opencv", "torch", "gradio", "scikit-image"}


@pytest.fixture
def pip_calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The requirements of each pip call; pip itself does not run."""
    calls: list[list[str]] = []

    def record(requirements: list[str]) -> str:
        calls.append(requirements)
        return ""

    monkeypatch.setattr(install, "pip_install", record)
    monkeypatch.setattr(install, "is_install_skipped", lambda: False)
    return calls


def pretend_importable(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(install, "is_importable", lambda module: module in modules)


def test_nothing_missing_runs_nothing(
    pip_calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_importable(monkeypatch, "onnxruntime")
    assert install.main() == 0
    assert pip_calls == []
    assert capsys.readouterr().out == ""


def test_only_the_missing_are_installed(pip_calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_importable(monkeypatch)
    install.main()
    assert pip_calls == [[install.onnxruntime_requirement()]]


def test_every_requirement_is_ours_and_has_both_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_importable(monkeypatch)
    for requirement in [*install.missing_requirements(), *install.ONNXRUNTIME_GPU.values()]:
        name = requirement.split(">=")[0]
        assert name not in HOST_PACKAGES
        assert ">=" in requirement
        assert "<" in requirement.split(">=")[1]


def test_failure_is_one_line_with_the_command_and_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_importable(monkeypatch)
    monkeypatch.setattr(install, "is_install_skipped", lambda: False)
    monkeypatch.setattr(install, "pip_install", lambda _: "ERROR: no network")
    assert install.main() == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert "ERROR: no network" in line
    assert f'"{sys.executable}" -m pip install --no-deps "{install.onnxruntime_requirement()}"' in line


@pytest.mark.parametrize(
    ("returncode", "stderr", "reason"),
    [
        (0, "WARNING: old pip", ""),
        (1, "ERROR: No matching distribution\nWARNING: see the log", "ERROR: No matching distribution"),
        (1, "No module named pip", "No module named pip"),
        (3, "", "pip ended with 3"),
    ],
)
def test_pip_never_touches_dependencies_and_its_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, returncode: int, stderr: str, reason: str
) -> None:
    def fake_run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "install"]
        assert {"--no-deps", "--only-binary=:all:", "--index-url"} < set(command)
        assert command[-1] == install.ONNXRUNTIME
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setenv("INDEX_URL", "https://index.example/simple")
    monkeypatch.setattr(subprocess, "run", fake_run)
    assert install.pip_install([install.ONNXRUNTIME]) == reason


@pytest.mark.parametrize("skip", [True, False])
def test_skip_install_of_the_webui_is_honoured(monkeypatch: pytest.MonkeyPatch, skip: bool) -> None:
    launch = types.ModuleType("launch")
    launch.args = types.SimpleNamespace(skip_install=skip)  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "launch", launch)
    assert install.is_install_skipped() is skip


def test_skip_install_on_our_own_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py", "--skip-install"])
    assert install.is_install_skipped()


def test_outside_a_webui_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "launch", None)
    assert not install.is_install_skipped()


def test_a_leftover_folder_is_not_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "leftover_of_onnxruntime").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.util.find_spec("leftover_of_onnxruntime") is not None
    assert not install.is_importable("leftover_of_onnxruntime")


@pytest.mark.parametrize(
    ("torch", "driver", "expected"),
    [
        ("2.1.2+cu121", True, "onnxruntime-gpu>=1.19,<1.27"),
        ("2.1.2+cu118", True, "onnxruntime-gpu>=1.17,<1.19"),
        ("2.13.0+cu130", True, "onnxruntime-gpu>=1.27,<2"),
        ("2.1.2+cu121", False, "onnxruntime>=1.17,<2"),  # --skip-torch-cuda-test on a machine without a card
        ("2.1.2+rocm5.6", True, "onnxruntime>=1.17,<2"),
        ("2.13.0+cpu", True, "onnxruntime>=1.17,<2"),
        ("2.1.2", True, "onnxruntime>=1.17,<2"),
        (None, True, "onnxruntime>=1.17,<2"),
    ],
)
def test_the_gpu_build_only_where_cuda_is(
    monkeypatch: pytest.MonkeyPatch, torch: str | None, driver: bool, expected: str
) -> None:
    def version(_: str) -> str:
        if torch is None:
            raise PackageNotFoundError
        return torch

    monkeypatch.setattr(install, "version", version)
    monkeypatch.setattr(install.shutil, "which", lambda _: "/usr/bin/nvidia-smi" if driver else None)
    assert install.onnxruntime_requirement() == expected


def test_a_second_run_is_cheap() -> None:
    heavy = "{'numpy', 'torch', 'onnx', 'onnxruntime', 'insightface', 'cv2'}"
    code = f"import sys, install; install.missing_requirements(); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# What the WebUI v1.10.1 pins, and what its other packages bring. That WebUI does not know Python 3.12: there,
# the nearest that exist as wheels.
WEBUI_PACKAGES = (
    "numpy==1.26.2",
    "protobuf==3.20.0",
    "opencv-python-headless==4.11.0.86",
    "pydantic==1.10.27",
    "scikit-image==0.21.0" if sys.version_info < (3, 12) else "scikit-image==0.22.0",
    "Pillow==9.5.0" if sys.version_info < (3, 12) else "Pillow==10.4.0",
    "requests",
    "tqdm",
    "typing_extensions",
)
ONE_FACE = """
import sys, cv2, numpy, onnxruntime
sys.path += sys.argv[3:]  # this project; then torch, which a WebUI has
from lib_faceid.faces.analyser import load_face_analyser
faces = load_face_analyser(sys.argv[1]).detect(cv2.imread(sys.argv[2])[:, :, ::-1].copy())
print(len(faces), faces[0].id_embedding.shape)
"""


@pytest.mark.install
@pytest.mark.skipif(os.environ.get("FACEID_INSTALL_TEST") != "1", reason="set FACEID_INSTALL_TEST=1 to run it")
def test_a_webui_environment_keeps_every_package(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def run(*arguments: str) -> str:
        return subprocess.run([python, *arguments], check=True, capture_output=True, text=True).stdout

    run("-m", "pip", "install", "--quiet", "--only-binary=:all:", *WEBUI_PACKAGES)
    before = set(run("-m", "pip", "freeze", "--all").split())
    assert "installing onnxruntime" in run(str(ROOT / "install.py"))
    after = set(run("-m", "pip", "freeze", "--all").split())
    assert before < after
    assert {line.split("==")[0] for line in after - before} == {"onnxruntime"}
    assert run(str(ROOT / "install.py")) == ""
    assert set(run("-m", "pip", "freeze", "--all").split()) == after

    data = Path(os.environ.get("FACEID_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        pytest.skip(f"installed well; no face models in {data} to look for a face with")
    pack = next((data / "face_models" / "models").iterdir())
    photo, ours = data / "photos" / "astronaut.png", Path(torch.__file__).parents[1]
    output = run("-c", ONE_FACE, str(pack), str(photo), str(ROOT), str(ours))
    assert output.splitlines()[-1] == "1 (512,)"
