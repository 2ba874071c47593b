"""`pip install .`: what pyproject.toml says, and the page's style, scripts and languages, which a WebUI wants here."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PAGE_FILES = [*ROOT.glob("style.css"), *ROOT.glob("javascript/*.js"), *ROOT.glob("localizations/*.json")]


class BuildWithPage(build_py):
    """Puts the page's files into the package, where `lib_faceid/app/page_files.py` looks for them."""

    def run(self) -> None:
        """Build the package, then copy them."""
        super().run()
        folder = Path(self.build_lib) / "lib_faceid" / "data" / "page"
        folder.mkdir(parents=True, exist_ok=True)
        for path in PAGE_FILES:
            self.copy_file(str(path), str(folder / path.name))


setup(cmdclass={"build_py": BuildWithPage})
