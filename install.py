"""Installs what this extension needs and cannot find; the WebUI runs this file at each start.

That is onnxruntime, which runs the face models. It is installed only where no flavour of it is found, within a tested
range, as a ready-made wheel and without dependencies: nothing that is installed already is ever changed. A failure
prints one line and lets the WebUI start.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

__all__ = ["is_importable", "is_install_skipped", "main", "missing_requirements", "onnxruntime_requirement"]

ONNXRUNTIME = "onnxruntime>=1.17,<2"
# PyPI's GPU builds, by the CUDA they were made for. Where one does not find its cuDNN it runs on the CPU.
ONNXRUNTIME_GPU = {
    "11": "onnxruntime-gpu>=1.17,<1.19",
    "12": "onnxruntime-gpu>=1.19,<1.27",
    "13": "onnxruntime-gpu>=1.27,<2",
}
PIP_OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",
    "--disable-pip-version-check",
    "--timeout=15",
    "--retries=1",
)


def main() -> int:
    """Returns 0, always: without it the WebUI starts, and the extension says what it lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name may have letters that the console lacks
    missing = missing_requirements()
    if not missing or is_install_skipped():
        return 0
    print(f"IP-Adapter FaceID: installing {', '.join(missing)}")
    reason = pip_install(missing)
    if reason:
        wanted = " ".join(f'"{requirement}"' for requirement in missing)
        command = f'"{sys.executable}" -m pip install --no-deps {wanted}'
        print(f"IP-Adapter FaceID: that failed ({reason}). To do it by hand: {command}")
    return 0


def missing_requirements() -> list[str]:
    """Returns what pip has to install: one requirement for each module that cannot be found."""
    needed = {"onnxruntime": onnxruntime_requirement()}
    return [requirement for module, requirement in needed.items() if not is_importable(module)]


def is_importable(module: str) -> bool:
    """Tells whether a module can be found, without importing it: every flavour of onnxruntime counts.

    The folder that an uninstalled package left behind does not: it has no file to run.
    """
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def onnxruntime_requirement() -> str:
    """Returns the GPU build where torch was made for CUDA and a driver is there, else the CPU build."""
    try:
        torch_version = version("torch")  # such as 2.1.2+cu121; importing torch would cost seconds
    except PackageNotFoundError:
        return ONNXRUNTIME
    cuda = re.search(r"\+cu(\d\d)\d+$", torch_version)
    if cuda is None or shutil.which("nvidia-smi") is None:
        return ONNXRUNTIME
    return ONNXRUNTIME_GPU.get(cuda[1], ONNXRUNTIME)


def is_install_skipped() -> bool:
    """Tells whether the user said --skip-install, to the WebUI or to this file."""
    if "--skip-install" in sys.argv:
        return True
    try:
        import launch  # pyright: ignore[reportMissingImports]
    except ImportError:  # not run by a WebUI
        return False
    return bool(getattr(launch.args, "skip_install", False))


def pip_install(requirements: list[str]) -> str:
    """Returns why pip failed, as one line; an empty string when it did not."""
    index = os.environ.get("INDEX_URL", "")  # the WebUI's own setting for another package index
    source = ["--index-url", index] if index else []
    command = [sys.executable, "-m", "pip", "install", *PIP_OPTIONS, *source, *requirements]
    finished = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if finished.returncode == 0:
        return ""
    lines = [line.strip() for line in (finished.stderr or finished.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1] if errors else f"pip ended with {finished.returncode}"


if __name__ == "__main__":
    sys.exit(main())
