"""A net with a person's tokens and a plain one, which reads the prompt, beside each other, in every kind of UNet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from parity import Measure
from test_control import (
    KINDS,
    TOLERANCE,
    World,
    context_of,
    given,
    ours,
    predicted,
    their_residuals,
    unet,
    with_residuals,
)

from lib_faceid.effects.control import inject_guided
from lib_faceid.effects.net_file import net_file


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("mixed"))


@pytest.mark.parametrize("kind", KINDS)
def test_both_add_up_each_with_its_own_context(world: World, kind: str, measure: Measure) -> None:
    person, guide = [world.contribution(kind)], world.guide(kind)
    plain = replace(guide, effect=replace(world.guide(kind, pictures=(2,)).effect, sources=()))
    assert plain.effect.net is net_file(world.file(kind))
    of_tokens = their_residuals(kind, context_of(world, kind))
    of_text = their_residuals(kind, given(kind)[2], 2)
    down = [a + b for a, b in zip(of_tokens[0], of_text[0], strict=True)]
    expected = with_residuals(kind, down, of_tokens[1] + of_text[1], person)
    alone = with_residuals(kind, *of_text, person)
    effect = (expected - alone).norm()
    got, only_text = ours(world, kind, person, [guide, plain]), ours(world, kind, person, [plain])
    measure(both=((got - expected).norm() / effect).item(), text=((only_text - alone).norm() / effect).item())
    assert (got - expected).norm() < TOLERANCE * effect
    assert (only_text - alone).norm() < TOLERANCE * effect


def test_whose_calls_they_were_is_counted_apart(world: World) -> None:
    guide = world.guide("ldm")
    plain = replace(guide, effect=replace(guide.effect, sources=()))
    for guides, counted in (([guide], (1, 0)), ([plain], (0, 1)), ([guide, plain], (1, 1))):
        with inject_guided(unet("ldm"), [], guides) as injection:
            injection.set_rows((0, 1))
            predicted("ldm")
            assert (injection.calls, injection.plain_calls) == counted
