"""Our own page in a real Chromium, with random miniatures of four variants."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import visit
from tests.browser.serving import own_page, write_random_models

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A wait that ran out is tried once more, and reported as rerun: a browser shares two cores with other tests."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running page lives, with its temporary files."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def address(browser: Browser, face_models: Path, folder: Path) -> Iterator[str]:
    """The address of the running page."""
    write_random_models(folder / "models")
    with own_page(folder, "--face-models", str(face_models)) as address:
        yield address
    assert not list(folder.glob("faceid-page-*")), "photos stay on the disk"
    shutil.rmtree(folder, ignore_errors=True)  # the miniatures are large


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh page at 1400 px. An error in its own scripts fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, permissions=["clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    visit(page, address)
    yield page
    context.close()
    assert not errors


@pytest.fixture
def photos(data_folder: Path) -> Path:
    return data_folder / "photos"
