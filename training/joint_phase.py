"""Train UNet and adapter together: the UNet learns to draw people while the adapter learns to say whom.

A UNet that was trained without faces has learnt to draw the mean of all of them, and an adapter that comes later must
undo it: in a first try, joint training doubled what a frozen UNet gave. The UNet alone stays usable because some
pictures of each batch are drawn without the adapter.

The adapter is always trained at full weight. A weight that varies while the target stays the same is learnt to be
ignored; one that never varies is graded when a user turns it down.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lib_faceid.miniature.trained import LORA_RANK, TRAINED, TRAINED_ADAPTER
from training.adapter import FaceAdapter, Faces
from training.attention import Prompts
from training.exam import Exam
from training.export import load_part
from training.loop import Plan, train
from training.sampling import ALPHAS
from training.together import Meeting
from training.unet import UNet

__all__ = ["LORA", "SCALE", "Album", "Joint", "JointTraining", "noise_loss"]

BATCH = 16  # faces
TWO_EVERY = 6  # steps: then each picture shows two people
COLOURS = 2  # of the pictures of a step: keys and values are computed once for each caption
SNR_CAP = 5.0
NOISY = 12.0  # how much more an error counts where there is little but noise, at most
BEGINNING, OF_BEGINNINGS, LEAST_SNR = (650, 1000), 0.3, 0.01
MIDDLE, MIDDLE_PART = (300, 980), 0.8
BARE_EVERY = 14  # steps: then the UNet draws without the adapter
# What a picture is drawn with. The rest has everything: caption, person, LoRA.
NOTHING, NO_CAPTION = 0.08, 0.15  # up to this random number: neither caption nor person; no caption
SCALE, LORA = 1.0, 0.6


class Joint(nn.Module):
    """The two that are trained at once."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(TRAINED.unet)
        self.adapter = FaceAdapter(TRAINED.unet, LORA_RANK)

    def faces(self, album: Album, chosen: Tensor, which: Tensor, is_nobody: Tensor) -> Faces:
        """Return who is in pictures made of the chosen ones [n, people]: as in the photo `which` of each.

        is_nobody: [n], those that are drawn without anybody.
        """
        identities = album.photo_embeddings[album.person[chosen], which]
        return self.adapter.faces(identities.masked_fill(is_nobody[:, None, None], 0), SCALE, LORA)


@dataclass(frozen=True, eq=False)
class Album:
    """The pictures of a world as the UNet knows them."""

    latents: Tensor
    """[n, 4, 16, 16], of about unit variance."""
    person: Tensor
    """[n]: an index of `photo_embeddings`."""
    colour: Tensor
    """[n]"""
    style: Tensor
    """[n]"""
    photo_embeddings: Tensor
    """[people, photos of each, 512]"""


@dataclass(frozen=True, eq=False)
class JointTraining:
    """What UNet and adapter are shown, and who examines them."""

    album: Album
    captions: Tensor
    """[1 or 2 people, styles, templates, colours + 1, 77, 768]"""
    exam: Exam
    plan: Plan
    start: Path | None = None
    """A folder of parts from which to go on; None starts from nothing."""

    def run(self, folder: Path, *, is_shared: bool = False) -> Joint:
        """Return the trained pair; their state is kept in `folder`. is_shared: other processes train them, too."""
        torch.manual_seed(self.plan.seed)
        joint = Joint()
        if self.start:
            load_part(joint.unet, self.start / "unet.safetensors")
            load_part(joint.adapter, self.start / TRAINED_ADAPTER.name)

        def losses(generator: torch.Generator, step: int) -> dict[str, Tensor]:
            return {"noise": noise_loss(joint, self.album, self.captions, generator, step)}

        def evaluate(mean: Joint, step: int) -> dict[str, float]:
            return self.exam.take(mean.unet, mean.adapter, folder / f"{self.plan.name}_{step:06d}.png")

        meeting = Meeting(folder / "joint.common", joint) if is_shared else None
        return train(joint, self.plan, folder, losses, evaluate, meeting)


def noise_loss(
    joint: Joint,
    album: Album,
    captions: Tensor,
    generator: torch.Generator,
    step: int,
    *,
    has_beginnings: bool = False,
) -> Tensor:
    """Return the squared error of the noise, weighted by min-SNR (Hang et al. 2023, arXiv:2303.09556).

    Errors in pictures that are nearly all noise count more than there: whoever is asked for must be seen early.

    captions: [1 or 2 people, styles, templates, colours + 1, 77, 768]; has_beginnings: every other picture is at the
    beginning of its drawing, and there the error of the picture counts that is seen through the noise; and no step is
    drawn without the adapter, which a UNet that stays as it is would learn nothing of.
    """
    people = 1 if (step + 1) % TWO_EVERY else 2
    chosen = _chosen(album, generator, people)
    clean = torch.cat(album.latents[chosen].unbind(1), dim=-1)  # side by side
    noise = torch.empty(clean.shape).normal_(generator=generator)
    times, begins = _times(len(chosen), generator), torch.zeros(len(chosen), dtype=torch.bool)
    if has_beginnings:
        begins[::2] = True
        times = torch.where(begins, torch.randint(*BEGINNING, (len(chosen),), generator=generator), times)
    left = ALPHAS[times]
    x = left.sqrt()[:, None, None, None] * clean + (1 - left).sqrt()[:, None, None, None] * noise
    luck = torch.rand(len(chosen), generator=generator)
    # Of each person a photo, which is never the picture itself.
    which = torch.randint(album.photo_embeddings.shape[1], chosen.shape, generator=generator)
    is_adapted = has_beginnings or (step + 3) % BARE_EVERY
    faces = joint.faces(album, chosen, which, luck < NOTHING) if is_adapted else None
    prompts = _prompts(album, captions[people - 1], chosen[:, 0], luck < NO_CAPTION, generator)
    guessed = joint.unet(x, times, prompts, joint.adapter, faces)
    ratio = left / (1 - left)
    weight = ratio.clamp(max=SNR_CAP) / ratio * ratio.rsqrt().clamp(1, NOISY)
    weight = torch.where(begins, OF_BEGINNINGS / ratio.clamp(min=LEAST_SNR), weight)
    return (weight * (guessed - noise).square().mean((1, 2, 3))).mean()


def _times(count: int, generator: torch.Generator) -> Tensor:
    """Return when in the drawing each picture is: mostly in the middle, where it is decided who it is."""
    anywhere = torch.randint(len(ALPHAS), (count,), generator=generator)
    middle = torch.randint(*MIDDLE, (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < MIDDLE_PART, middle, anywhere)


def _chosen(album: Album, generator: torch.Generator, people: int) -> Tensor:
    """Return which pictures each is made of [n, people]: one style, a few colours, side by side the same colour."""
    style = album.style[torch.randint(len(album.style), (1,), generator=generator)]
    colours = torch.randperm(int(album.colour.max()) + 1, generator=generator)[:COLOURS]
    rows = []
    for colour in colours:
        fits = torch.nonzero((album.style == style) & (album.colour == colour))[:, 0]
        rows.append(fits[torch.randperm(len(fits), generator=generator)[: BATCH // COLOURS]].unflatten(0, (-1, people)))
    return torch.cat(rows)


def _prompts(album: Album, captions: Tensor, chosen: Tensor, is_silent: Tensor, generator: torch.Generator) -> Prompts:
    """Return the prompts of pictures of one style; captions: [styles, templates, colours + 1, 77, 768]."""
    template = int(torch.randint(captions.shape[1], (1,), generator=generator))
    contexts = captions[int(album.style[chosen[0]]), template]
    rows = album.colour[chosen].masked_fill(is_silent, len(contexts) - 1)
    used, rows = rows.unique(return_inverse=True)
    return Prompts(contexts[used], rows)
