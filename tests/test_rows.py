"""Whose row is it? Every way in which the WebUI's denoiser sends conds and unconds to the UNet, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from contributions import contribution
from torch import Tensor, nn
from unets import SMALL, call, identity_of, inputs, ldm_unet

from lib_faceid.effects.injection import Contribution, Injection, inject
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.rows import MAX_SLOT, follow_images, tag_rows, untag_rows

CHUNK = 77


# ------------------------------------------------------------------------------------------------ one step of the WebUI
@dataclass(frozen=True)
class Step:
    """One step of the denoiser of the WebUI 1.10 (`sd_samplers_cfg_denoiser.py`), by what decides its UNet calls."""

    conds: tuple[int, ...] = (1,)
    """For each image of the batch, its number of conds (`AND`)."""
    cond_chunks: int = 1
    """The length of the positive side, in chunks of 77 tokens."""
    uncond_chunks: int = 1
    joint: bool = True
    """The option "batch cond/uncond"."""
    skip_uncond: bool = False
    """Negative guidance minimum sigma, skip early CFG."""
    pad: str = ""
    """"end" (an empty prompt's chunks), "v0" (the last token again, or cut off), or nothing."""
    is_edit: bool = False
    """An instruct-pix2pix model: the unconds twice."""
    people: tuple[int, ...] = field(default=())
    """The slot of each image; by default 1, 2, 3, ..."""

    @property
    def slots(self) -> tuple[int, ...]:
        return self.people or tuple(range(1, len(self.conds) + 1))


def padded(step: Step, cond: Tensor, uncond: Tensor) -> tuple[Tensor, Tensor]:
    """Return both sides after the option that makes them as long as each other; tags are in front by then."""
    missing = cond.shape[1] - uncond.shape[1]
    if step.pad == "v0":
        if missing < 0:
            return cond, uncond[:, : cond.shape[1]]
        return cond, torch.cat([uncond, uncond[:, -1:].repeat(1, missing, 1)], dim=1)
    if step.pad == "end":
        empty = inputs(seed=99)[2][:1]
        short = uncond if missing > 0 else cond
        longer = torch.cat([short, empty.repeat(len(short), abs(missing) // CHUNK, 1)], dim=1)
        return (cond, longer) if missing > 0 else (longer, uncond)
    return cond, uncond


def unet_calls(step: Step, latents: Tensor, cond: Tensor, uncond: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the latents and contexts of each UNet call in order: conds image by image first, the unconds after them."""
    batch = len(step.conds)
    x = torch.cat([latents[i : i + 1].repeat(n, 1, 1, 1) for i, n in enumerate(step.conds)])
    x = x if step.skip_uncond else torch.cat([x, latents, latents] if step.is_edit else [x, latents])
    cond, uncond = padded(step, cond, uncond)
    if cond.shape[1] == uncond.shape[1] or step.skip_uncond:
        sides = [cond] if step.skip_uncond else [cond, uncond, uncond] if step.is_edit else [cond, uncond]
        context = torch.cat(sides)
        size = len(x) if step.joint else batch
        yield from ((x[at : at + size], context[at : at + size]) for at in range(0, len(x), size))
        return
    size = 2 * batch if step.joint else batch
    yield from ((x[at : at + size][: len(cond) - at], cond[at : at + size]) for at in range(0, len(cond), size))
    yield x[-len(uncond) :], uncond


STEPS = {
    "one image": Step(),
    "one image, split": Step(joint=False),
    "batch of 4 people": Step((1, 1, 1, 1)),
    "batch of 4 people, split": Step((1, 1, 1, 1), joint=False),
    "batch of 4, the same person twice": Step((1, 1, 1, 1), people=(3, 1, 3, 2)),
    "cond only": Step((1, 1), skip_uncond=True),
    "cond only, split": Step((1, 1), skip_uncond=True, joint=False),
    "cond only, longer": Step((1, 1), skip_uncond=True, cond_chunks=2),
    "3 AND 2": Step((3, 3)),
    "3 AND 2, split": Step((3, 3), joint=False),
    "uneven AND": Step((1, 3, 2)),
    "uneven AND, split": Step((1, 3, 2), joint=False),
    "AND, cond only, split": Step((3, 1), joint=False, skip_uncond=True),
    "longer negative": Step((1, 1), uncond_chunks=3),
    "longer negative, split": Step((1, 1), uncond_chunks=3, joint=False),
    "longer prompt": Step((1, 1, 1), cond_chunks=2),
    "longer prompt, AND": Step((2, 3), cond_chunks=2),
    "longer prompt, AND, split": Step((2, 3), cond_chunks=2, joint=False),
    "padded negative": Step((1, 1), cond_chunks=3, pad="end"),
    "padded negative, split": Step((1, 1), cond_chunks=3, pad="end", joint=False),
    "padded prompt": Step((1, 2), uncond_chunks=2, pad="end"),
    "v0, padded": Step((1, 1), cond_chunks=2, pad="v0"),
    "v0, cut off": Step((1, 1), uncond_chunks=2, pad="v0"),
    "v0, cut off, split, AND": Step((2, 1), uncond_chunks=3, pad="v0", joint=False),
    "edit model": Step((1, 1), is_edit=True),
    "edit model, split": Step((1, 1), is_edit=True, joint=False),
}


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    return ldm_unet(channels=SMALL)


@pytest.fixture(scope="module")
def people(adapter: Adapter) -> list[Contribution]:
    """Four people, and one more who is in every picture."""
    return [
        contribution(adapter, [identity_of(seed) for seed in range(1, 5)]),
        contribution(adapter, [identity_of(9)], weight=0.4),
    ]


def sides(step: Step) -> tuple[Tensor, Tensor, Tensor]:
    """Return one latent for each image, and the contexts of both sides, all different."""
    generator = torch.Generator().manual_seed(3)
    cond = torch.randn(sum(step.conds), CHUNK * step.cond_chunks, 768, generator=generator)
    uncond = torch.randn(len(step.conds), CHUNK * step.uncond_chunks, 768, generator=generator)
    return torch.randn(len(step.conds), 4, 8, 8, generator=generator), cond, uncond


def run(unet: nn.Module, x: Tensor, context: Tensor) -> Tensor:
    return call(unet, (x, torch.full((len(x),), 500), context))


def expected_rows(
    unet: nn.Module, injection: Injection, calls: Sequence[tuple[Tensor, Tensor]], slots: Sequence[int]
) -> Iterator[Tensor]:
    """Give what each row would be alone, with its slot told by name."""
    rows = [(x[i : i + 1], context[i : i + 1]) for x, context in calls for i in range(len(x))]
    for (x, context), slot in zip(rows, slots, strict=True):
        injection.set_rows([slot])
        yield run(unet, x, context)[0]


@pytest.mark.parametrize("name", STEPS)
def test_every_row_gets_its_own_identity(unet: nn.Module, people: list[Contribution], name: str) -> None:
    step = STEPS[name]
    latents, cond, uncond = sides(step)
    cond_slots = [slot for slot, n in zip(step.slots, step.conds, strict=True) for _ in range(n)]
    slots = cond_slots + [0] * (0 if step.skip_uncond else len(step.conds) * (1 + step.is_edit))
    with inject(unet, people) as injection:
        tagged = tag_rows(cond, cond_slots), tag_rows(uncond, [0] * len(uncond))
        injection.expect_tags([side.shape[1] for side in tagged])
        calls = list(unet_calls(step, latents, *tagged))
        got = torch.cat([run(unet, x, context) for x, context in calls])
        assert injection.calls == len(calls)
        assert injection.watch.untagged_calls == 0

        # The same contexts without tags. What is cut off at the end is cut off one token later then.
        plain = [(x, context[:, 1:]) for x, context in calls]
        for row, expected in zip(got, expected_rows(unet, injection, plain, slots), strict=True):
            assert (row - expected).abs().max() < 1e-4
        # And it matters whose row it is.
        injection.set_rows(None)
        for (x, context), at in zip(plain, starts(plain), strict=True):
            assert (got[at : at + len(x)] - run(unet, x, context)).abs().amax(dim=(1, 2, 3)).min() > 0.01


def starts(calls: Sequence[tuple[Tensor, Tensor]]) -> list[int]:
    return [sum(len(x) for x, _ in calls[:i]) for i in range(len(calls))]


@pytest.mark.parametrize("rows_first", [True, False], ids=["row by row", "tile by tile"])
def test_tiles_that_repeat_rows(unet: nn.Module, people: list[Contribution], rows_first: bool) -> None:
    """What cuts the whole picture into tiles repeats rows in its own order; the tags go with them."""
    _, cond, uncond = sides(Step((1, 1)))
    context = torch.cat([tag_rows(cond, [2, 3]), tag_rows(uncond, [0, 0])])
    x = torch.randn(12, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    order = [row for row in range(4) for _ in range(3)] if rows_first else list(range(4)) * 3
    with inject(unet, people) as injection:
        injection.expect_tags([CHUNK + 1])
        got = run(unet, x, context[order])
        slots = [(2, 3, 0, 0)[row] for row in order]
        plain = [(x, context[order][:, 1:])]
        for row, expected in zip(got, expected_rows(unet, injection, plain, slots), strict=True):
            assert (row - expected).abs().max() < 1e-4


# ------------------------------------------------------------------------------------- how the context gets to the UNet
@pytest.mark.parametrize("style", ["keyword", "positional", "with more"])
def test_the_context_may_come_by_position_or_by_name(unet: nn.Module, people: list[Contribution], style: str) -> None:
    x, steps, context = inputs()
    with torch.no_grad(), inject(unet, people) as injection:
        injection.set_rows([0, 2])
        expected = call(unet, (x, steps, context))
        tagged = tag_rows(context, [0, 2])
        injection.expect_tags([CHUNK + 1])
        got = {
            "keyword": lambda: unet(x, timesteps=steps, context=tagged),
            "positional": lambda: unet(x, steps, tagged),
            "with more": lambda: unet(x, steps, tagged, None, transformer_options={}),
        }[style]()
        assert torch.equal(got, expected)
        assert tagged.shape[1] == CHUNK + 1, "the host's own tensor is left as it is"


def test_nobody_inside_sees_a_tag(unet: nn.Module, people: list[Contribution], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a replaced forward (ControlNet), and not another extension's hook, even one that was there before."""
    seen: list[Tensor] = []
    forward = unet.forward

    def replaced(x: Tensor, timesteps: Tensor, context: Tensor, **kwargs: Any) -> Tensor:
        seen.append(context)
        return forward(x, timesteps, context, **kwargs)

    def hook(_module: nn.Module, _args: Any, kwargs: dict[str, Any]) -> None:
        seen.append(kwargs["context"])

    monkeypatch.setattr(unet, "forward", replaced)
    x, steps, context = inputs()
    early = unet.register_forward_pre_hook(hook, with_kwargs=True)
    with torch.no_grad(), inject(unet, people) as injection:
        late = unet.register_forward_pre_hook(hook, with_kwargs=True)
        injection.expect_tags([CHUNK + 1])
        unet(x, timesteps=steps, context=tag_rows(context, [0, 1]))
    early.remove()
    late.remove()
    assert len(seen) == 3
    assert all(torch.equal(one, context) for one in seen)


def test_a_mark_behind_ours_is_left_alone(unet: nn.Module, people: list[Contribution]) -> None:
    """ControlNet puts a mark of its own in front of the prompt; ours stands in front of that."""
    x, steps, context = inputs()
    marked = torch.cat([torch.full_like(context[:, :1], 1024.0), context], dim=1)
    with inject(unet, people) as injection:
        injection.set_rows([0, 4])
        expected = call(unet, (x, steps, marked))
        injection.expect_tags([CHUNK + 2])
        assert torch.equal(call(unet, (x, steps, tag_rows(marked, [0, 4]))), expected)


def test_an_untagged_call_is_left_alone_and_counted(unet: nn.Module, people: list[Contribution]) -> None:
    x, steps, context = inputs()
    bare = call(unet, (x, steps, context))
    with inject(unet, people) as injection:
        injection.expect_tags([CHUNK + 1, 2 * CHUNK + 1])
        assert torch.equal(call(unet, (x, steps, context)), bare)
        assert (injection.calls, injection.watch.untagged_calls) == (0, 1)
        call(unet, (x, steps, tag_rows(context, [0, 1])))
        assert (injection.calls, injection.watch.untagged_calls) == (1, 1)
        # An untagged call after a tagged one must not inherit its rows.
        assert torch.equal(call(unet, (x, steps, context)), bare)
        injection.expect_tags(())
        assert torch.equal(call(unet, (x, steps, context)), bare)
        assert (injection.calls, injection.watch.untagged_calls) == (1, 2)


@pytest.mark.parametrize("weight", [0.0, 0.8])
def test_tags_are_taken_off_even_where_nobody_acts(unet: nn.Module, adapter: Adapter, weight: float) -> None:
    one = contribution(adapter, [identity_of(1)], weight=weight, start=0.5)
    x, steps, context = inputs()
    with inject(unet, [one]) as injection:
        injection.expect_tags([CHUNK + 1])
        assert torch.equal(call(unet, (x, steps, tag_rows(context, [0, 1]))), call(unet, (x, steps, context)))
        assert injection.calls == 0


def test_of_two_injections_the_later_one_reads_the_tags(unet: nn.Module, people: list[Contribution]) -> None:
    """A job inside a job (a face detailer): the rows are the inner one's."""
    x, steps, context = inputs()
    tagged = tag_rows(context, [0, 1])
    with inject(unet, people[1:]) as inner:
        inner.expect_tags([CHUNK + 1])
        expected = call(unet, (x, steps, tagged))
    with inject(unet, people[:1]) as outer:
        outer.expect_tags([CHUNK + 1])
        alone = call(unet, (x, steps, tagged))
        with inject(unet, people[1:]) as inner:
            inner.expect_tags([CHUNK + 1])
            assert torch.equal(call(unet, (x, steps, tagged)), expected)
        assert outer.watch.untagged_calls == 1
        assert torch.equal(call(unet, (x, steps, tagged)), alone)


def test_a_blurred_tag_does_not_take_the_process_down(unet: nn.Module, people: list[Contribution]) -> None:
    """Noise of another extension may push a tag outside: on a GPU, an index outside ends the whole process."""
    x, steps, context = inputs()
    tagged = tag_rows(context, [0, 4])
    with inject(unet, people) as injection:
        injection.expect_tags([CHUNK + 1])
        expected = call(unet, (x, steps, tagged))
        tagged[:, 0, 0] += torch.tensor([-0.7, 0.7])
        assert torch.equal(call(unet, (x, steps, tagged)), expected)
        tagged[:, 0, 0] = torch.tensor([0.4, 3.6])  # small noise rounds away
        assert torch.equal(call(unet, (x, steps, tagged)), expected)


# ------------------------------------------------------------------------------------------------------- the tags alone
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_slot_in_every_dtype(dtype: torch.dtype) -> None:
    slots = list(range(MAX_SLOT + 1))
    context = torch.randn(len(slots), 3, 8).to(dtype)
    before = context.clone()
    tagged = tag_rows(context, slots)
    assert tagged.shape == (len(slots), 4, 8)
    assert tagged.dtype == dtype
    back, read = untag_rows(tagged)
    assert read.tolist() == slots
    assert read.dtype == torch.int64
    assert torch.equal(back, before)
    assert torch.equal(context, before)


def test_tags_survive_a_cast_to_half_precision() -> None:
    """Under autocast the conditioning is float32 and the UNet's input is not."""
    slots = list(range(MAX_SLOT + 1))
    for dtype in (torch.float16, torch.bfloat16):
        assert untag_rows(tag_rows(torch.zeros(len(slots), 1, 4), slots).to(dtype))[1].tolist() == slots


def test_tags_and_rows_must_be_as_many() -> None:
    with pytest.raises(RuntimeError):
        tag_rows(torch.zeros(3, 1, 4), [0, 1])


# ----------------------------------------------------------------------------------- rows that others put elsewhere
NOISE = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]),
        ([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2]),  # by regions, as Regional Prompter's latent mode sorts them
        ([2, 1, 0, 0, 1, 2], [2, 1, 0, 0, 1, 2]),
    ],
)
def test_rows_are_followed_by_what_they_begin_with(order: list[int], found: list[int]) -> None:
    latents = torch.cat([NOISE[order], NOISE, NOISE])  # the unconds of an edit model come twice
    assert follow_images(latents, [0, 0, 1, 1, 2, 2]) == found


def test_rows_that_somebody_has_changed_where_they_are_stay_there() -> None:
    latents = torch.cat([NOISE[[0, 0, 1, 1, 2, 2]] + 1, NOISE])
    assert follow_images(latents, [0, 0, 1, 1, 2, 2]) == [0, 0, 1, 1, 2, 2]


def test_rows_of_which_one_was_lost_are_nobodys() -> None:
    latents = torch.cat([NOISE[[0, 1, 2, 0, 1, 2]], NOISE])
    latents[4] += 1
    assert follow_images(latents, [0, 0, 1, 1, 2, 2]) is None


def test_images_that_begin_alike_stay_in_their_places() -> None:
    latents = torch.cat([NOISE[:1].expand(4, -1, -1, -1), NOISE[:1].expand(2, -1, -1, -1)])
    assert follow_images(latents, [0, 0, 1, 1]) == [0, 0, 1, 1]
