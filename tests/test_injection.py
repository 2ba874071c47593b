"""Putting identities into a UNet: what acts, what does not, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import pytest
import torch
from contributions import changed, contribution
from torch import Tensor, nn
from unets import call, drawn, identity_of, inputs

from lib_faceid.effects.injection import Contribution, Injection, inject
from lib_faceid.effects.lora import merge_lora
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.layers import attention_layers

pytestmark = pytest.mark.usefixtures("untouched")


def test_it_acts(unet: nn.Module, one: Contribution, other: Contribution) -> None:
    bare, first, second = call(unet, inputs()), drawn(unet, one), drawn(unet, other)
    for a, b in ((bare, first), (bare, second), (first, second)):
        assert (a - b).abs().amax(dim=(1, 2, 3)).min() > 0.01


# -------------------------------------------------------------------------------------------------- off is off, exactly
def told(rows: tuple[int, ...] | None) -> Callable[[Injection], None]:
    return lambda injection: injection.set_rows(rows)


def at(progress: float) -> Callable[[Injection], None]:
    def tell(injection: Injection) -> None:
        injection.set_rows((0, 1))
        injection.set_progress(progress)

    return tell


@pytest.mark.parametrize(
    ("settings", "tell"),
    [
        pytest.param({"weight": 0}, told((0, 1)), id="weight 0"),
        pytest.param({}, lambda injection: None, id="no rows told yet"),
        pytest.param({}, told(None), id="rows None"),
        pytest.param({"start": 0.5}, told((0, 1)), id="before start, no progress told yet"),
        pytest.param({"start": 0.5}, at(0.49), id="before start"),
        pytest.param({"end": 0.5}, at(0.5), id="at end"),
        pytest.param({"end": 0.5}, at(0.9), id="after end"),
        pytest.param({"start": 0.2, "end": 0.2}, at(0.2), id="empty span"),
        pytest.param({}, lambda injection: injection.expect_tags([78]), id="tags expected, none came"),
    ],
)
def test_off_is_off_to_the_bit(
    unet: nn.Module, one: Contribution, settings: dict[str, float], tell: Callable[[Injection], None]
) -> None:
    bare = call(unet, inputs())
    with inject(unet, [changed(one, **settings)]) as injection:
        tell(injection)
        assert torch.equal(call(unet, inputs()), bare)
        assert injection.calls == 0
    assert torch.equal(call(unet, inputs()), bare)


def test_rows_can_be_switched_off_and_on_again(unet: nn.Module, one: Contribution) -> None:
    bare, on = call(unet, inputs()), drawn(unet, one)
    with inject(unet, [one]) as injection:
        for rows, expected in (((0, 1), on), (None, bare), ((0, 1), on)):
            injection.set_rows(rows)
            assert torch.equal(call(unet, inputs()), expected)
        assert injection.calls == 2


@pytest.mark.parametrize(
    ("start", "end", "progress", "acts"),
    [
        (0.0, 1.0, 0.0, True),
        (0.0, 1.0, 1.0, True),  # the last call of samplers that count past the end
        (0.0, 1.0, 1.3, True),
        (0.25, 0.75, 0.2, False),
        (0.25, 0.75, 0.25, True),
        (0.25, 0.75, 0.7, True),
        (0.25, 0.75, 0.75, False),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_start_and_end(adapter: Adapter, start: float, end: float, progress: float, acts: bool) -> None:
    one = contribution(adapter, [identity_of(1)], start=start, end=end)
    assert one.weight_at(progress) == (one.schedule.weight if acts else 0)
    assert not changed(one, weight=0).weight_at(progress)


@pytest.mark.parametrize(
    ("span", "steps", "weights"),
    [
        ((0.0, 1.0, 0.0), 4, [1, 1, 1, 1]),
        ((0.0, 1.0, 0.2), 10, [0.25, 0.75, 1, 1, 1, 1, 1, 1, 1, 1]),  # comes in, and stays to the end
        ((0.2, 0.8, 0.2), 10, [0, 0, 0.25, 0.75, 1, 1, 0.75, 0.25, 0, 0]),
        ((0.0, 1.0, 0.1), 4, [1, 1, 1, 1]),  # over before the first step is half done: no step is lost
        ((0.4, 0.6, 0.5), 5, [0, 0, 0.2, 0, 0]),  # a span too short for both fades is never all there
    ],
)
def test_a_fade_in_and_out(
    adapter: Adapter, span: tuple[float, float, float], steps: int, weights: list[float]
) -> None:
    start, end, fade = span
    one = contribution(adapter, [identity_of(1)], weight=0.5, start=start, end=end, fade=fade)
    found = [one.weight_at(step / steps, 1 / steps) for step in range(steps)]
    assert found == pytest.approx([0.5 * weight for weight in weights])


def test_a_faded_step_is_a_step_at_a_smaller_weight(unet: nn.Module, one: Contribution) -> None:
    quarter = drawn(unet, changed(one, weight=one.schedule.weight / 4))
    with inject(unet, [changed(one, start=0.25, fade=0.25)]) as injection:
        injection.set_rows((0, 1))
        injection.set_progress(0.25, 0.125)
        assert torch.equal(call(unet, inputs()), quarter)


def test_each_contribution_has_its_own_span(unet: nn.Module, one: Contribution, other: Contribution) -> None:
    early, late = changed(one, end=0.5), changed(other, start=0.5)
    expected = {0.0: drawn(unet, one), 0.5: drawn(unet, other)}
    with inject(unet, [early, late]) as injection:
        injection.set_rows((0, 1))
        for progress, picture in expected.items():
            injection.set_progress(progress)
            assert injection.acts
            assert torch.equal(call(unet, inputs()), picture)


# ----------------------------------------------------------------------------------------------- nothing is left behind
# `untouched` above checks that after every test; here are the ways out.
def test_after_an_exception_in_the_with_block(unet: nn.Module, one: Contribution) -> None:
    bare = call(unet, inputs())

    def draw_and_fail() -> None:
        with inject(unet, [one]) as injection:
            injection.set_rows((0, 1))
            call(unet, inputs())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw_and_fail()
    assert torch.equal(call(unet, inputs()), bare)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_in_the_middle_of_the_unet(
    ldm: nn.Module, one: Contribution, error: type[BaseException]
) -> None:
    """Not only is the UNet clean afterwards: the same injection goes on, as with the next picture of a batch."""
    bare, swapped = call(ldm, inputs()), drawn(ldm, one, rows=(1, 0))
    middle = attention_layers(ldm)[13].linear("k")  # after to_q has run: a query is kept at that moment

    def fail(*_: Any) -> None:
        raise error

    with inject(ldm, [one]) as injection:
        injection.set_rows((0, 1))
        handle = middle.register_forward_hook(fail)
        with pytest.raises(error):
            call(ldm, inputs())
        handle.remove()
        injection.set_rows((1, 0))  # nothing selected for the call that failed may be used again
        assert torch.equal(call(ldm, inputs()), swapped)
        injection.set_rows(None)
        assert torch.equal(call(ldm, inputs()), bare)
    assert torch.equal(call(ldm, inputs()), bare)


def test_no_tensor_is_kept_between_calls(ldm: nn.Module, one: Contribution) -> None:
    """On a GPU they would be missing for decoding the picture, and after running out of memory most of all."""

    def fail(*_: Any) -> None:
        raise error

    def kept(injection: Injection) -> bool:
        return bool(injection._queries) or injection._selected is not None

    with inject(ldm, [one]) as injection:
        injection.set_rows((0, 1))
        call(ldm, inputs())
        assert not kept(injection)
    handle = attention_layers(ldm)[13].linear("k").register_forward_hook(fail)
    for error, kept_until_leaving in ((RuntimeError, False), (KeyboardInterrupt, True)):
        with inject(ldm, [one]) as injection:
            injection.set_rows((0, 1))
            with pytest.raises(error):
                call(ldm, inputs())
            assert kept(injection) is kept_until_leaving  # torch tells hooks of an Exception only
        assert not kept(injection)
    handle.remove()


@pytest.mark.parametrize("count", [0, 1, 2, 17, 33])
def test_when_setting_the_hooks_fails_halfway(
    ldm: nn.Module, one: Contribution, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    left = iter([True] * count)
    register = {name: getattr(nn.Module, name) for name in ("register_forward_hook", "register_forward_pre_hook")}

    def limited(name: str) -> Callable[..., Any]:
        def call_or_fail(*args: Any, **kwargs: Any) -> Any:
            if not next(left, False):
                raise MemoryError
            return register[name](*args, **kwargs)

        return call_or_fail

    for name in register:
        monkeypatch.setattr(nn.Module, name, limited(name))
    with pytest.raises(MemoryError), inject(ldm, [one]):
        pytest.fail("the hooks were set")


def test_generators_that_are_dropped_clean_up_too(ldm: nn.Module, one: Contribution) -> None:
    stack = ExitStack()
    stack.enter_context(inject(ldm, [one]))
    stack.close()
    stack.close()


# ------------------------------------------------------------------------------------------------ several contributions
def test_the_order_of_contributions_does_not_matter(unet: nn.Module, one: Contribution, other: Contribution) -> None:
    assert (drawn(unet, one, other) - drawn(unet, other, one)).abs().max() < 1e-5


def test_two_injections_into_one_unet_add_up(unet: nn.Module, one: Contribution, other: Contribution) -> None:
    bare, together = call(unet, inputs()), drawn(unet, one, other)
    only_one, only_other = drawn(unet, one), drawn(unet, other)
    with inject(unet, [one]) as outer:
        outer.set_rows((0, 1))
        with inject(unet, [other]) as inner:
            inner.set_rows((0, 1))
            assert (call(unet, inputs()) - together).abs().max() < 1e-5
            outer.set_rows(None)
            assert torch.equal(call(unet, inputs()), only_other)
            outer.set_rows((0, 1))
        assert torch.equal(call(unet, inputs()), only_one)
    assert torch.equal(call(unet, inputs()), bare)


def test_injections_may_be_closed_in_any_order(unet: nn.Module, one: Contribution, other: Contribution) -> None:
    expected = drawn(unet, other)
    first, second = ExitStack(), ExitStack()
    first.enter_context(inject(unet, [one])).set_rows((0, 1))
    second.enter_context(inject(unet, [other])).set_rows((0, 1))
    first.close()
    assert torch.equal(call(unet, inputs()), expected)
    second.close()


def test_what_two_contributions_add_to_a_layer_is_the_sum(
    ldm: nn.Module, one: Contribution, other: Contribution
) -> None:
    """Seen at the first cross-attention, which nothing before it has changed yet."""
    first = attention_layers(ldm)[1]

    def added(*contributions: Contribution) -> Tensor:
        seen: list[Tensor] = []
        with inject(ldm, contributions) as injection:
            injection.set_rows((0, 1))
            # Registered after the injection's own hook, so that it sees what the Linear will get.
            handle = first.linear("out").register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
            call(ldm, inputs())
            handle.remove()
        return seen[0]

    nothing = added()
    total = added(one, other) - nothing
    parts = (added(one) - nothing) + (added(other) - nothing)
    assert total.abs().max() > 0.1
    assert (total - parts).abs().max() < 1e-5
    doubled = added(changed(one, weight=2 * one.schedule.weight)) - nothing
    assert (doubled - 2 * (added(one) - nothing)).abs().max() < 1e-5


def test_injection_and_lora_are_independent(unet: nn.Module, one: Contribution) -> None:
    """Either may be entered first, and each is undone whatever the other does."""
    with merge_lora(unet, cast("Adapter", one.effect.weights), 0.6):
        expected = drawn(unet, one)
    with inject(unet, [one]) as injection:
        injection.set_rows((0, 1))
        without = call(unet, inputs())
        with merge_lora(unet, cast("Adapter", one.effect.weights), 0.6):
            assert torch.equal(call(unet, inputs()), expected)
        assert torch.equal(call(unet, inputs()), without)
