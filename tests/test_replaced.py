"""Attributes of a host's objects are put back as they were."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from played_webui import forget_hosts, play_webui


class Owner:
    def sample(self) -> str:
        return "its class's"


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    play_webui(monkeypatch)
    from lib_faceid.hosts.webui.replaced import replaced

    yield replaced
    forget_hosts()


def test_what_the_class_has_is_there_again(replaced: Any) -> None:
    owner = Owner()
    undo = replaced(owner, "sample", lambda: "ours")
    assert owner.sample() == "ours"
    undo()
    undo()
    assert (owner.sample(), vars(owner)) == ("its class's", {})


@pytest.mark.parametrize("own", [lambda: "another's", None])
def test_what_the_object_itself_had_is_there_again(replaced: Any, own: Any) -> None:
    owner = Owner()
    owner.sample = own
    replaced(owner, "sample", lambda: "ours")()
    assert vars(owner) == {"sample": own}


def test_what_was_replaced_since_is_left_alone(replaced: Any) -> None:
    owner = Owner()
    undo = replaced(owner, "sample", lambda: "ours")
    owner.sample = lambda: "another's"  # type: ignore[method-assign]
    undo()
    assert owner.sample() == "another's"
