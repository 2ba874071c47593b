"""One command from a fresh clone, with nothing but Python 3.10 to 3.12.

    python dev.py demo [ARGS]    a photo in, four pictures out (ARGS go to `python -m lib_faceid demo`)
    python dev.py ui [ARGS]      the page in a browser (ARGS go to `python -m lib_faceid ui`)
    python dev.py test [ARGS]    the tests (ARGS go to pytest)
    python dev.py check [ARGS]   formatting, lint, types, the page's tests on gradio 4, all tests: what CI runs
                                 (--thorough: before a release; property tests try more, and costs are measured)
    python dev.py bench [ARGS]   what a person in the picture costs (--quick: small networks, less than 3 minutes)
    python dev.py soak [ARGS]    500 jobs of every kind in a live WebUI (FACEID_WEBUI_DIR), and what they leave behind
    python dev.py fuzz [ARGS]    10,000 damaged and hostile inputs for every parser (--count, --seed; --help)
    python dev.py screenshots    the pictures in docs/images, from the page in Chromium (--help says what of)
    python dev.py format         writes the formatting, and the fixes that the linter is sure of
    python dev.py venv           only makes the environment

Each makes .venv beside this file where it is missing, and brings it up to date where the requirement files
have changed. Before the command, where torch comes from when it has to be installed:

    --torch default   as this machine's pip is configured (the default); on Linux, PyPI's build carries CUDA
    --torch cpu       PyTorch's own CPU build
    --torch URL       another package index, such as https://download.pytorch.org/whl/cu126

FACEID_TORCH says the same as --torch. FACEID_PYTHON names an interpreter that has everything already: it is
used as it is, and nothing is made or installed. FACEID_GRADIO4_PYTHON names one with gradio 4 beside it.
"""

# No `from __future__ import annotations`, no new syntax: this file must parse on the Pythons it turns away.
import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit(f"sd-webui-faceid needs Python 3.10, 3.11 or 3.12, and this is {found}. Run dev.py with one of those.")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "faceid-stamp.txt"
GRADIO4 = VENV / "gradio4"
REQUIREMENTS = (("requirements-dev.txt",), ("requirements-nodeps.txt", "--no-deps"))
GRADIO4_REQUIREMENTS = "requirements-gradio4.txt"
GRADIO4_TESTS = ("browser", "test_api*.py", "test_contract.py", "test_ui.py")
TORCH_INDEX = {"default": "", "cpu": "https://download.pytorch.org/whl/cpu"}
MODULES = {
    "demo": ["lib_faceid", "demo"],
    "ui": ["lib_faceid", "ui"],
    "test": ["pytest"],
    "bench": ["tests.bench"],
    "soak": ["tests.soak"],
    "fuzz": ["tests.fuzz"],
    "screenshots": ["tests.screenshots"],
}
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "PYTHONIOENCODING": ":backslashreplace",  # letters that the console's code page lacks end no command
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads cost a factor of five on shared cores
}


def main(argv: list[str]) -> int:
    """Returns the exit status of the command named in `argv`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default=os.environ.get("FACEID_TORCH", "default"), help=argparse.SUPPRESS)
    parser.add_argument(
        "command",
        choices=["demo", "ui", "test", "check", "bench", "fuzz", "soak", "screenshots", "format", "venv"],
    )
    parser.add_argument("args", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv or ["--help"])
    python = os.environ.get("FACEID_PYTHON") or ready_python(options.torch)
    if options.command == "venv":
        print(python)
        return 0
    if options.command == "check":
        return check(python, options.args)
    if options.command == "format":
        lint = run([python, "-m", "ruff", "check", "--fix", "."])
        return run([python, "-m", "ruff", "format", "."]) or lint
    return run([python, "-m", *MODULES[options.command], *options.args])


def check(python: str, args: list[str]) -> int:
    """Returns 0 when every check passes. All of them run, whatever the first ones say; pytest's closing line is last.

    The page on gradio 4 comes first, beside the types: two browsers on two cores wait for each other until a test
    gives up. It is tried by what a version of gradio may change. Then two processes run all tests.
    """
    is_thorough = "--thorough" in args
    if is_thorough:
        os.environ["FACEID_THOROUGH"] = "1"
    gradio4_args = sorted(str(path) for name in GRADIO4_TESTS for path in (ROOT / "tests").glob(name))
    gradio4_args += [] if is_thorough else ["-m", "not one_gradio"]
    gradio4 = gradio4_python(python)
    failed = steps({"ruff format": [python, "-m", "ruff", "format", "--check", "."]})
    failed += steps({"ruff check": [python, "-m", "ruff", "check", "."]})
    with tempfile.TemporaryFile("w+", encoding="utf-8") as shown, ThreadPoolExecutor(1) as beside:
        types = beside.submit(steps, {"pyright": [python, "-m", "pyright", "--pythonpath", python]}, shown)
        failed += steps({"the page on gradio 4": [gradio4, "-m", "pytest", *gradio4_args] if gradio4 else []})
        failed += types.result()
        shown.seek(0)
        print(shown.read(), end="", flush=True)
    status, closing = all_tests(python, [arg for arg in args if arg != "--thorough"])
    if is_thorough:
        failed += steps({"what a person costs": [python, "-m", *MODULES["bench"], "--quick"]})
    failed += ["all tests"] if status else []
    if failed:
        print(f"Failed: {', '.join(failed)}")
    print(closing, flush=True)
    return 1 if failed else 0


def steps(commands: dict[str, list[str]], shown: IO[str] = sys.stdout) -> list[str]:
    """Returns the names of the commands that fail. What they print goes into the file `shown`."""
    failed: list[str] = []
    for name, command in commands.items():
        started = time.monotonic()
        print(f"== {name}", file=shown, flush=True)
        if not command:
            print(f"== {name}: NOT RUN, FACEID_PYTHON is set and FACEID_GRADIO4_PYTHON is not", file=shown, flush=True)
            continue
        status = run(command, shown)
        failed += [name] if status else []
        result = f"FAILED with status {status}" if status else "ok"
        print(f"== {name}: {result}, {time.monotonic() - started:.0f} s", file=shown, flush=True)
    return failed


def all_tests(python: str, args: list[str]) -> tuple[int, str]:
    """Returns the exit status of all tests and their closing line, which is held back while everything else is shown.

    Two processes share the test files; each has one thread, as two threads each would wait for one another.
    """
    workers = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    if subprocess.call([python, "-c", "import xdist"], stderr=subprocess.DEVNULL):
        print(f"pytest-xdist is not installed for {python}: the tests run in one process, which takes twice as long.")
        workers = []
    environment = {"OMP_NUM_THREADS": "1", **ENVIRONMENT, **os.environ, "PYTHONUNBUFFERED": "1"}
    command = [python, "-m", "pytest", *workers, *args]
    print("== all tests", flush=True)
    held = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as tests:
        for line in tests.stdout or ():
            print(held, end="", flush=True)
            held = line
    return tests.returncode, held.rstrip()


def ready_python(torch: str) -> str:
    """Returns the path of .venv's interpreter, after making .venv or bringing it up to date."""
    python = interpreter(VENV)
    stamp = wanted_stamp()
    known = STAMP.read_text() if STAMP.is_file() else ""
    if known == stamp:
        return python
    version = stamp.split()[0]
    if not Path(python).exists() or (known and known.split()[0] != version):
        timed(f"Making {VENV} with Python {version}", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = pip_install(python)
    index = TORCH_INDEX.get(torch, torch)
    if index:  # first and alone, from there only: the pin in the requirement file is then satisfied
        pin = next(line for line in (ROOT / "requirements-dev.txt").read_text().split() if line.startswith("torch=="))
        timed(f"Installing {pin} from {index}", [*pip, "--index-url", index, pin])
    elif sys.platform == "linux":
        print("torch comes as this machine's pip is configured; PyPI's Linux build carries CUDA (about 3 GB).")
        print("For PyTorch's CPU build (0.2 GB), stop this and run `python dev.py --torch cpu venv` once.")
    for name, *flags in REQUIREMENTS:
        timed(f"Installing {name}", [*pip, *flags, "-r", str(ROOT / name)])
    STAMP.write_text(stamp)
    return python


def gradio4_python(python: str) -> str:
    """Returns an interpreter with what Forge has of gradio, fastapi and pydantic, and all else as `python` has it.

    Made inside .venv where it is missing or old; "" where nothing is to be made and none is named.
    """
    if "FACEID_PYTHON" in os.environ:
        return os.environ.get("FACEID_GRADIO4_PYTHON", "")
    own, stamp = interpreter(GRADIO4), GRADIO4 / STAMP.name
    wanted = f"{STAMP.read_text()} {digest(GRADIO4_REQUIREMENTS)}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return own
    timed(f"Making {GRADIO4}", [python, "-m", "venv", "--clear", "--without-pip", str(GRADIO4)])
    shared, packages = (site_packages(one) for one in (python, own))
    (packages / "shared.pth").write_text(f"{shared}\n")  # its own packages come first; pip is among the shared ones
    timed(f"Installing {GRADIO4_REQUIREMENTS}", [*pip_install(own), "-r", str(ROOT / GRADIO4_REQUIREMENTS)])
    stamp.write_text(wanted)
    return own


def interpreter(venv: Path) -> str:
    """Returns the path of an environment's Python."""
    return str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def site_packages(python: str) -> Path:
    """Returns the folder where an interpreter's packages are installed."""
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())


def pip_install(python: str) -> list[str]:
    """Returns the beginning of a command that installs packages."""
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def wanted_stamp() -> str:
    """Returns the Python version and a hash of the requirement files: what .venv was made from."""
    return f"{sys.version_info[0]}.{sys.version_info[1]} {digest(*(name for name, *_ in REQUIREMENTS))}"


def digest(*names: str) -> str:
    """Returns a hash of what requirement files hold."""
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def timed(what: str, command: list[str]) -> None:
    """Runs a step of the set-up and says how long it took; ends the program where it fails."""
    started = time.monotonic()
    print(f"{what} ...", flush=True)
    if run(command):
        sys.exit(f"{what} failed (see above; is the network there?). To try again by hand: {shlex.join(command)}")
    print(f"{what}: done in {time.monotonic() - started:.0f} s", flush=True)


def run(command: list[str], shown: IO[str] = sys.stdout) -> int:
    """Returns the exit status of a command that runs in the project's folder; 130 when the user stops it."""
    environment = {**ENVIRONMENT, **os.environ}
    try:
        return subprocess.call(command, cwd=ROOT, env=environment, stdout=shown, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not there. FACEID_PYTHON, where it is set, must name a Python interpreter.")
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
